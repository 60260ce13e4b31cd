"""Train with one process and with several, and compare the losses of every step.

The total batch is the same: 16 crops in one process, or 8 in each of two (1x16 against 2x8). Processes use gloo on a
CPU and NCCL on GPUs, one GPU each. Runs that do not train BatchNorm must agree within 1e-5: the head alone on stored
vectors, and a whole network that keeps its statistics, with a margin softmax and with triplets. On GPUs, a network that
trains synchronised BatchNorm must agree within 1e-4 (torch has none on a CPU). Differences are relative to the loss if
it is above 1. Exits 1 if a difference is above its limit.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import torch
import yaml

SAMPLE_RATE, N_SPEAKERS, N_FILES, SECONDS = 16_000, 8, 6, 1.0
START = "start"  # name of the run whose network the others begin with
CONFIG: dict[str, Any] = {
    "data": {
        "train_dataset": "corpus",
        "val_dataset": None,
        "n_validation_speakers": 2,
        "n_validation_trials": 60,
        "chunk_duration": 0.5,
        "crops_per_epoch": 96,
        "num_workers": 2,
        "noise_probability": 0.5,
        "sampler": "speaker_balanced",
        "utterances_per_speaker": 2,
    },
    "model": {"matryoshka_dims": [8, 16]},
    "training": {"num_epochs": 3, "learning_rate": 0.001},
    "features": {"crops_per_utterance": 4, "batch_size": 8},
    "evaluation": {"n_resamples": 0},
    "logging": {"tensorboard": False, "log_interval": 1},
}
SCRATCH = (
    "model.pretrained.use_pretrained=false",
    "model.backbone={F: 16, C: 8, block_1d_type: conv, stages_setup: [[1, 1, 1, [[3, 3]], null]]}",
    "training.freeze_backbone_epochs=0",
)
CONTINUED = (
    "model.pretrained.use_pretrained=true",
    f"model.pretrained.pretrained_checkpoint=checkpoints/{START}/last.pt",
)
KEPT = (*CONTINUED, "training.freeze_backbone_epochs=0", "training.freeze_norm_statistics=true")


@dataclass(frozen=True)
class Case:
    """A kind of run.

    Attributes:
        name: In the table.
        settings: What it adds to the configuration.
        limit: How far losses may be apart.
    """

    name: str
    settings: tuple[str, ...]
    limit: float


CASES = (
    Case("head alone", (*CONTINUED, "training.freeze_backbone_epochs=null"), 1e-5),
    Case("statistics kept", KEPT, 1e-5),
    Case("statistics kept, widths drawn", (*KEPT, "loss.n_dims_per_step=1"), 1e-5),
    Case("statistics kept, triplets", (*KEPT, "loss.type=Triplet"), 1e-5),
)
ON_GPUS = (Case("synchronised", (*SCRATCH, "hardware.sync_batchnorm=true"), 1e-4),)


@dataclass(frozen=True)
class Trainer:
    """Run ``mrlspk train`` in a folder.

    Attributes:
        folder: With the corpus; the runs are written there.
        device: cpu or cuda.
        batch: Crops of all processes together.
    """

    folder: Path
    device: str
    batch: int

    def train(self, name: str, settings: tuple[str, ...], *, n_processes: int) -> Path:
        """Train with so many processes; return the log of the run.

        Raises:
            SystemExit: If the run fails.
        """
        launcher = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={n_processes}"]
        sets = [
            *settings,
            f"hardware.device={self.device}",
            f"training.batch_size={self.batch // n_processes}",
            f"logging.run_name={name}",
        ]
        command = [
            sys.executable,
            *(launcher if n_processes > 1 else []),
            *("-m", "mrlspk", "train", "--config", "run.yaml", "--quiet"),
            *(part for text in sets for part in ("--set", text)),
        ]
        threads = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE"}
        environment = os.environ | (threads if self.device == "cpu" else {})
        ended = subprocess.run(command, cwd=self.folder, env=environment, capture_output=True, text=True, check=False)
        if ended.returncode:
            raise SystemExit(f"the run {name} failed with {ended.returncode}:\n{ended.stderr}")
        return self.folder / "checkpoints" / name / "metrics.jsonl"

    def compare(self, case: Case, *, n_processes: int) -> tuple[int, float, float]:
        """Train both ways; return the number of losses and their largest difference, in nats and relative."""
        name = case.name.replace(" ", "-").replace(",", "")
        logs = [self.train(f"{name}-{n}", case.settings, n_processes=n) for n in (1, n_processes)]
        one, several = (dict(losses(log)) for log in logs)
        if one.keys() != several.keys():
            raise SystemExit(f"{case.name}: the logs do not tell of the same steps: {logs[0]}, {logs[1]}")
        apart = {key: abs(one[key] - several[key]) for key in one}
        return len(apart), max(apart.values()), max(apart[key] / max(1.0, abs(one[key])) for key in apart)


def losses(log: Path) -> Iterator[tuple[tuple[Any, ...], float]]:
    """Yield every loss in a log with its name."""
    for entry in map(json.loads, log.read_text().splitlines()):
        if entry["event"] == "step":
            yield (entry["step"], "total"), entry["loss"]
            for dim, loss in entry["loss_by_dim"].items():
                yield (entry["step"], dim), loss
        elif entry["event"] == "epoch":
            yield (entry["step"], "validation"), entry["validation"]["loss"]


def write_corpus(root: Path) -> None:
    """Write a corpus of voices: a few harmonics in noise, each with its own pitch."""
    generator = np.random.default_rng(0)
    time = np.arange(int(SECONDS * SAMPLE_RATE)) / SAMPLE_RATE
    for speaker in range(N_SPEAKERS):
        for number in range(N_FILES):
            path = root / f"speaker{speaker}" / f"session{number // 2}" / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            pitch = 100 + 25 * speaker + 3 * generator.normal()
            voice = sum(np.sin(2 * np.pi * n * pitch * time) / n for n in (1, 2, 3, 5))
            soundfile.write(path, 0.1 * voice + 0.02 * generator.normal(size=time.size), SAMPLE_RATE)


def main() -> None:
    """Compare all kinds of run, and show a table."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    on_gpus = torch.cuda.is_available()
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cuda" if on_gpus else "cpu")
    parser.add_argument("--processes", type=int, default=2, help="against one")
    parser.add_argument("--batch", type=int, default=16, help="crops of all processes together")
    parser.add_argument("--folder", type=Path, help="keep the runs in this one, which must be empty")
    arguments = parser.parse_args()
    if arguments.processes < 2 or arguments.batch % arguments.processes:
        parser.error(f"a batch of {arguments.batch} cannot be shared by {arguments.processes} processes")
    if arguments.device == "cuda" and torch.cuda.device_count() < arguments.processes:
        parser.error(f"{arguments.processes} processes need as many GPUs, and there are {torch.cuda.device_count()}")
    with tempfile.TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        write_corpus(folder / "corpus")
        (folder / "run.yaml").write_text(yaml.safe_dump(CONFIG))
        trainer = Trainer(folder.resolve(), arguments.device, arguments.batch)
        trainer.train(START, (*SCRATCH, "training.num_epochs=1", "model.matryoshka_dims=[16]"), n_processes=1)
        cases = CASES + (ON_GPUS if arguments.device == "cuda" else ())
        sys.exit(show(trainer, cases, n_processes=arguments.processes))


def show(trainer: Trainer, cases: tuple[Case, ...], *, n_processes: int) -> int:
    """Print the differences of each kind of run; return 1 if one is above its limit."""
    print(f"1x{trainer.batch} against {n_processes}x{trainer.batch // n_processes} on {trainer.device}\n")
    print("| run | losses | furthest apart | as a share | limit |\n|---|---|---|---|---|")
    failed = 0
    for case in cases:
        n_losses, apart, share = trainer.compare(case, n_processes=n_processes)
        failed |= share > case.limit
        mark = ", **beyond**" if share > case.limit else ""
        print(f"| {case.name} | {n_losses} | {apart:.1e} | {share:.1e}{mark} | {case.limit:.0e} |", flush=True)
    if trainer.device == "cpu":
        print("\nsynchronised: not run, torch trains it on GPUs alone")
    return failed


if __name__ == "__main__":
    main()
