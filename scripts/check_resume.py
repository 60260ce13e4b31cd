"""Kill training runs at random moments, resume them, and compare the results with an uninterrupted run.

Two kinds of run on real speech, both with decoding processes and augmentation: the whole network, and the head alone.
Each is trained once without interruption. The same run is then started again, killed (SIGKILL) and resumed with
--resume auto as often as asked; every second kill comes while a checkpoint is written. A run that ends before its last
kill is compared and started again. Exits 1 if any checkpoint, step or epoch differs in a single bit.

With --shards the speech is packed first, and crops are shuffled in windows of two shards.
"""

import argparse
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import yaml

from mrlspk.data.shards.reading import is_shards
from mrlspk.workflows.pack_shards import pack_shards

RUN = "killed"
MEASURED = "seconds", "utterances_per_second", "waiting_share", "memory_mib"  # fields of a log that no two runs share
POLL_SECONDS = 0.005
ENDS = ".pt", ".json", ".yaml", ".txt", ".gz"

COMMON: dict[str, Any] = {
    "data": {
        "val_dataset": None,
        "n_validation_speakers": 3,
        "n_validation_trials": 60,
        "chunk_duration": 0.5,
        "num_workers": 2,
        "noise_probability": 0.5,
        "speed_perturbation": [0.9],
    },
    "logging": {"tensorboard": False, "log_interval": 1, "run_name": RUN, "save_every_steps": 2},
    "hardware": {"device": "cpu"},
}
END_TO_END: dict[str, Any] = {
    "model": {
        "pretrained": {"use_pretrained": False},
        "backbone": {
            "F": 8,
            "C": 4,
            "block_1d_type": "conv",
            "stages_setup": [[1, 1, 1, [[3, 3]], None]],
            "feat_agg_dropout": 0.2,
        },
        "matryoshka_dims": [4, 8],
    },
    "loss": {"n_dims_per_step": 1},
    "training": {"num_epochs": 3, "batch_size": 8, "learning_rate": 0.01, "freeze_backbone_epochs": 0},
}
HEAD: dict[str, Any] = {
    "model": {"matryoshka_dims": [16, 64], "pretrained": {"use_pretrained": True}},
    "training": {"num_epochs": 6, "batch_size": 16},
    "features": {"crops_per_utterance": 2, "batch_size": 8},
    "evaluation": {"n_resamples": 0},
}


@dataclass
class Killed:
    """A run in its own folder.

    Attributes:
        folder: Where it is started; its configuration is ``run.yaml`` there.
        kills: The moments at which it was killed, in words.
    """

    folder: Path
    kills: list[str] = field(default_factory=list)

    @property
    def run_dir(self) -> Path:
        """The folder of its checkpoints."""
        return self.folder / "checkpoints" / RUN

    def start(self) -> "subprocess.Popen[bytes]":
        """Start the command; it resumes the run if there is one."""
        command = [sys.executable, "-m", "mrlspk", "train", "--config", "run.yaml", "--resume", "auto", "--quiet"]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
        with (self.folder / "stderr.txt").open("ab") as stderr:
            return subprocess.Popen(
                command,
                cwd=self.folder,
                env=environment,
                stdout=subprocess.DEVNULL,
                stderr=stderr,
                start_new_session=True,
            )

    def run(self) -> float:
        """Run it to its end; return the seconds since its first write."""
        process, began = self.start(), self.written()
        while process.poll() is None and self.written() == began:
            time.sleep(POLL_SECONDS)
        first = time.monotonic()
        self.check(process.wait())
        return time.monotonic() - first

    def run_and_kill(self, moments: random.Random, *, within_seconds: float) -> bool:
        """Resume it and kill it with all its processes; return whether it was killed before its end.

        Every second kill comes while a file of the run is written.
        """
        process, began = self.start(), self.written()
        while process.poll() is None and self.written() == began:
            time.sleep(POLL_SECONDS)
        written = list[str]()
        pause, in_save = moments.uniform(0, within_seconds), len(self.kills) % 2 == 1
        end = time.monotonic() + pause
        while process.poll() is None and time.monotonic() < end:
            time.sleep(POLL_SECONDS)
        while in_save and process.poll() is None and not (written := self.partial()):
            pass
        moment = f"{pause:.2f} s on" + (f", while {', '.join(written)} was written" if in_save else "")
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        code = process.wait()
        if code == -signal.SIGKILL:
            self.kills.append(moment)
            return True
        self.check(code)
        return False

    def check(self, code: int) -> None:
        """Exit if the run failed."""
        if code:
            raise SystemExit(
                f"the run in {self.folder} failed with {code}:\n{(self.folder / 'stderr.txt').read_text()}"
            )

    def written(self) -> list[tuple[str, float]]:
        """Return the files of the run and when they were written."""
        found = [path for name in ("checkpoints", "features") for path in (self.folder / name).rglob("*")]
        return sorted((str(path), _time(path)) for path in found)

    def partial(self) -> list[str]:
        """Return the files that the run is writing; it begins by removing what a killed one has left."""
        return [path.name for path in self.run_dir.glob("*.partial")]


def _time(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def differences(expected: Path, found: Path) -> list[str]:
    """Return the bitwise differences between the folders of two runs, without measured times."""
    names = {path.name for folder in (expected, found) for path in folder.iterdir() if path.name.endswith(ENDS)}
    places = []
    for name in sorted(names):
        paths = expected / name, found / name
        if not all(path.is_file() for path in paths):
            places.append(f"{name}: is in one folder only")
        elif name.endswith(".pt"):
            places += differing(*(torch.load(path, weights_only=True) for path in paths), name)
        elif paths[0].read_bytes() != paths[1].read_bytes():
            places.append(f"{name}: different bytes")
    lines = [[*log_lines(folder / "metrics.jsonl")] for folder in (expected, found)]
    if lines[0] != lines[1]:
        places.append(f"metrics.jsonl: {len(lines[0])} and {len(lines[1])} lines, or different values")
    return places


def log_lines(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the steps and epochs of a log without measured times."""
    for line in path.read_text().splitlines():
        entry = json.loads(line)
        if entry["event"] in {"step", "epoch"}:
            yield {key: value for key, value in entry.items() if key not in MEASURED}


def differing(a: Any, b: Any, where: str) -> list[str]:
    """Return the places in which two entries of checkpoints differ."""
    if isinstance(a, dict) and isinstance(b, dict) and list(a) == list(b):
        return [text for key in a for text in differing(a[key], b[key], f"{where}/{key}")]
    if isinstance(a, list | tuple) and isinstance(b, list | tuple) and len(a) == len(b):
        return [text for index in range(len(a)) for text in differing(a[index], b[index], f"{where}/{index}")]
    if isinstance(a, torch.Tensor) and isinstance(b, torch.Tensor):
        same = a.dtype == b.dtype and a.shape == b.shape and a.numpy().tobytes() == b.numpy().tobytes()
    else:
        same = type(a) is type(b) and (a == b or (isinstance(a, float) and math.isnan(a) and math.isnan(b)))
    return [] if same else [where]


def compare_killed(config: dict[str, Any], folder: Path, *, n_kills: int, seed: int) -> tuple[list[str], list[str]]:
    """Run a configuration with and without kills; return the moments of the kills and the differences.

    Args:
        config: Of the run.
        folder: For both.
        n_kills: How often to kill.
        seed: Of the moments.
    """
    runs = [Killed(folder / name) for name in ("uninterrupted", "killed")]
    for run in runs:
        run.folder.mkdir(parents=True)
        (run.folder / "run.yaml").write_text(yaml.safe_dump(config))
    uninterrupted, killed = runs
    seconds, moments, places = uninterrupted.run(), random.Random(seed), list[str]()
    while len(killed.kills) < n_kills:
        if not killed.run_and_kill(moments, within_seconds=2 * seconds / (n_kills + 1)):
            places += differences(uninterrupted.run_dir, killed.run_dir)
            shutil.rmtree(killed.folder / "checkpoints")
            shutil.rmtree(killed.folder / "features", ignore_errors=True)
    killed.check(killed.start().wait())
    return killed.kills, places + differences(uninterrupted.run_dir, killed.run_dir)


def speech_of(shared: Path, folder: Path, *, n_speakers: int) -> Path:
    """Return a corpus of links to the first speakers of the shared speech."""
    corpus = folder / "speech"
    for speaker in sorted((shared / "speech" / "train").iterdir())[:n_speakers]:
        target = corpus / speaker.name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.symlink_to(speaker.absolute())
    return corpus


def packed(corpus: Path) -> Path:
    """Pack a corpus into shards beside it, about six, and return their folder."""
    n_bytes = sum(path.stat().st_size for speaker in corpus.iterdir() for path in speaker.rglob("*.*"))
    return pack_shards(corpus, corpus.with_name("shards"), shard_bytes=n_bytes // 5, jobs=1).path


def configuration(kind: str, corpus: Path, shared: Path) -> dict[str, Any]:
    """Return the configuration of a kind of run."""
    parts = END_TO_END if kind == "end-to-end" else HEAD
    config = COMMON | parts
    config["data"] = COMMON["data"] | {"train_dataset": str(corpus)}
    if kind == "end-to-end" and is_shards(corpus):
        config["data"] |= {"sampler": "shuffle", "shuffle_window": 2}
    if kind == "head":
        checkpoint = next((shared / "pretrained").glob("*.pt"))
        config["model"] = HEAD["model"] | {
            "pretrained": {"use_pretrained": True, "pretrained_checkpoint": str(checkpoint.absolute())}
        }
    return config


def main() -> int:
    """Print the kills and the differences; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shared", type=Path, default=Path(os.environ.get("MRLSPK_SHARED", "../shared")))
    parser.add_argument("--kinds", nargs="+", choices=["end-to-end", "head"], default=["end-to-end", "head"])
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--speakers", type=int, default=12)
    parser.add_argument("--shards", action="store_true", help="train on shards in place of files")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    failed = False
    for kind in arguments.kinds:
        with tempfile.TemporaryDirectory() as name:
            corpus = speech_of(arguments.shared, Path(name), n_speakers=arguments.speakers)
            corpus = packed(corpus) if arguments.shards else corpus
            config = configuration(kind, corpus, arguments.shared)
            kills, places = compare_killed(config, Path(name), n_kills=arguments.kills, seed=arguments.seed)
        print(f"{kind}: killed {len(kills)} times")
        for moment in kills:
            print(f"  {moment}")
        print(
            "  equal bit for bit" if not places else "  DIFFERS:\n  " + "\n  ".join(places),
            flush=True,
        )
        failed = failed or bool(places)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
