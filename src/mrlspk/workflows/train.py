"""Train an encoder as a configuration says."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

from mrlspk.config import Config, dump_config
from mrlspk.data.trials import write_trials
from mrlspk.evaluation.sources import VALIDATION_TRIALS
from mrlspk.files import whole_file
from mrlspk.models.checkpoints import read_checkpoint
from mrlspk.training.checkpoint import BEST, LAST
from mrlspk.training.fit import fit
from mrlspk.training.prepare import prepare
from mrlspk.training.records import Observer
from mrlspk.training.resume import resumed_config
from mrlspk.training.run_log import build_run_log
from mrlspk.training.transfer import Transfer


@dataclass(frozen=True)
class TrainReport:
    """A run that has ended; ``best`` is the EER by width of the best checkpoint, ``transfer`` None from scratch."""

    run_dir: Path
    best_checkpoint: Path
    last_checkpoint: Path
    epochs: int
    best_epoch: int
    best_by: str
    best: dict[int, float]
    transfer: Transfer | None


def train(
    config: Config,
    *,
    cache_dir: Path,
    mirror: str | None = None,
    resume: str = "never",
    named_keys: Collection[str] = (),
    max_batches: int | None = None,
    observers: Sequence[Observer] = (),
) -> TrainReport:
    """Train, validate and save.

    Args:
        config: The whole configuration; that of a run that is resumed takes its place.
        cache_dir: Folder of fetched models.
        mirror: URL or folder with copies of the published files.
        resume: ``never``, ``auto`` or the path of a run or checkpoint.
        named_keys: Dotted keys that were asked for; a run that is resumed must have had the same values.
        max_batches: End each epoch after so many batches.
        observers: Watch the run, beside the logs that the configuration asks for.

    Raises:
        ConfigError: If a resumed run had another configuration, or the batch is larger than the epoch.
        DataError: If the corpus is at fault, or speakers of training, validation and test meet.
        CheckpointError: If the model to start from is not whole.
        DownloadError: If a published model cannot be fetched.
    """
    config = resumed_config(resume, config, named_keys=named_keys)
    prepared = prepare(config, cache_dir=cache_dir, mirror=mirror, resume=resume, max_batches=max_batches)
    run, data = prepared.run, prepared.data
    run.run_dir.mkdir(parents=True, exist_ok=True)
    with whole_file(run.run_dir / "config.yaml") as partial:
        partial.write_text(dump_config(config), encoding="utf-8")
    write_trials(data.validation_trials, run.run_dir / VALIDATION_TRIALS)
    watching = [*build_run_log(config.logging, run.run_dir), *observers]
    try:
        for observer in watching:
            observer.run_started(prepared.facts)
        progress = fit(run, prepared.progress, watching)
    finally:
        for observer in watching:
            observer.run_ended()
    validation = read_checkpoint(run.run_dir / BEST)["validation"]
    return TrainReport(
        run_dir=run.run_dir,
        best_checkpoint=run.run_dir / BEST,
        last_checkpoint=run.run_dir / LAST,
        epochs=progress.epoch,
        best_epoch=progress.best_epoch,
        best_by=str(config.evaluation.best_by),
        best=validation["eer"],
        transfer=prepared.facts.transfer,
    )
