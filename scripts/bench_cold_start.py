#!/usr/bin/env python3
"""Time a cold `mrlspk embed` of one recording with an exported model against the checkpoint in PyTorch.

    scripts/bench_cold_start.py MODEL.pt AUDIO [--rounds 7] [--baseline FOLDER]

Prints medians of the user time of interleaved runs, each a process of its own. ``--baseline`` adds the checkpoint in
another checkout, which has its own .venv. The model is exported to a temporary file first. One unmeasured run of each
comes before the others.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median

EXPORTED, TORCH, BASELINE = "exported .onnx", "checkpoint in PyTorch", "other checkout"


def main() -> None:
    """Print a line per command."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("audio", type=Path)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--baseline", type=Path)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        graph = Path(folder) / "model.onnx"
        run([sys.executable, "-m", "mrlspk", "export", str(given.model), "-o", str(graph), "--quiet"])
        commands = build_commands(given.model.resolve(), graph, given.audio.resolve(), given.baseline)
        times: dict[str, list[float]] = {name: [] for name in commands}
        for number in range(given.rounds + 1):
            for name, words in commands.items():
                seconds = run(words)
                if number:
                    times[name].append(seconds)
    medians = {name: median(values) for name, values in times.items()}
    for name, seconds in medians.items():
        print(f"{name:22s} {seconds:5.2f} s of user time, {seconds / medians[TORCH]:4.2f}x of the checkpoint", end="")
        print(f", {seconds / medians[BASELINE]:4.2f}x of the other checkout" if BASELINE in medians else "")


def build_commands(model: Path, graph: Path, audio: Path, baseline: Path | None) -> dict[str, list[str]]:
    """Return the words of each command, by what runs the network."""
    embed = ["-m", "mrlspk", "embed", str(audio), "--quiet", "--model"]
    commands = {
        EXPORTED: [sys.executable, *embed, str(graph), "--speech", "all"],
        TORCH: [sys.executable, *embed, str(model), "--speech", "all", "--backend", "torch"],
    }
    if baseline:
        commands[BASELINE] = [str((baseline / ".venv/bin/python").absolute()), *embed, str(model)]
    return commands


def run(words: list[str]) -> float:
    """Run a command to its end; return the seconds of its user time."""
    process = subprocess.Popen(words, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, words)
    return usage.ru_utime


if __name__ == "__main__":
    main()
