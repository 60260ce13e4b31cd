"""Kill processes that change a voice index, fill its disk, and read it while it is changed; print tables.

A process adds, removes or compacts, and tells each change that was acknowledged. It is killed by SIGKILL at a random
moment, or may not let its files grow beyond a random size. Then the index must open, its check must find no error,
every acknowledged change must be there with all vectors, and the one under way wholly or not at all. After the next
change and a compaction, the check must find nothing at all and no source of a removed voice may be left.

Then processes read without a pause while one writes: adds, removes, and compacts now and then. Each reading must see
every change that was acknowledged before it began, whole. Exits 1 if anything of this fails.
"""

import argparse
import json
import mmap
import random
import resource
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import numpy as np

from mrlspk.errors import MrlspkError
from mrlspk.index.shortlist import ShortlistSpec
from mrlspk.index.store.settings import IndexSettings
from mrlspk.index.store.snapshot import Snapshot
from mrlspk.index.store.store import VoiceStore
from mrlspk.index.store.voices import NewRecording, NewVoice

DIM = 64
BATCHES = 120  # of voices that are there when a process begins to remove or compact
SETTINGS = IndexSettings(
    embed_dim=DIM, dims=(32, DIM), shortlist=ShortlistSpec.default(DIM), created="2026-01-01", mrlspk_version="0.1.0"
)
MOST_SHOWN = 20  # faults
CHANGES = ("add", "remove", "compact")


def batch(number: int) -> list[NewVoice]:
    """Return the voices of a batch; all follows from its number."""
    values = np.random.default_rng(number)
    return [_voice(f"voice-{number}-{place}", values) for place in range(1 + number % 23)]


def _voice(name: str, values: np.random.Generator) -> NewVoice:
    n_recordings = int(values.integers(1, 4))
    vectors = _unit(values, n_recordings)
    profiles = vectors if n_recordings == 1 else _unit(values, 2)
    return NewVoice(name, [NewRecording(f"{name}/{each}.wav", 4, 3) for each in range(n_recordings)], vectors, profiles)


def _unit(values: np.random.Generator, rows: int) -> np.ndarray:
    vectors = values.standard_normal((rows, DIM), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def change(store: VoiceStore, kind: str, number: int) -> None:
    """Make a change: add batch ``number``, remove it, or remove it (if even) and compact (if odd)."""
    if kind == "compact" and number % 2:
        store.compact()
        return
    with store.writing() as writer:
        if kind == "add":
            writer.add_voices(batch(number))
        else:
            writer.remove([voice.name for voice in batch(number // 2 if kind == "compact" else number)])


def batches_after(kind: str, n_changes: int) -> range:
    """Return the batches that are enrolled after some changes."""
    if kind == "add":
        return range(n_changes)
    return range((n_changes + 1) // 2 if kind == "compact" else n_changes, BATCHES)


def work(kind: str, folder: Path, limit: int | None) -> None:
    """Change an index until killed, or until a file would grow beyond ``limit``; tell each acknowledged change."""
    if limit is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
    store = VoiceStore.open(folder)
    for number in count():
        change(store, kind, number)
        sys.stdout.write(f"{number + 1}\n")
        sys.stdout.flush()


@dataclass
class Tally:
    """What happened to the processes that made one kind of change."""

    ended: int = 0
    acknowledged: int = 0
    under_way_whole: int = 0
    faults: list[str] = field(default_factory=list)


def kill_at_random(kind: str, times: int, folder: Path, moments: random.Random) -> Tally:
    """Kill a process at random moments of its work and judge what it left."""
    tally = Tally()
    for number in range(times):
        index = _prepared(folder / f"{kind}-{number}", kind)
        with _start("work", kind, index) as process:
            assert process.stdout is not None
            first = process.stdout.readline()
            time.sleep(moments.uniform(0, 0.5))
            process.kill()
            told = (first + process.stdout.read()).split()
        _judge(index, kind, int(told[-1]), tally)
    return tally


def fill_disk(kind: str, times: int, folder: Path, sizes: random.Random) -> Tally:
    """Let no file of a process grow beyond a random size and judge what it left."""
    tally = Tally()
    for number in range(times):
        index = _prepared(folder / f"{kind}-full-{number}", kind)
        largest = max(path.stat().st_size for path in index.rglob("*") if path.is_file())
        limit = sizes.randrange(largest, 6 * largest) if kind == "add" else sizes.randrange(4096, 2 * largest)
        with _start("work", kind, index, str(limit)) as process:
            told, error = process.communicate(timeout=120)
        if "MrlspkError" not in error:
            tally.faults.append(f"{index.name}: expected an error that explains itself, got {error[-300:]}")
        _judge(index, kind, int(told.split()[-1]) if told else 0, tally)
    return tally


def _prepared(index: Path, kind: str) -> Path:
    with VoiceStore.create(index, SETTINGS) as store, store.writing() as writer:
        if kind != "add":
            writer.add_voices(voice for number in range(BATCHES) for voice in batch(number))
    return index


def _start(*arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(Path(__file__)), "--process", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _judge(index: Path, kind: str, acknowledged: int, tally: Tally) -> None:
    tally.ended += 1
    tally.acknowledged += acknowledged
    store = VoiceStore.open(index)
    errors = [problem for problem in store.check() if problem.severity == "error"]
    found = _vectors(store)
    expected = [_expected(batches_after(kind, acknowledged + further)) for further in (0, 1)]
    if found not in expected:
        tally.faults.append(f"{index.name}: {len(found)} voices, expected {len(expected[0])} or {len(expected[1])}")
    tally.under_way_whole += found == expected[1] != expected[0]
    with store.writing() as writer:
        writer.add_voices(batch(1_000_000))
    left = [problem for problem in store.check() if problem.kind != "interrupted"]
    store.compact()
    tally.faults += [f"{index.name}: {each.where}: {each.message}" for each in (*errors, *left, *store.check())]
    tally.faults += [f"{index.name}: {name} is left" for name in _names_left(index, _vectors(store).keys())]


def _vectors(store: VoiceStore) -> dict[str, bytes]:
    """Return the bytes of all vectors of each voice."""
    with store.reading() as snapshot:
        return _vectors_seen(snapshot)


def _vectors_seen(snapshot: Snapshot) -> dict[str, bytes]:
    return {
        voice.name: snapshot.recording_vectors(voice).tobytes()
        + snapshot.profiles[snapshot.slots_of([voice.id])].tobytes()
        for voice in snapshot.voices()
    }


def _expected(numbers: range) -> dict[str, bytes]:
    return {
        voice.name: voice.vectors.tobytes() + voice.profiles.tobytes() for number in numbers for voice in batch(number)
    }


def _names_left(index: Path, enrolled: object) -> Iterator[str]:
    """Yield names of voices that are not enrolled, but whose bytes are in a file."""
    content = b"".join(path.read_bytes() for path in index.rglob("*") if path.is_file())
    for number in range(BATCHES):
        for voice in batch(number):
            if voice.name not in enrolled and f"{voice.name}/0.wav".encode() in content:
                yield voice.name


def write_steadily(folder: Path, board: Path, seconds: float) -> None:
    """Add a batch, remove the one before it, and compact now and then; put the number of each change on the board."""
    store, end, last_compaction = VoiceStore.open(folder), time.monotonic() + seconds, time.monotonic()
    with board.open("r+b") as file, mmap.mmap(file.fileno(), 8) as shown:
        for number in count(1):
            if time.monotonic() > end:
                break
            with store.writing() as writer:
                writer.add_voices(batch(number))
                writer.remove([voice.name for voice in batch(number - 1)])
                writer.put_setting("number", str(number))
            shown[:] = struct.pack("<q", number)
            if time.monotonic() - last_compaction > seconds / 12:
                store.compact()
                last_compaction = time.monotonic()
    sys.stdout.write(json.dumps({"changes": number - 1}))


def read_steadily(folder: Path, board: Path, seconds: float) -> None:
    """Read again and again; write how long each reading took, and what was wrong."""
    store, end = VoiceStore.open(folder), time.monotonic() + seconds
    times, faults = [], []
    with board.open("r+b") as file, mmap.mmap(file.fileno(), 8) as shown:
        while time.monotonic() < end:
            (acknowledged,) = struct.unpack("<q", shown[:])
            began = time.perf_counter()
            with store.reading() as snapshot:
                number = int(snapshot.setting("number") or 0)
                vectors = _vectors_seen(snapshot)
            times.append(time.perf_counter() - began)
            if number < acknowledged:
                faults.append(f"read change {number} after {acknowledged} was acknowledged")
            if vectors != _expected(range(number, number + 1)):
                faults.append(f"change {number} was not whole")
    sys.stdout.write(json.dumps({"times": times, "faults": faults}))


def read_while_written(seconds: float, readers: int, folder: Path) -> tuple[dict[str, np.ndarray], int, list[str]]:
    """Return the seconds that readings took, alone and beside a writer, the changes, and the faults."""
    index, board = folder / "read", folder / "board"
    VoiceStore.create(index, SETTINGS).close()
    board.write_bytes(bytes(8))
    with VoiceStore.open(index) as store, store.writing() as writer:
        writer.add_voices(batch(0))
    times, faults, changes = {}, [], 0
    for case, length in (("alone", seconds / 6), ("beside a writer", seconds)):
        processes = [_start("read", index, board, str(length)) for _ in range(readers)]
        if case != "alone":
            told, error = _start("write", index, board, str(length - 1)).communicate()
            faults += [error] if error else []
            changes = json.loads(told)["changes"] if told else 0
        answers = [process.communicate() for process in processes]
        faults += [error for _, error in answers if error]
        read = [json.loads(told) for told, _ in answers if told]
        times[case] = np.concatenate([each["times"] for each in read])
        faults += [fault for each in read for fault in each["faults"]]
    faults += [problem.message for problem in VoiceStore.open(index).check()]
    return times, changes, faults


def tally_table(title: str, tallies: dict[str, Tally]) -> Iterator[str]:
    """Yield a Markdown table of how processes that were interrupted left their indexes."""
    yield f"| {title} | processes | changes acknowledged | lost | under way: whole | under way: absent | faults |"
    yield "|---|---|---|---|---|---|---|"
    for kind, tally in tallies.items():
        n_lost = sum("expected" in fault for fault in tally.faults)
        absent = tally.ended - tally.under_way_whole - n_lost
        yield (
            f"| `{kind}` | {tally.ended} | {tally.acknowledged:,} | {n_lost} | {tally.under_way_whole} | {absent}"
            f" | {len(tally.faults)} |"
        )


def reading_table(times: dict[str, np.ndarray], readers: int, changes: int) -> Iterator[str]:
    """Yield a Markdown table of how long readings took."""
    yield f"| {readers} reading processes | readings | median ms | 99 % below ms | longest ms |"
    yield "|---|---|---|---|---|"
    for case, seconds in times.items():
        middle, high, longest = 1000 * np.quantile(seconds, [0.5, 0.99, 1])
        name = f"{case} ({changes:,} changes)" if case != "alone" else case
        yield f"| {name} | {len(seconds):,} | {middle:.2f} | {high:.2f} | {longest:.1f} |"


def main() -> int:
    """Print the tables and every fault; return 1 if there is one."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--process", nargs="+", help=argparse.SUPPRESS)
    parser.add_argument("--times", type=int, default=20, help="processes to kill and disks to fill, of each kind")
    parser.add_argument("--seconds", type=float, default=60, help="of reading while one process writes")
    parser.add_argument("--readers", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    if options.process:
        _run_process(*options.process)
        return 0
    faults = []
    with tempfile.TemporaryDirectory() as name:
        folder, chance = Path(name), random.Random(options.seed)
        for title, interrupt in (("killed while it", kill_at_random), ("disk full while it", fill_disk)):
            tallies = {kind: interrupt(kind, options.times, folder, chance) for kind in CHANGES}
            print(*tally_table(title, tallies), "", sep="\n", flush=True)
            faults += [fault for tally in tallies.values() for fault in tally.faults]
        times, changes, wrong = read_while_written(options.seconds, options.readers, folder)
        print(*reading_table(times, options.readers, changes), sep="\n")
    print(*sorted({*faults, *wrong})[:MOST_SHOWN], sep="\n")
    return 1 if faults or wrong else 0


def _run_process(task: str, *arguments: str) -> None:
    if task == "work":
        kind, folder, *limits = arguments
        try:
            work(kind, Path(folder), int(limits[0]) if limits else None)
        except MrlspkError as error:
            sys.exit(f"MrlspkError: {error}")
    else:
        folder, board, seconds = arguments
        {"write": write_steadily, "read": read_steadily}[task](Path(folder), Path(board), float(seconds))


if __name__ == "__main__":
    sys.exit(main())
