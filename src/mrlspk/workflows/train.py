"""Train an encoder from a configuration."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from mrlspk.config import Config, dump_config
from mrlspk.config.launcher import Launch
from mrlspk.data.left_out import LeftOut
from mrlspk.data.trials import write_trials
from mrlspk.distributed import on_rank_zero, raising_on_all_ranks
from mrlspk.evaluation.trial_list import VALIDATION_TRIALS
from mrlspk.files import whole_file
from mrlspk.inference.external_base import BaseSource, bundle_entry, check_bundle, find_source
from mrlspk.models.checkpoints import load_model, read_checkpoint, schema
from mrlspk.models.checkpoints.model_card import RefitCard, read_card
from mrlspk.models.checkpoints.plain_values import reading_entries
from mrlspk.models.headed_model import HeadedModel
from mrlspk.partial_files import remove_left_files
from mrlspk.rotation.transform import describe_transform
from mrlspk.training.best_epoch import average_last
from mrlspk.training.checkpoints.resume_point import find_run, warn_if_ended
from mrlspk.training.checkpoints.resumed_config import configure_resumed
from mrlspk.training.checkpoints.run_folder import (
    BEST,
    LAST,
    check_space,
    checkpoint_bytes,
    lock_run,
    write_corpus,
)
from mrlspk.training.checkpoints.saving import save_with_card
from mrlspk.training.corpus_sizes import choose_sizes
from mrlspk.training.fit import fit
from mrlspk.training.hardware import ALONE, build_fabric, leaves_unused
from mrlspk.training.head.head_run import begin_head_run, conclude_head_run
from mrlspk.training.head.pooled_vectors import AudioStores, OnStage, Stores, load_teacher, store_teacher
from mrlspk.training.head.vector_stores import VectorStores
from mrlspk.training.head.verdict import Verdict
from mrlspk.training.memory.auto_batch import choose_batch
from mrlspk.training.network.lora import without_adapters
from mrlspk.training.network.network_run import begin_network_run
from mrlspk.training.plan import RunPlan, choose_widths, read_data, warn_of_unused_corpora
from mrlspk.training.prepare import prepare
from mrlspk.training.processes import launch as start_processes
from mrlspk.training.records import Baselines, Observer, WarmStart
from mrlspk.training.refit import refit
from mrlspk.training.run import Run
from mrlspk.training.run_log import build_run_log
from mrlspk.training.start_model import configure_start, find_start, place_in_run
from mrlspk.training.state import RunState, describe_run
from mrlspk.training.validation import build_validation_trials
from mrlspk.training.vector_corpus import VectorData

ROTATED = describe_transform(centred=False, flatten=0.0, order=None)


@dataclass(frozen=True)
class TrainReport:
    """A run that has ended.

    ``best`` is the EER by width of the best checkpoint. ``transfer`` is what was taken over from another model; None
    from scratch. Runs that train only the head have ``baselines``, and ``verdict`` unless nothing was trained.
    ``transform`` says how the head of the best checkpoint was transformed before training; None for other runs.
    ``averaged_epochs`` are the epochs whose mean the best checkpoint is; empty if it is a single epoch.
    ``left_out`` is what is not used of the corpora, ``unreadable`` what is wrong with the training files that others
    replaced, by utterance id. ``vectors`` are the files that the validation trials are of; empty
    with audio. ``refit`` says that the best checkpoint was fitted again to all speakers, and which file of the run was
    not; None if it was not. ``wants_page`` is whether the configuration asks for the page of `report_run`.
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
    transform: dict[str, Any] | None = None
    averaged_epochs: tuple[int, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    unreadable: Mapping[str, str] = field(default_factory=dict)
    vectors: tuple[Path, ...] = ()
    refit: RefitCard | None = None
    wants_page: bool = False


def train(
    config: Config,
    *,
    cache_dir: Path | None,
    mirror: str | None = None,
    resume: str = "never",
    allow_changes: bool = False,
    max_batches: int | None = None,
    bundle: bool = False,
    launch: Launch = ALONE,
    named_keys: Collection[str] = (),
    observers: Sequence[Observer] = (),
    on_stage: OnStage | None = None,
) -> TrainReport:
    """Train, validate and save.

    With several processes each of them calls it and returns the report; only the first one writes and has observers.

    Args:
        config: The whole configuration; a resumed run has its own.
        cache_dir: Folder of fetched models.
        mirror: URL or folder with copies of the published files.
        resume: ``never``, ``auto`` or the path of a run or checkpoint.
        allow_changes: Resume with another configuration, corpus or number of processes.
        max_batches: End each epoch after so many batches; None for whole epochs.
        bundle: Put the model of another toolkit that a head was trained on into the best checkpoint.
        launch: How this process was started.
        named_keys: Dotted keys that were set explicitly; a resumed run must have had the same values, unless
            ``allow_changes``.
        observers: Watch the run, beside the logs that the configuration asks for.
        on_stage: Called with (what is stored, rows done, all rows) while vectors are stored.

    Raises:
        ConfigError: If a resumed run had another configuration, or the batch is larger than the epoch.
        DataError: If the corpus is at fault, or training, validation and test share speakers.
        CheckpointError: If the model to start from is not whole, or the run cannot be resumed.
        DownloadError: If a published model cannot be fetched.
        StoppedError: If a signal asked to stop; everything is saved.
    """
    config, resumed = configure_resumed(resume, config, named_keys=named_keys, allow_changes=allow_changes)
    if resumed:
        warn_if_ended(resumed, config.training.epochs)
    fabric = build_fabric(config.hardware, launch=launch, leaves_unused=leaves_unused(config))
    ranks = start_processes(fabric)  # before anything is written: until here each process has read the same
    with raising_on_all_ranks(ranks):  # before the corpus is read: a model at fault shows at once
        start = None if resumed else find_start(config, cache_dir=cache_dir, mirror=mirror)
        config = configure_start(config, start)
    config = choose_batch(config, cache_dir=cache_dir, mirror=mirror, ranks=ranks)
    run_dir, resume_path = on_rank_zero(ranks, lambda: find_run(config.logging, resume))
    with ExitStack() as stack:
        lock = partial(stack.enter_context, lock_run(run_dir, resumes=resume_path is not None))
        if resume_path:
            on_rank_zero(ranks, lock)
        with raising_on_all_ranks(ranks):  # if one machine lacks a file, no process waits for it
            warn_of_unused_corpora(config, named_keys)
            data = read_data(config)
            config = choose_widths(config, data, start)
            config = choose_sizes(config, data, n_processes=ranks.world_size, max_batches=max_batches)
        plan = RunPlan(
            config,
            data,
            run_dir,
            cache_dir=cache_dir,
            mirror=mirror,
            resume_path=resume_path,
            allow_changes=allow_changes,
            max_batches=max_batches,
            start=start,
        )
        state = prepare(plan, fabric, ranks, resumed=resumed)
        with raising_on_all_ranks(ranks):
            if bundle:
                check_bundle(_base_of(plan))
            teacher = load_teacher(plan)
        if not resume_path:  # a run that cannot start writes nothing, not even a lock
            on_rank_zero(ranks, lock)
        del resumed  # frees its tensors during the run
        report = _train(state, teacher, observers=observers, on_stage=on_stage)
        if bundle:
            on_rank_zero(ranks, lambda: _bundle(report.best_checkpoint))
        return report


def _base_of(plan: RunPlan) -> BaseSource | None:
    """Return where the base model of the head is that a run trains; None for other runs."""
    if path := plan.resume_path:
        return find_source(load_model(path), path)
    return plan.start.source if plan.start else None


def _bundle(best: Path) -> None:
    """Put the base model of a head into its checkpoint."""
    save_with_card(best, read_checkpoint(best) | bundle_entry(load_model(best), best))


def _train(
    state: RunState, teacher: HeadedModel | None, *, observers: Sequence[Observer], on_stage: OnStage | None
) -> TrainReport:
    """Write the plan, train, and report."""
    ranks, trains_head = state.ranks, state.config.trains_head_alone
    on_rank_zero(ranks, lambda: _write_plan(state))
    stores = _build_stores(state, on_stage)
    run = _begin(state, stores, teacher, on_stage)
    log = build_run_log(state.config.logging, run.run_dir, module=state.module, steps_per_epoch=state.steps_per_epoch)
    watching = [*log, *observers]
    _fit(run, watching if ranks.is_first else [])
    verdict = on_rank_zero(ranks, partial(conclude_head_run, run)) if trains_head else None
    if trains_head and state.config.training.refit:
        refit(run, stores, teacher=teacher, on_stage=on_stage)
    return _report(state, verdict)


def _begin(state: RunState, stores: Stores, teacher: HeadedModel | None, on_stage: OnStage | None) -> Run:
    """Store the vectors that the run needs, set the head that it starts from, and return the run."""
    plan = state.plan
    trials = build_validation_trials(state.config, plan.data)
    if not state.config.trains_head_alone:
        return begin_network_run(state, stores, trials)
    stored = None
    if teacher:
        stored = store_teacher(plan, teacher, lambda its: its.crops(plan.data), on_stage=on_stage, ranks=state.ranks)
    return begin_head_run(state, stores, trials, teacher=stored)


def _build_stores(state: RunState, on_stage: OnStage | None) -> Stores:
    """Return what gives the run its pooled vectors."""
    if isinstance(state.plan.data, VectorData):
        return VectorStores(state.config, state.plan.data)
    return AudioStores(state.config, without_adapters(state.module.encoder), on_stage, state.ranks)


def _write_plan(state: RunState) -> None:
    """Write configuration, validation trials and corpus, if the disk has room for the checkpoints of the run."""
    plan, run_dir = state.plan, state.plan.run_dir
    remove_left_files(run_dir)  # each may be as large as a checkpoint
    check_space(
        run_dir,
        checkpoint_bytes=checkpoint_bytes(state.module, state.optimiser),
        n_kept=plan.config.logging.keep_last_n,
    )
    with whole_file(run_dir / "config.yaml", force=True) as unfinished:
        unfinished.write_text(dump_config(plan.config), encoding="utf-8")
    if plan.start and plan.start.source:
        place_in_run(plan.start.source, run_dir)
    write_trials(plan.data.validation_trials, run_dir / VALIDATION_TRIALS)
    write_corpus(run_dir, plan.data.train.utterance_ids)


def _fit(run: Run, watching: Sequence[Observer]) -> None:
    """Train if anything is to be trained, and tell the observers; they are closed whatever happens."""
    try:
        facts = describe_run(run.state)
        with raising_on_all_ranks(run.ranks):
            for observer in watching:
                observer.run_started(facts)
        if not (run.config.trains_head_alone and run.config.head.trained == "none"):
            fit(run, watching)
            average_last(run)
    finally:
        for observer in watching:
            observer.run_ended()


def _report(state: RunState, verdict: Verdict | None) -> TrainReport:
    run_dir, config = state.plan.run_dir, state.config
    best = read_checkpoint(run_dir / BEST)
    with reading_entries(run_dir / BEST):
        best_epoch, eer = best[schema.PROGRESS]["epoch"], best[schema.VALIDATION]["eer"]
        best_eer = {dim: eer[dim] for dim in config.model.matryoshka_dims}
    return TrainReport(
        run_dir=run_dir,
        best_checkpoint=run_dir / BEST,
        last_checkpoint=run_dir / (LAST if state.progress.epoch else BEST),
        epochs=state.progress.epoch,
        best_epoch=best_epoch,
        best_by=str(config.evaluation.best_by),
        best=best_eer,
        transfer=state.warm_start,
        baselines=state.baselines,
        verdict=verdict,
        transform=best.get(schema.TRANSFORM, ROTATED) if config.trains_head_alone else None,
        averaged_epochs=tuple(best.get(schema.AVERAGED_EPOCHS, ())),
        left_out=state.plan.data.left_out,
        unreadable=state.progress.unreadable,
        vectors=config.data.val_vectors or config.data.vectors,
        refit=card.refit if (card := read_card(best, run_dir / BEST)) else None,
        wants_page=config.logging.report,
    )
