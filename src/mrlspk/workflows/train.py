"""Train an encoder as a configuration says."""

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from mrlspk.config import Config, dump_config
from mrlspk.config.launch import Launch
from mrlspk.data.trials import write_trials
from mrlspk.distributed import failing_together, on_rank_zero
from mrlspk.evaluation.trial_list import VALIDATION_TRIALS
from mrlspk.files import whole_file
from mrlspk.models.checkpoints import read_checkpoint, schema
from mrlspk.training.checkpoints.checkpoint import BEST, LAST
from mrlspk.training.checkpoints.corpus_list import write_corpus
from mrlspk.training.checkpoints.disk import check_space, checkpoint_bytes, remove_unfinished
from mrlspk.training.checkpoints.resume import configure_resumed
from mrlspk.training.checkpoints.run_folder import find_run, lock_run
from mrlspk.training.fit import fit
from mrlspk.training.head.run import HeadRun, build_head_run, conclude
from mrlspk.training.head.stores import OnStage, Stores
from mrlspk.training.head.teacher import build_teacher
from mrlspk.training.head.verdict import Verdict
from mrlspk.training.launch import launch as start_processes
from mrlspk.training.memory.auto_batch import choose_batch
from mrlspk.training.network.lora import without_adapters
from mrlspk.training.network.run import build_network_run
from mrlspk.training.prepare import prepare
from mrlspk.training.prepared import Prepared, Source
from mrlspk.training.records import Baselines, Observer, Progress, RunFacts, WarmStart
from mrlspk.training.run import Run
from mrlspk.training.run_log import build_run_log
from mrlspk.training.selection import average_last
from mrlspk.training.start import ALONE, build_fabric, leaves_unused
from mrlspk.training.validation import build_validation_trials


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
    transfer: WarmStart | None
    baselines: Baselines | None = None
    verdict: Verdict | None = None
    averaged_epochs: tuple[int, ...] = ()


def train(
    config: Config,
    source: Source,
    *,
    launch: Launch = ALONE,
    named_keys: Collection[str] = (),
    observers: Sequence[Observer] = (),
    on_stage: OnStage | None = None,
) -> TrainReport:
    """Train, validate and save.

    With several processes each of them calls it, and each returns the report; the first alone writes and is watched.

    Args:
        config: The whole configuration; that of a run that is resumed takes its place.
        source: Where the run comes from.
        launch: How this process was started.
        named_keys: Dotted keys that were asked for; a run that is resumed must have had the same values, unless
            ``source`` allows changes.
        observers: Watch the run, beside the logs that the configuration asks for.
        on_stage: Called with (what is made, how much of it there is, all of it) while vectors are stored.

    Raises:
        ConfigError: If a resumed run had another configuration, or the batch is larger than the epoch.
        DataError: If the corpus is at fault, or speakers of training, validation and test meet.
        CheckpointError: If the model to start from is not whole.
        DownloadError: If a published model cannot be fetched.
        StoppedError: If a signal asked for it, after all is saved.
    """
    config, resumed = configure_resumed(
        source.resume, config, named_keys=named_keys, allow_changes=source.allow_changes
    )
    fabric = build_fabric(config.hardware, launch=launch, leaves_unused=leaves_unused(config))
    ranks = start_processes(fabric)  # nothing is written before all are there: each has read the same until now
    config = choose_batch(config, cache_dir=source.cache_dir, mirror=source.mirror, ranks=ranks)
    folder = on_rank_zero(ranks, lambda: find_run(config.logging, source.resume))
    with ExitStack() as stack:
        hold = partial(stack.enter_context, lock_run(folder))
        if folder.resume_point:
            on_rank_zero(ranks, hold)
        prepared = prepare(config, fabric, ranks, source=source, folder=folder, resumed=resumed)
        if not folder.resume_point:  # nothing is written where nothing can begin
            on_rank_zero(ranks, hold)
        del resumed  # so that its tensors are not kept in memory through the run
        return _train(prepared, source, observers=observers, on_stage=on_stage)


def _train(
    prepared: Prepared, source: Source, *, observers: Sequence[Observer], on_stage: OnStage | None
) -> TrainReport:
    """Write what the run is of, train it, and return what came of it."""
    ranks = prepared.state.ranks
    on_rank_zero(ranks, lambda: _write_beginning(prepared))
    run, head_run = _build_run(prepared, source, on_stage)
    facts = replace(prepared.facts, baselines=head_run.baselines) if head_run else prepared.facts
    watching = [*build_run_log(run.config.logging, run.run_dir, module=run.state.module), *observers]
    progress = _watched_fit(
        run,
        prepared.progress,
        facts,
        watching if ranks.is_first else [],
        trains=head_run is None or head_run.trains,
    )
    verdict = on_rank_zero(ranks, partial(conclude, head_run)) if head_run else None
    return _report(prepared, progress, facts, verdict)


def _build_run(prepared: Prepared, source: Source, on_stage: OnStage | None) -> tuple[Run, HeadRun | None]:
    """Return the run, and what it has to beat where it trains the head alone."""
    config, ranks = prepared.config, prepared.state.ranks
    stores = Stores(config, without_adapters(prepared.encoder), on_stage, ranks)
    trials = build_validation_trials(config, prepared.data)
    if not config.trains_head_alone:
        return build_network_run(prepared, stores, trials), None
    teacher = build_teacher(
        config, prepared.data, cache_dir=source.cache_dir, mirror=source.mirror, on_stage=on_stage, ranks=ranks
    )
    head_run = build_head_run(prepared, stores, trials, teacher=teacher)
    return head_run.run, head_run


def _write_beginning(prepared: Prepared) -> None:
    """Write what a run is of, once its disk is known to have room for it."""
    config, run_dir, state = prepared.config, prepared.run_dir, prepared.state
    remove_unfinished(run_dir)
    check_space(
        run_dir,
        checkpoint_bytes=checkpoint_bytes(state.module, state.optimiser),
        n_kept=config.logging.keep_last_n,
    )
    run_dir.mkdir(parents=True, exist_ok=True)
    with whole_file(run_dir / "config.yaml") as unfinished:
        unfinished.write_text(dump_config(config), encoding="utf-8")
    write_trials(prepared.data.validation_trials, run_dir / VALIDATION_TRIALS)
    write_corpus(run_dir, prepared.data.train.utterance_ids)


def _report(prepared: Prepared, progress: Progress, facts: RunFacts, verdict: Verdict | None) -> TrainReport:
    run_dir, config = prepared.run_dir, prepared.config
    best = read_checkpoint(run_dir / BEST)
    return TrainReport(
        run_dir=run_dir,
        best_checkpoint=run_dir / BEST,
        last_checkpoint=run_dir / (LAST if progress.epoch else BEST),
        epochs=progress.epoch,
        best_epoch=best[schema.PROGRESS]["epoch"],
        best_by=str(config.evaluation.best_by),
        best={dim: best[schema.VALIDATION]["eer"][dim] for dim in config.model.matryoshka_dims},
        transfer=facts.transfer,
        baselines=facts.baselines,
        verdict=verdict,
        averaged_epochs=tuple(best.get(schema.AVERAGED_EPOCHS, ())),
    )


def _watched_fit(
    run: Run, progress: Progress, facts: RunFacts, watching: Sequence[Observer], *, trains: bool
) -> Progress:
    """Train, if that is wanted, and tell the observers; they close what they have open whatever happens."""
    try:
        with failing_together(run.ranks):
            for observer in watching:
                observer.run_started(facts)
        return average_last(run, fit(run, progress, watching)) if trains else progress
    finally:
        for observer in watching:
            observer.run_ended()
