"""Build an index of a million voices and measure additions, opening, memory and compaction; print a table.

Memory is anonymous memory (RssAnon) of a new process that opens the index, reads a voice by name and by slot, and
filters nothing, above that of a process that does so with an index of one voice.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from mrlspk.index.shortlist import ShortlistSpec
from mrlspk.index.store.settings import IndexSettings
from mrlspk.index.store.store import VoiceStore
from mrlspk.index.store.voices import NewRecording, NewVoice

DIM, PER_BLOCK, LATER = 256, 10_000, 1000
SETTINGS = IndexSettings(
    embed_dim=DIM, dims=(64, DIM), shortlist=ShortlistSpec.default(DIM), created="2026-01-01", mrlspk_version="0.1.0"
)


def voices(count: int, name: str) -> Iterator[NewVoice]:
    """Yield voices of one recording each."""
    for start in range(0, count, PER_BLOCK):
        rows = min(PER_BLOCK, count - start)
        vectors = np.random.default_rng(start).standard_normal((rows, DIM), dtype=np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        for row in range(rows):
            source = NewRecording(f"/recordings/{name}-{start + row}.wav", 8.0, 5.0)
            vector = vectors[row : row + 1]
            yield NewVoice(f"{name}-{start + row}", [source], vector, vector, {"site": "north"})


def seconds_to_add(store: VoiceStore, count: int, name: str) -> float:
    """Add voices in one change; return its seconds, those that make the voices included."""
    began = time.perf_counter()
    with store.writing() as writer:
        writer.add_voices(voices(count, name))
    return time.perf_counter() - began


def open_and_look(folder: Path) -> dict[str, float]:
    """Open an index in this process; return the milliseconds, anonymous memory, and memory of mapped vectors."""
    began = time.perf_counter()
    store = VoiceStore.open(folder)
    with store.reading() as snapshot:
        milliseconds = 1000 * (time.perf_counter() - began)
        snapshot.voice("first-0")
        snapshot.voices_of(np.array([snapshot.slots - 1]))
    status = Path("/proc/self/status").read_text()
    (anonymous,) = (int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon"))
    return {"open_ms": milliseconds, "anonymous_mib": anonymous / 1024}


def opened(folder: Path) -> dict[str, float]:
    """Return what a new process says of opening an index."""
    command = [sys.executable, __file__, "--open", str(folder)]
    return dict(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))


def seconds_of(work: object) -> float:
    """Return how long a call takes."""
    began = time.perf_counter()
    work()  # type: ignore[operator]
    return time.perf_counter() - began


def measure(folder: Path, count: int) -> Iterator[tuple[str, str]]:
    """Yield what was measured and the figure."""
    VoiceStore.create(folder / "small", SETTINGS).close()
    with VoiceStore.open(folder / "small") as small:
        seconds_to_add(small, 1, "first")
    store = VoiceStore.create(folder / "large", SETTINGS)
    build = seconds_to_add(store, count, "first")
    yield f"build {count:,} voices", f"{build:.1f} s"
    later = [seconds_to_add(store, LATER, f"later-{turn}") for turn in range(5)]
    yield f"add {LATER:,} more, median of 5", f"{np.median(later):.3f} s ({100 * np.median(later) / build:.2f} %)"
    yield (
        "add one more, median of 5",
        f"{1000 * np.median([seconds_to_add(store, 1, str(n)) for n in range(5)]):.1f} ms",
    )
    store.close()
    before, after = opened(folder / "small"), opened(folder / "large")
    yield "open and begin a reading", f"{after['open_ms']:.1f} ms (one voice: {before['open_ms']:.1f} ms)"
    yield "anonymous memory over one voice", f"{after['anonymous_mib'] - before['anonymous_mib']:.1f} MiB"
    size = sum(path.stat().st_size for path in (folder / "large").rglob("*") if path.is_file())
    yield "bytes a voice on disk", f"{size / count:,.0f}"
    with VoiceStore.open(folder / "large") as store:
        with store.writing() as writer:
            writer.remove([f"first-{number}" for number in range(500, count, 1000)])
        removed = opened(folder / "large")["anonymous_mib"] - before["anonymous_mib"]
        yield "anonymous memory with a thousandth removed", f"{removed:.1f} MiB"
        yield "check", f"{seconds_of(store.check):.1f} s"
        yield "compact", f"{seconds_of(store.compact):.1f} s"


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--voices", type=int, default=1_000_000)
    parser.add_argument("--folder", type=Path, help="where the index is built; default: a temporary folder")
    parser.add_argument("--open", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.open:
        print(json.dumps(open_and_look(options.open)))
        return
    print("| what | figure |\n|---|---|")
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        for what, figure in measure(Path(name), options.voices):
            print(f"| {what} | {figure} |", flush=True)


if __name__ == "__main__":
    main()
