"""Checkpoints of a run: what to go on from, what to evaluate, which to keep."""

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from torch.optim import Optimizer

from mrlspk.config import Config
from mrlspk.config.architecture import Architecture
from mrlspk.distributed import Ranks
from mrlspk.inference.provenance import provenance_of_run
from mrlspk.models.checkpoints import encoder_entries, save_checkpoint, schema
from mrlspk.models.checkpoints.model_card import ModelCard, read_card
from mrlspk.training.cards.files import write_card
from mrlspk.training.checkpoints.random_state import random_state
from mrlspk.training.modules import TrainedModule
from mrlspk.training.records import Progress, ValidationResult

BEST, LAST = "best.pt", "last.pt"
# Of a head run: what it has to beat, where training started if that is not the same, and its best epoch.
ROTATION, START, TRAINED = "rotation.pt", "start.pt", "trained.pt"
UNTRAINED = ROTATION, START


@dataclass(frozen=True)
class RunState:
    """All that changes during a run, and what must not.

    Attributes:
        module: Encoder and loss, not wrapped.
        optimiser: Not wrapped.
        fabric: Whose number format may have a state (the loss scale of fp16).
        ranks: The processes of the run.
        architecture: What rebuilds the encoder.
        config: Resolved.
        corpus: Fingerprints of the training utterances and of the validation trials.
        card: Of the run's checkpoints, without the figures of any.
        origin: The entries `schema.RUN_START` of each checkpoint; filled before the first is written.
    """

    module: TrainedModule
    optimiser: Optimizer
    fabric: Fabric
    ranks: Ranks
    architecture: Architecture
    config: Config
    corpus: dict[str, str]
    card: ModelCard
    origin: dict[str, Any] = field(default_factory=dict)

    def entries(self, progress: Progress, validation: ValidationResult | None) -> dict[str, Any]:
        """Return what a checkpoint holds of the model and of this process: tensors and plain values only.

        Args:
            progress: How far the run is.
            validation: Figures of this very model; None where it has none.
        """
        card = (
            self.card.with_results(validation.eer, validation.min_dcf, epoch=progress.epoch)
            if validation
            else self.card
        )
        return {
            **encoder_entries(self.module.current_encoder(), self.architecture),
            **self.module.entries(),
            **self.origin,
            schema.PROVENANCE: provenance_of_run(self.config, self.card.base).entry(),
            schema.CONFIG: self.config.model_dump(mode="json"),
            schema.OPTIMISER: self.optimiser.state_dict(),
            schema.PROGRESS: asdict(progress),
            **({schema.VALIDATION: asdict(validation)} if validation else {}),
            schema.CORPUS: self.corpus,
            schema.CARD: card.entry(),
            schema.PRECISION: self.fabric.strategy.precision.state_dict(),
        }

    def entries_of_all(self) -> dict[str, Any]:
        """Return what a checkpoint to go on from holds of all processes; every one must call it."""
        return {
            schema.RANDOM_STATES: self.ranks.all_gather(random_state(self.fabric.device)),
            schema.PROCESSES: {"n": self.ranks.world_size, "effective_batch": effective_batch(self.config, self.ranks)},
        }


def effective_batch(config: Config, ranks: Ranks) -> int:
    """Return the crops of an optimiser step, over all processes and accumulated batches."""
    return config.training.batch * config.training.accumulation_steps * ranks.world_size


def save_with_card(path: Path, entries: dict[str, Any]) -> None:
    """Write a checkpoint, and beside it the card that it holds, if it does."""
    save_checkpoint(path, entries)
    if card := read_card(entries, path):
        write_card(path, card)


def save_epoch(run_dir: Path, entries: dict[str, Any], *, best_name: str | None, keep: bool, keep_last_n: int) -> None:
    """Write where wanted ``best_name`` with its card and ``epoch-NNN.pt``, then ``last.pt``.

    Kept ones beyond ``keep_last_n`` are removed.

    ``last.pt`` comes last: a run killed before it is resumed from the one before, and comes to the same best.
    """
    if best_name:
        save_with_card(run_dir / best_name, entries)
    if keep and keep_last_n:
        save_checkpoint(run_dir / f"epoch-{entries[schema.PROGRESS]['epoch']:03d}.pt", entries)
    save_checkpoint(run_dir / LAST, entries)
    kept = sorted(run_dir.glob("epoch-*.pt"))
    for old in kept[: max(0, len(kept) - keep_last_n)]:
        old.unlink()
