"""Measure orders, trials and validation splits of a corpus of 1.1 million utterances against a tenth of it.

Example:
    .venv/bin/python scripts/bench_manifest.py

The utterances are made up: no audio is read. Each size runs in a process of its own, sizes take turns, and medians of
the CPU's time are shown. Memory is the largest that a step has above that of the process before it had a corpus.
"""

import argparse
import json
import os
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from statistics import median
from typing import Any

N_UTTERANCES = 1_100_000
N_SPEAKERS = 6_000, 100_000
PER_SESSION = 7
SPEEDS = 1.0, 0.9, 1.1
LARGEST_RATIO, LARGEST_MIB = 12, 1024
HELD_TO_RATIO = "validation split", "trials", "shuffled epoch", "weighted epoch", "balanced epoch"


def utterances(count: int, speakers: int) -> Iterator[Any]:
    """Yield utterances with ids like those of VoxCeleb2; in the order of their ids."""
    from mrlspk.data.audio.source import FileSource
    from mrlspk.data.manifest import Utterance

    for number in range(count):
        speaker = f"id{number * speakers // count:06d}"
        session = f"{speaker}/v{number // PER_SESSION:010d}"
        id_ = f"{session}/{number % PER_SESSION:05d}.m4a"
        yield Utterance(id_, speaker, session, FileSource(f"/data/voxceleb2/dev/aac/{id_}"))


def memory_mib(field: str, process: int | str = "self") -> float:
    """Return a line of the state of a process."""
    lines = Path(f"/proc/{process}/{'smaps_rollup' if ':' in field else 'status'}").read_text().splitlines()
    return next(float(line.split()[1]) / 1024 for line in lines if line.startswith(field))


def walk(keys: Iterable[object]) -> None:
    """Go through an epoch."""
    deque(keys, maxlen=0)


class Steps:
    """The seconds of each step, and its largest memory above that at the start."""

    def __init__(self) -> None:
        self.found: dict[str, tuple[float, float]] = {}
        self._before = memory_mib("VmRSS")

    def __call__(self, name: str, action: Callable[[], Any]) -> Any:
        """Take a step."""
        Path("/proc/self/clear_refs").write_text("5")  # start a new maximum
        start = time.process_time()
        result = action()
        self.found[name] = time.process_time() - start, memory_mib("VmHWM") - self._before
        return result


def worker_mib(dataset: Any) -> float:
    """Return the memory of its own that a forked process has after it looked up the audio of every utterance."""
    read, write = os.pipe()
    child = os.fork()
    if not child:
        before = memory_mib("Private_Dirty:")
        for index in range(len(dataset.utterance_ids)):
            dataset.source_of(index)
        os.write(write, str(memory_mib("Private_Dirty:") - before).encode())
        os._exit(0)
    os.waitpid(child, 0)
    return float(os.read(read, 100))


def measure_one(count: int, speakers: int) -> None:
    """Print what one corpus takes."""
    import numpy as np

    from mrlspk.data.crops.dataset import CropDataset
    from mrlspk.data.crops.sampler import ShuffleSampler, SpeakerBalancedSampler
    from mrlspk.data.held_out import draw_trials, hold_out
    from mrlspk.data.manifest import Manifest
    from mrlspk.data.trials import generate_trials

    def split() -> Any:
        validation = hold_out(corpus, None, seed=0, domains={})
        draw_trials(validation, 20_000, seed=0, match=None, domains={})
        return corpus.without_speakers(validation.speakers)

    step = Steps()
    corpus = step("build", lambda: Manifest(Path("/data/voxceleb2/dev/aac"), utterances(count, speakers)))
    step("fingerprint", lambda: corpus.fingerprint)
    step("validation split", split)
    step("trials", lambda: generate_trials(corpus, count // 10, seed=0, path="drawn"))
    # Of the whole: the split holds a fifth of 600 speakers out, and 200 of 6,000.
    dataset = CropDataset(corpus, crop_seconds=3.0, seed=0, speeds=SPEEDS)
    classes, n = dataset.classes, len(dataset)
    step("shuffled epoch", lambda: walk(ShuffleSampler(n, seed=0)))
    step("weighted epoch", lambda: walk(ShuffleSampler(n, seed=0, weights=np.where(classes % 2, 0.5, 1.0))))
    balanced = SpeakerBalancedSampler(classes, seed=0, utterances_per_speaker=2)
    step("balanced epoch", lambda: walk(balanced))
    print(json.dumps({"steps": step.found, "worker_mib": worker_mib(dataset)}))


def main() -> None:
    """Measure all sizes, and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--utterances", type=int, default=N_UTTERANCES)
    parser.add_argument("--speakers", type=int, action="append", help="of the whole; the tenth has a tenth of them")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--one", action="store_true", help="measure one size, with one number of speakers")
    arguments = parser.parse_args()
    if arguments.one:
        measure_one(arguments.utterances, arguments.speakers[0])
        return
    failed = False
    for speakers in arguments.speakers or N_SPEAKERS:
        runs: dict[int, list[Any]] = {10: [], 1: []}
        for _ in range(arguments.rounds):
            for part, found in runs.items():
                sizes = "--utterances", str(arguments.utterances // part), "--speakers", str(speakers // part)
                command = [sys.executable, __file__, "--one", *sizes]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                found.append(json.loads(done.stdout))
        result: dict[str, Any] = {"utterances": arguments.utterances, "speakers": speakers}
        for name in runs[1][0]["steps"]:
            seconds = [[run["steps"][name][0] for run in runs[part]] for part in (10, 1)]
            ratio = median(whole / tenth for tenth, whole in zip(*seconds, strict=True))
            mib = max(run["steps"][name][1] for run in runs[1])
            result[name] = {
                "tenth_seconds": round(median(seconds[0]), 2),
                "seconds": round(median(seconds[1]), 2),
                "ratio": round(ratio, 1),
                "mib": round(mib),
            }
            failed |= mib > LARGEST_MIB or (ratio > LARGEST_RATIO and name in HELD_TO_RATIO)
        result["worker_mib"] = [round(median(run["worker_mib"] for run in runs[part]), 1) for part in (10, 1)]
        print(json.dumps(result, indent=2), flush=True)
    sys.exit(failed)


if __name__ == "__main__":
    main()
