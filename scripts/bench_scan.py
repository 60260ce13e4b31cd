"""Measure how long a scan of many small files takes, against bare loops over the same files.

Example:
    .venv/bin/python scripts/bench_scan.py --torchcodec /path/to/site-packages

The files are cut from shared speech: WAV of 0.1 s and M4A of about a second. A first pass warms the file cache; then
the loops and the scans take turns, and medians of the ratios are shown.
"""

import argparse
import json
import os
import shutil
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from statistics import median

import soundfile

PER_SESSION, PER_SPEAKER = 10, 100
WAV_SAMPLES = 1_600
SMALL = 10_000  # files of the scan whose memory is compared


def wav_of(samples: bytes) -> bytes:
    """Return 16 kHz mono PCM with a header."""
    form = struct.pack("<IHHIIHH", 16, 1, 1, 16_000, 32_000, 2, 16)
    return (
        b"RIFF"
        + struct.pack("<I", 36 + len(samples))
        + b"WAVEfmt "
        + form
        + b"data"
        + struct.pack("<I", len(samples))
        + samples
    )


def write_files(folder: Path, speech: Path, kind: str, count: int) -> None:
    """Write ``speaker/session/number`` with contents that differ."""
    sources = sorted(
        (speech / ("test" if kind == "wav" else "train")).rglob(f"*.{kind}"), key=lambda path: path.stat().st_size
    )[:200]
    contents = [path.read_bytes() for path in sources]
    if kind == "wav":
        contents = [wav_of(content[44 : 44 + 2 * WAV_SAMPLES]) for content in contents]
    for number in range(count):
        speaker, place = divmod(number, PER_SPEAKER)
        path = folder / f"id{speaker:05d}" / f"v{place // PER_SESSION}" / f"{place % PER_SESSION:05d}.{kind}"
        if not place % PER_SESSION:
            path.parent.mkdir(parents=True)
        path.write_bytes(contents[number % len(contents)])


def files_of(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Yield the files of a tree."""
    waiting = [str(folder)]
    while waiting:
        with os.scandir(waiting.pop()) as entries:
            for entry in entries:
                if entry.is_dir():
                    waiting.append(entry.path)
                else:
                    yield entry


def stat_all(folder: Path) -> None:
    """List a tree and ask for the state of every file."""
    for entry in files_of(folder):
        entry.stat()


def info_all(folder: Path) -> None:
    """Read every header with soundfile."""
    for entry in files_of(folder):
        soundfile.info(entry.path)


def torchcodec_all(folder: Path, packages: str) -> float:
    """Return the seconds in which torchcodec reads every header, without its import."""
    code = (
        "import sys, time, pathlib; sys.path.append(sys.argv[2]);"
        "from torchcodec.decoders import AudioDecoder;"
        "paths = [str(path) for path in pathlib.Path(sys.argv[1]).rglob('*.m4a')];"
        "AudioDecoder(paths[0]).metadata; start = time.perf_counter();"
        "[AudioDecoder(path).metadata for path in paths]; print(time.perf_counter() - start)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), packages], capture_output=True, text=True, check=True
    )
    return float(done.stdout)


def scan(folder: Path, file: Path, *flags: str) -> tuple[float, int]:
    """Scan in a process of its own; return its seconds without the start of Python, and its largest memory in KiB."""
    code = (
        "import sys, time, resource;"
        "from pathlib import Path;"
        "from mrlspk.workflows.scan_manifest import scan_manifest;"
        "start = time.perf_counter();"
        "report = scan_manifest(Path(sys.argv[1]), Path(sys.argv[2]), update='--update' in sys.argv, jobs=2);"
        "assert not report.errors;"
        "print(time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder), str(file), *flags], capture_output=True, text=True, check=True
    )
    seconds, memory = done.stdout.split()
    return float(seconds), int(memory)


def seconds_of(action: Callable[[], object]) -> float:
    """Return the seconds that an action takes."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def measure(folder: Path, rounds: int, bare: Callable[[], float], *flags: str) -> dict[str, float]:
    """Return medians of the bare loop, the scan and their ratio; they take turns."""
    bares, scans = [], []
    file = folder.parent / f"{folder.name}.parquet"
    for _ in range(rounds):
        if not flags:
            file.unlink(missing_ok=True)
        bares.append(bare())
        scans.append(scan(folder, file, *flags)[0])
    ratios = [one / other for one, other in zip(scans, bares, strict=True)]
    return {"bare_seconds": median(bares), "scan_seconds": median(scans), "ratio": median(ratios)}


def main() -> None:
    """Make the files, measure, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--files", type=int, default=100_000, help="files of each kind")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--torchcodec", help="folder with torchcodec, which is no dependency; without it no m4a is measured"
    )
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("MRLSPK_SHARED", "../shared")))
    parser.add_argument("--folder", type=Path, help="where to make the files; they are removed")
    arguments = parser.parse_args()
    os.environ["OMP_NUM_THREADS"] = "1"
    root = Path(tempfile.mkdtemp(dir=arguments.folder))
    try:
        found: dict[str, object] = {"files": arguments.files}
        wav, m4a, small = root / "wav", root / "m4a", root / "small"
        write_files(wav, arguments.shared / "speech", "wav", arguments.files)
        info_all(wav)
        found["first scan of WAV / soundfile.info"] = measure(
            wav, arguments.rounds, lambda: seconds_of(lambda: info_all(wav))
        )
        found["second scan / scandir and stat"] = measure(
            wav, arguments.rounds + 2, lambda: seconds_of(lambda: stat_all(wav)), "--update"
        )
        write_files(small, arguments.shared / "speech", "wav", SMALL)
        few, many = (scan(folder, root / f"{folder.name}-memory.parquet")[1] for folder in (small, wav))
        found["memory"] = {"MiB of 10,000 files": few / 1024, "MiB of all": many / 1024, "growth": (many - few) / 1024}
        shutil.rmtree(wav)
        if arguments.torchcodec:
            write_files(m4a, arguments.shared / "speech", "m4a", arguments.files)
            stat_all(m4a)
            found["first scan of M4A / torchcodec"] = measure(
                m4a, arguments.rounds, lambda: torchcodec_all(m4a, arguments.torchcodec)
            )
        print(json.dumps(found, indent=2))
    finally:
        shutil.rmtree(root)


if __name__ == "__main__":
    main()
