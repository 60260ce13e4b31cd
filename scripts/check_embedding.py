#!/usr/bin/env python3
"""Check `mrlspk embed` on many files: memory, kills, and speed against an earlier checkout.

    scripts/check_embedding.py memory MODEL [--files 10000 100000]
    scripts/check_embedding.py kills MODEL [--files 2000] [--kills 10]
    scripts/check_embedding.py speed MODEL LIST BASELINE [--rounds 3]
    scripts/check_embedding.py precision MODEL LIST [--files 200]

memory: peak memory for two numbers of small files; fails if it grows by 100 MiB or more. kills: a run that is killed
again and again and resumed writes the same file as one that is not, and embeds nothing twice. speed: time, CPU time and
peak memory for a list of files, interleaved with a checkout of another commit that has its own .venv, and the largest
difference of a value and the lowest cosine between the embeddings of both. precision: the mean and the lowest cosine of
bf16 to f32 over files spread over a list, in OpenVINO and in PyTorch; fails below 0.999, and leaves out a backend that
has no bf16 on this processor. A list is read from its own folder.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

MOST_GROWTH_MIB = 100
MOST_DIFFERENCE, LEAST_COSINE = 1e-4, 0.99999
LEAST_PRECISION_COSINE = 0.999
NO_PRECISION = 2  # exit code of a command whose processor has no bf16
SECONDS = 0.3, 0.5  # of small files
COMMAND = (sys.executable, "-m", "mrlspk", "embed", "--speech", "all", "--quiet")


@dataclass(frozen=True)
class Cost:
    """What a command took: seconds of wall-clock time and of CPU, and peak memory."""

    wall: float
    cpu: float
    mib: float

    def __str__(self) -> str:
        return f"{self.wall:.1f} s, CPU {self.cpu:.1f} s, peak {self.mib:.0f} MiB"


def main() -> int:
    """Run one check; return 1 if it fails."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    checks = parser.add_subparsers(required=True)
    memory = checks.add_parser("memory")
    memory.add_argument("model", type=Path)
    memory.add_argument("--files", type=int, nargs=2, default=(10_000, 100_000))
    memory.set_defaults(run=lambda given: check_memory(given.model, given.files))
    kills = checks.add_parser("kills")
    kills.add_argument("model", type=Path)
    kills.add_argument("--files", type=int, default=2000)
    kills.add_argument("--kills", type=int, default=10)
    kills.set_defaults(run=lambda given: check_kills(given.model, given.files, given.kills))
    speed = checks.add_parser("speed")
    speed.add_argument("model", type=Path)
    speed.add_argument("list", type=Path)
    speed.add_argument("baseline", type=Path)
    speed.add_argument("--rounds", type=int, default=3)
    speed.set_defaults(run=lambda given: check_speed(given.model, given.list, given.baseline, given.rounds))
    precision = checks.add_parser("precision")
    precision.add_argument("model", type=Path)
    precision.add_argument("list", type=Path)
    precision.add_argument("--files", type=int, default=200)
    precision.set_defaults(run=lambda given: check_precision(given.model, given.list, given.files))
    given = parser.parse_args()
    return int(not given.run(given))


def check_memory(model: Path, counts: tuple[int, int]) -> bool:
    """Return whether memory grows by less than the limit between two numbers of files."""
    costs = []
    with tempfile.TemporaryDirectory() as folder:
        warm_up(model, Path(folder))
        for count in counts:
            speech = write_files(Path(folder) / str(count), count)
            output = Path(folder) / f"{count}.npz"
            costs.append(measure([*COMMAND, str(speech), "--model", str(model.resolve()), "-o", str(output)]))
            with np.load(output) as found:
                embedded = len(set(found["ids"].tolist()))
            print(f"{count} files, {embedded} embeddings: {costs[-1]}", flush=True)
            if embedded != count:
                return False
    growth = costs[1].mib - costs[0].mib
    print(f"memory grows by {growth:.0f} MiB")
    return growth < MOST_GROWTH_MIB


def check_kills(model: Path, count: int, n_kills: int) -> bool:
    """Return whether a run that is killed and resumed writes the same file, and embeds nothing twice."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        warm_up(model, folder)
        speech = write_files(folder / "speech", count)
        whole, killed = folder / "whole.npz", folder / "killed.npz"
        words = [*COMMAND, str(speech), "--model", str(model.resolve())]
        measure([*words, "-o", str(whole)])
        rows = killed.with_name("killed.npz.partial")
        for number in range(1, n_kills + 1):
            kill_after([*words, "-o", str(killed), "--resume"], rows, number * count // (n_kills + 1))
            print(f"kill {number}: {n_lines(rows) - 1} of {count} rows", flush=True)
        kept = rows.read_text().splitlines()[1:]
        ids = [json.loads(line)["id"] for line in kept[:-1]]  # the last may be cut
        measure([*words, "-o", str(killed), "--resume"])
        with np.load(whole) as one, np.load(killed) as other:
            is_same = all(np.array_equal(one[key], other[key], equal_nan=one[key].dtype.kind == "f") for key in one)
    print(f"the same file: {is_same}; rows embedded twice: {len(ids) - len(set(ids))}")
    return is_same and len(ids) == len(set(ids))


def kill_after(words: list[str], rows: Path, n_rows: int) -> None:
    """Kill a command once its partial file has so many rows."""
    process = subprocess.Popen(words, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while n_lines(rows) <= n_rows and process.poll() is None:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    if process.wait() != -signal.SIGKILL:
        raise SystemExit("the command ended before it was killed: give more files")


def n_lines(path: Path) -> int:
    """Return the number of lines of a file; 0 if there is none."""
    return path.read_bytes().count(b"\n") if path.exists() else 0


def check_speed(model: Path, files: Path, baseline: Path, rounds: int) -> bool:
    """Return whether embeddings equal those of a baseline; print medians of interleaved runs of both."""
    python = (baseline / ".venv/bin/python").absolute()
    costs: dict[str, list[Cost]] = {"baseline": [], "now": []}
    with tempfile.TemporaryDirectory() as name:
        outputs = {kind: Path(name) / f"{kind}.npz" for kind in costs}
        words = ["embed", files.name, "--model", str(model.resolve()), "--force", "--quiet", "-o"]
        commands = {"baseline": [str(python), "-m", "mrlspk"], "now": [sys.executable, "-m", "mrlspk"]}
        speech = {"baseline": [], "now": ["--speech", "all"]}
        first = measure([*commands["now"], *words, str(outputs["now"]), *speech["now"]], files.parent)
        print(f"first run, which may make and keep the graph: {first}", flush=True)
        for _ in range(rounds):
            for kind, command in commands.items():
                costs[kind].append(measure([*command, *words, str(outputs[kind]), *speech[kind]], files.parent))
                print(f"{kind}: {costs[kind][-1]}", flush=True)
        before, now = (np.load(outputs[kind]) for kind in costs)
        n_same, difference, cosine = compare(before, now)
    for field in ("wall", "cpu", "mib"):
        old, new = (float(np.median([getattr(each, field) for each in costs[kind]])) for kind in costs)
        print(f"{field}: {old:.1f} before, {new:.1f} now, {old / new:.2f}x")
    print(f"{n_same} of {len(now['ids'])} files decode to the same length")
    print(f"of these the largest difference is {difference:.2e}, the lowest cosine {cosine:.8f}")
    return difference <= MOST_DIFFERENCE and cosine >= LEAST_COSINE


def check_precision(model: Path, files: Path, count: int) -> bool:
    """Return whether bf16 is close to f32 in each backend that has it, and one has it."""
    found = list[bool]()
    names = [name for name in files.read_text().splitlines() if name]
    spread = [names[number * len(names) // count] for number in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        chosen = Path(folder) / "files.txt"
        chosen.write_text("".join(f"{(files.parent / name).resolve()}\n" for name in spread))
        for backend in ("openvino", "torch"):
            outputs = [Path(folder) / f"{backend}-{precision}.npz" for precision in ("f32", "bf16")]
            words = [*COMMAND, str(chosen), "--model", str(model.resolve()), "--backend", backend, "-o"]
            measure([*words, str(outputs[0])])
            try:
                cost = measure([*words, str(outputs[1]), "--precision", "bf16"])
            except subprocess.CalledProcessError as error:
                if error.returncode != NO_PRECISION:
                    raise
                print(f"{backend}: no bf16 here", flush=True)
                continue
            cosines = cosines_of(*(np.load(output) for output in outputs))
            print(f"{backend}: bf16 to f32 on {len(cosines)} files: mean cosine {cosines.mean():.6f}, lowest ", end="")
            print(f"{cosines.min():.6f} ({cost})", flush=True)
            found.append(len(cosines) == count and bool(cosines.min() >= LEAST_PRECISION_COSINE))
    return any(found) and all(found)


def cosines_of(before: np.lib.npyio.NpzFile, now: np.lib.npyio.NpzFile) -> np.ndarray:
    """Return the cosines of unit vectors with equal ids."""
    if before["ids"].tolist() != now["ids"].tolist():
        raise SystemExit("both have other files")
    cosines: np.ndarray = (before["embeddings"].astype(float) * now["embeddings"]).sum(1)
    return cosines


def compare(before: np.lib.npyio.NpzFile, now: np.lib.npyio.NpzFile) -> tuple[int, float, float]:
    """Return how many files both decode to one length, and of these the largest difference and the lowest cosine."""
    if before["ids"].tolist() != now["ids"].tolist():
        raise SystemExit("both have other files")
    same = before["seconds"] == now["seconds"]
    one, other = before["embeddings"][same], now["embeddings"][same]
    return int(same.sum()), float(np.abs(one - other).max()), float((one.astype(float) * other).sum(1).min())


def warm_up(model: Path, folder: Path) -> None:
    """Let the graph of the model be made and kept."""
    speech = write_files(folder / "warm-up", 100)
    measure([*COMMAND, str(speech), "--model", str(model.resolve()), "-o", str(folder / "warm-up.npz")])


def write_files(folder: Path, count: int) -> Path:
    """Write small recordings of noise in folders of a thousand; return the folder."""
    rng = np.random.default_rng(0)
    for number in range(count):
        path = folder / f"{number // 1000:03d}" / f"{number:06d}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        samples = round(16_000 * SECONDS[number % len(SECONDS)])
        soundfile.write(path, 0.1 * rng.normal(size=samples), 16_000)
    return folder


def measure(words: list[str], folder: Path | None = None) -> Cost:
    """Run a command to its end and return what it took."""
    start = time.monotonic()
    process = subprocess.Popen(words, cwd=folder, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, words)
    return Cost(time.monotonic() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


if __name__ == "__main__":
    sys.exit(main())
