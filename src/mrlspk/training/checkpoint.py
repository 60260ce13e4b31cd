"""Checkpoints of a run: what to go on from, what to evaluate, which to keep."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from pydantic import NonNegativeInt, TypeAdapter
from torch.optim import Optimizer

from mrlspk.config import Config
from mrlspk.config.architecture import Architecture
from mrlspk.errors import CheckpointError
from mrlspk.models.checkpoints import encoder_entries, read_checkpoint, save_model
from mrlspk.training.card_files import write_card
from mrlspk.training.model_card import ENTRY, ModelCard, read_card
from mrlspk.training.modules import TrainedModule
from mrlspk.training.validation import ValidationResult

BEST, LAST = "best.pt", "last.pt"
# Of a head run: what it has to beat, where training started if that is not the same, and its best epoch.
ROTATION, START, TRAINED = "rotation.pt", "start.pt", "trained.pt"
UNTRAINED = ROTATION, START
ORIGIN = "rotation", "own_head", "baselines", "start"  # entries that say where the run began


@dataclass(frozen=True)
class Progress:
    """How far a run is: epochs and optimiser steps done, and the least value of what the best has least of.

    ``best_within_limit``: whether the full width of the best epoch is as good as it has to be, where there is a limit.
    """

    epoch: NonNegativeInt = 0
    step: NonNegativeInt = 0
    best_value: float = float("inf")
    best_epoch: NonNegativeInt = 0
    best_within_limit: bool = True


@dataclass(frozen=True)
class RunState:
    """All that changes during a run, and what must not.

    Attributes:
        module: Encoder and loss, not wrapped.
        optimiser: Not wrapped.
        fabric: Whose number format may have a state (the loss scale of fp16).
        architecture: What rebuilds the encoder.
        config: Resolved.
        corpus: Fingerprints of the training utterances and of the validation trials.
        card: Of the run's checkpoints, without the figures of any.
        origin: The entries `ORIGIN` of each checkpoint; filled before the first is written.
    """

    module: TrainedModule
    optimiser: Optimizer
    fabric: Fabric
    architecture: Architecture
    config: Config
    corpus: dict[str, str]
    card: ModelCard
    origin: dict[str, Any] = field(default_factory=dict)

    def entries(self, progress: Progress, validation: ValidationResult) -> dict[str, Any]:
        """Return the checkpoint: tensors and plain values only."""
        return {
            **encoder_entries(self.module.current_encoder(), self.architecture),
            **self.module.entries(),
            **self.origin,
            "config": self.config.model_dump(mode="json"),
            "optimiser": self.optimiser.state_dict(),
            "progress": asdict(progress),
            "validation": asdict(validation),
            "corpus": self.corpus,
            ENTRY: self.card.with_results(validation, epoch=progress.epoch).entry(),
            "precision": self.fabric.strategy.precision.state_dict(),
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        }

    def restore(self, path: Path) -> Progress:
        """Load model, class weights, optimiser and generator from ``path``; return how far it was.

        Raises:
            CheckpointError: If the file is not the checkpoint of a run of this architecture and corpus.
        """
        contents = read_checkpoint(path)
        if "corpus" not in contents:
            raise CheckpointError(
                "it does not say what corpus it was trained on",
                path,
                "Begin a new run with --init-from.",
            )
        if contents["corpus"] != self.corpus:
            raise CheckpointError(
                "the corpus is not the one that it was trained on: utterances were added, removed or renamed",
                path,
                "Bring the corpus back to what it was, or begin a new run with --init-from.",
            )
        try:
            self.module.load_entries(contents)
            self.origin.update({key: contents[key] for key in ORIGIN if key in contents})
            self.optimiser.load_state_dict(contents["optimiser"])
            self.fabric.strategy.precision.load_state_dict(contents["precision"])
            torch.set_rng_state(contents["rng"])
            if torch.cuda.is_available():
                torch.cuda.set_rng_state_all(contents["cuda_rng"])
            return TypeAdapter(Progress).validate_python(contents["progress"])
        except (KeyError, TypeError, RuntimeError, ValueError) as error:
            raise CheckpointError(
                f"training cannot go on from it: {error}", path, "Resume with the corpus and configuration of its run."
            ) from error


def save_with_card(path: Path, entries: dict[str, Any]) -> None:
    """Write a checkpoint, and beside it the card that it holds, if it does."""
    save_model(path, entries)
    if card := read_card(entries, path):
        write_card(path, card)


def save_epoch(run_dir: Path, entries: dict[str, Any], *, best_name: str | None, keep: bool, keep_last_n: int) -> None:
    """Write where wanted ``best_name`` with its card and ``epoch-NNN.pt``, then ``last.pt``.

    Kept ones beyond ``keep_last_n`` are removed.

    ``last.pt`` comes last: a run killed before it is resumed from the epoch before, and comes to the same best.
    """
    if best_name:
        save_with_card(run_dir / best_name, entries)
    if keep and keep_last_n:
        save_model(run_dir / f"epoch-{entries['progress']['epoch']:03d}.pt", entries)
    save_model(run_dir / LAST, entries)
    kept = sorted(run_dir.glob("epoch-*.pt"))
    for old in kept[: max(0, len(kept) - keep_last_n)]:
        old.unlink()
