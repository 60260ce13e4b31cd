"""Train an encoder as a configuration says."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from mrlspk.config import Config, dump_config
from mrlspk.data.trials import write_trials
from mrlspk.evaluation.sources import VALIDATION_TRIALS
from mrlspk.files import whole_file
from mrlspk.models.checkpoints import read_checkpoint
from mrlspk.training.averaged_best import average_last
from mrlspk.training.averaging import AVERAGED_EPOCHS
from mrlspk.training.baselines import Baselines
from mrlspk.training.checkpoint import BEST, LAST, Progress
from mrlspk.training.fit import Run, fit
from mrlspk.training.head_run import build_head_run, conclude
from mrlspk.training.head_stores import OnStage, Stores
from mrlspk.training.head_teacher import build_teacher
from mrlspk.training.lora import without_adapters
from mrlspk.training.network_run import build_network_run
from mrlspk.training.prepare import prepare
from mrlspk.training.records import Observer, RunFacts
from mrlspk.training.resume import resumed_config
from mrlspk.training.run_log import build_run_log
from mrlspk.training.transfer import Transfer
from mrlspk.training.validation import build_validation_trials
from mrlspk.training.verdict import Verdict


@dataclass(frozen=True)
class TrainReport:
    """A run that has ended; ``best`` is the EER by width of the best checkpoint, ``transfer`` None from scratch.

    ``baselines`` and ``verdict`` are of runs that train the head alone; ``verdict`` is None where nothing was trained.
    ``averaged_epochs`` are those whose mean the best checkpoint is; none where it is of one epoch.
    """

    run_dir: Path
    best_checkpoint: Path
    last_checkpoint: Path
    epochs: int
    best_epoch: int
    best_by: str
    best: dict[int, float]
    transfer: Transfer | None
    baselines: Baselines | None = None
    verdict: Verdict | None = None
    averaged_epochs: tuple[int, ...] = ()


def train(
    config: Config,
    *,
    cache_dir: Path,
    mirror: str | None = None,
    resume: str = "never",
    named_keys: Collection[str] = (),
    max_batches: int | None = None,
    observers: Sequence[Observer] = (),
    on_stage: OnStage | None = None,
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
        on_stage: Called with (what is made, how much of it there is, all of it) while vectors are stored.

    Raises:
        ConfigError: If a resumed run had another configuration, or the batch is larger than the epoch.
        DataError: If the corpus is at fault, or speakers of training, validation and test meet.
        CheckpointError: If the model to start from is not whole.
        DownloadError: If a published model cannot be fetched.
    """
    config = resumed_config(resume, config, named_keys=named_keys)
    prepared = prepare(config, cache_dir=cache_dir, mirror=mirror, resume=resume, max_batches=max_batches)
    run_dir, facts = prepared.run_dir, prepared.facts
    run_dir.mkdir(parents=True, exist_ok=True)
    with whole_file(run_dir / "config.yaml") as partial:
        partial.write_text(dump_config(config), encoding="utf-8")
    write_trials(prepared.data.validation_trials, run_dir / VALIDATION_TRIALS)
    stores = Stores(config, without_adapters(prepared.encoder), on_stage)
    trials = build_validation_trials(config, prepared.data)
    head_run = None
    if config.trains_head_alone:
        teacher = build_teacher(config, prepared.data, cache_dir=cache_dir, mirror=mirror, on_stage=on_stage)
        head_run = build_head_run(prepared, stores, trials, teacher=teacher)
        run, facts = head_run.run, replace(facts, baselines=head_run.baselines)
    else:
        run = build_network_run(prepared, stores, trials)
    watching = [*build_run_log(config.logging, run_dir), *observers]
    progress = _watched_fit(run, prepared.progress, facts, watching, trains=head_run is None or head_run.trains)
    verdict = conclude(head_run) if head_run else None
    best = read_checkpoint(run_dir / BEST)
    return TrainReport(
        run_dir=run_dir,
        best_checkpoint=run_dir / BEST,
        last_checkpoint=run_dir / (LAST if progress.epoch else BEST),
        epochs=progress.epoch,
        best_epoch=best["progress"]["epoch"],
        best_by=str(config.evaluation.best_by),
        best={dim: best["validation"]["eer"][dim] for dim in config.model.matryoshka_dims},
        transfer=facts.transfer,
        baselines=facts.baselines,
        verdict=verdict,
        averaged_epochs=tuple(best.get(AVERAGED_EPOCHS, ())),
    )


def _watched_fit(
    run: Run, progress: Progress, facts: RunFacts, watching: Sequence[Observer], *, trains: bool
) -> Progress:
    """Train, if that is wanted, and tell the observers; they close what they have open whatever happens."""
    try:
        for observer in watching:
            observer.run_started(facts)
        return average_last(run, fit(run, progress, watching)) if trains else progress
    finally:
        for observer in watching:
            observer.run_ended()
