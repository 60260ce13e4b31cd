"""Fit the recipe that a head run has kept again, to training and held-out speakers together."""

import hashlib
import json
import logging
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from mrlspk.data.build import TrainingData
from mrlspk.data.manifest import Manifest
from mrlspk.distributed import on_rank_zero
from mrlspk.errors import MrlspkError, StoppedError
from mrlspk.models.checkpoints import read_checkpoint, save_checkpoint, schema
from mrlspk.models.checkpoints.model_card import ModelCard, RefitCard
from mrlspk.models.headed_model import HeadedModel
from mrlspk.training.all_speakers import join_speakers, only_held_out
from mrlspk.training.card_files import describe_data
from mrlspk.training.checkpoints.averaging import average_checkpoints
from mrlspk.training.checkpoints.restore import restore
from mrlspk.training.checkpoints.resume_point import read_resume_point
from mrlspk.training.checkpoints.run_folder import BEST, LAST, ROTATION, START, TRAINED, kept_epochs
from mrlspk.training.checkpoints.saving import run_entries, save_with_card
from mrlspk.training.fit import fit
from mrlspk.training.head.batches import StoredRows, Teacher
from mrlspk.training.head.head_run import build_head_loader, is_refitted, set_start
from mrlspk.training.head.initial_head import fit_start
from mrlspk.training.head.joined_rows import JoinedRows
from mrlspk.training.head.pooled_vectors import OnStage, SpeakerVectors, Stores, store_teacher
from mrlspk.training.optimiser import build_learning_rate
from mrlspk.training.plan import build_batches
from mrlspk.training.prepare import build_trained
from mrlspk.training.records import EpochRecord, RunFacts, StepRecord
from mrlspk.training.run import Run, build_run
from mrlspk.training.state import RunState
from mrlspk.training.step import wrap

log = logging.getLogger("mrlspk.training")

FOLDER = "refit"  # in the folder of the run, until it is done; in it one folder a recipe
# Entries of what was judged that the refitted checkpoint keeps.
MEASURED = schema.PROGRESS, schema.VALIDATION, schema.VERDICT, schema.AVERAGED_EPOCHS, schema.CONFIG


@dataclass(frozen=True, eq=False)
class _Material:
    """What the recipe is fitted to: data, whole utterances, crops and teacher of all speakers."""

    data: TrainingData
    vectors: SpeakerVectors
    crops: StoredRows
    teacher: Teacher | None


def refit(run: Run, stores: Stores, *, teacher: HeadedModel | None, on_stage: OnStage | None = None) -> None:
    """Fit the recipe of the best checkpoint to all speakers, and make the result the best checkpoint.

    Metrics and model card stay those of the recipe without the held-out speakers. If it is stopped, the run is resumed
    as any other. Every process calls it.

    Args:
        run: A head run that has its best checkpoint.
        stores: Of the encoder of the run.
        teacher: Another model whose similarities are distilled; None for none.
        on_stage: Called while vectors are stored.

    Raises:
        StoppedError: If a signal asked to stop; everything is saved.
        DataError: If an audio file cannot be read.
        MrlspkError: If a file cannot be written.
    """
    run_dir, ranks = run.run_dir, run.ranks
    kept = read_checkpoint(run_dir / BEST)
    if not is_refitted(kept):
        material = _gather(run.state, stores, teacher, on_stage)
        state = _build_state(run.state, material.data, run_dir / FOLDER / _recipe_digest(run.state, kept))
        entries = _fit(run, state, kept, material, on_stage if ranks.is_first else None)
        on_rank_zero(ranks, lambda: save_with_card(run_dir / BEST, _finished(entries, kept, state)))
        log.info("%s was fitted again to all %d speakers", BEST, len(material.data.train.speakers))
    on_rank_zero(ranks, lambda: shutil.rmtree(run_dir / FOLDER, ignore_errors=True))


def _gather(state: RunState, stores: Stores, teacher: HeadedModel | None, on_stage: OnStage | None) -> _Material:
    """Return the vectors of all speakers; those of training speakers are stored already."""
    plan, config = state.plan, state.config
    data = join_speakers(plan.data, config.data, seed=config.seed)
    others = only_held_out(plan.data, config.data, seed=config.seed)

    def crops_of(stores: Stores) -> StoredRows:
        sizes = len(plan.data.corpus.utterances), len(others.corpus.utterances)
        return JoinedRows((stores.crops(plan.data), stores.crops(others)), sizes)

    whole = tuple(stores.whole(corpus, with_choice=False) for corpus in (plan.data.corpus, others.corpus))
    taught = store_teacher(plan, teacher, crops_of, on_stage=on_stage, ranks=state.ranks) if teacher else None
    return _Material(data, _join_vectors(data.corpus, *whole), crops_of(stores), taught)


def _join_vectors(corpus: Manifest, first: SpeakerVectors, second: SpeakerVectors) -> SpeakerVectors:
    utterances = first.corpus.utterances + second.corpus.utterances
    index = {speaker: number for number, speaker in enumerate(corpus.speakers)}
    speakers = np.array([index[each.speaker_id] for each in utterances], np.int64)
    return SpeakerVectors(Manifest(corpus.root, utterances), torch.cat([first.pooled, second.pooled]), speakers)


def _build_state(state: RunState, data: TrainingData, folder: Path) -> RunState:
    """Return the state of a run on all speakers, before its first step, with a head of its own."""
    plan = replace(state.plan, data=data, run_dir=folder, resume_path=None)
    encoder = state.module.encoder.with_head(state.module.encoder.copy_head(), state.module.encoder.dims)
    module, optimiser = build_trained(plan, encoder, state.fabric, state.ranks)
    module.set_mode(backbone_frozen=True)
    return RunState(
        plan=plan,
        fabric=state.fabric,
        ranks=state.ranks,
        module=module,
        optimiser=optimiser,
        wrapped=wrap(state.fabric, module, optimiser),
        batches=build_batches(plan.config, data, state.ranks),
        architecture=state.architecture,
        card=state.card,
    )


def _fit(
    run: Run, state: RunState, kept: Mapping[str, Any], material: _Material, on_stage: OnStage | None
) -> dict[str, Any]:
    """Return the entries of the recipe fitted to all speakers."""
    folder, ranks = state.plan.run_dir, state.ranks
    state.start = {key: kept[key] for key in schema.RUN_START if key in kept}
    if not (folder / LAST).is_file():
        on_rank_zero(ranks, lambda: _write_start(state, material))
    contents = read_checkpoint(folder / START)
    if _name_of(kept) != TRAINED:
        return contents
    state.start = {key: contents[key] for key in schema.RUN_START if key in contents}
    state.module.load_entries(contents)
    set_start(state, contents)
    _train(run, state, kept, material, on_stage)
    if n_averaged := len(kept.get(schema.AVERAGED_EPOCHS, ())):
        return average_checkpoints(kept_epochs(folder)[-n_averaged:])
    return run_entries(state)


def _write_start(state: RunState, material: _Material) -> None:
    state.start = fit_start(state, material.vectors, material.crops)
    save_checkpoint(state.plan.run_dir / START, run_entries(state))


def _train(run: Run, state: RunState, kept: Mapping[str, Any], material: _Material, on_stage: OnStage | None) -> None:
    """Train as many epochs as the best head had, by the schedule of the whole run; resume if it was stopped."""
    config, folder = run.config, state.plan.run_dir
    rate = build_learning_rate(config, steps_per_epoch=state.steps_per_epoch)
    n_averaged = len(kept.get(schema.AVERAGED_EPOCHS, ()))
    training = config.training.model_copy(
        update={"num_epochs": kept[schema.PROGRESS]["epoch"], "early_stopping_epochs": None}
    )
    logs = config.logging.model_copy(update={"keep_last_n": n_averaged})
    state.plan = replace(state.plan, config=config.model_copy(update={"training": training, "logging": logs}))
    if (folder / LAST).is_file():
        restore(state, read_resume_point(folder / LAST))
    loader = build_head_loader(state, material.crops, material.teacher)
    watching = [_Steps(on_stage, state.steps_per_epoch * state.config.training.epochs)] if on_stage else []
    again = build_run(state, loader=loader, validator=run.validator, best_name=TRAINED)
    try:
        fit(replace(again, learning_rate=rate), watching)
    except StoppedError as error:
        fix = f"Resume with `resume={run.run_dir}`."
        raise StoppedError(f"the refit was {error.what}", error.exit_code - 128, where=run.run_dir, fix=fix) from error
    except MrlspkError as error:
        what = f"the refit on all speakers failed: {error.what}"
        fix = f"{BEST} is whole, as it was judged. Resume with `resume={run.run_dir}`, or set training.refit=false."
        raise MrlspkError(what, error.where, fix) from error


@dataclass(frozen=True)
class _Steps:
    """Tells how many steps of a refit are done."""

    on_stage: OnStage
    total: int

    def run_started(self, facts: RunFacts) -> None:
        """Do nothing: the run has been described."""

    def step_done(self, record: StepRecord) -> None:
        """Tell the step."""
        self.on_stage("refit", record.step, self.total)

    def epoch_done(self, record: EpochRecord) -> None:
        """Do nothing: its validation is on speakers that it was trained on."""

    def run_ended(self) -> None:
        """Do nothing."""


def _recipe_digest(state: RunState, kept: Mapping[str, Any]) -> str:
    """Return what tells a refit that was stopped from one of another verdict, epoch or configuration."""
    recipe = state.config.model_dump(mode="json"), kept[schema.PROGRESS], kept.get(schema.VERDICT)
    return hashlib.sha256(json.dumps(recipe, sort_keys=True).encode()).hexdigest()[:16]


def _name_of(kept: Mapping[str, Any]) -> str:
    """Return the file that holds what was kept."""
    verdict = kept.get(schema.VERDICT)
    return {"rotation": ROTATION, "start": START, "trained": TRAINED}[verdict["kept"]] if verdict else ROTATION


def _finished(entries: Mapping[str, Any], kept: Mapping[str, Any], state: RunState) -> dict[str, Any]:
    """Return the entries of the best checkpoint: the weights of all speakers, the metrics of what was judged."""
    measured = {key: kept[key] for key in MEASURED if key in kept}
    card, speakers, twin = ModelCard.model_validate(kept[schema.CARD]), state.plan.data.train.speakers, _name_of(kept)
    said = f"{card.trials.description}; measured on {twin}, the same recipe without these speakers"
    card = card.model_copy(
        update={
            "data": describe_data(state.plan),
            "trials": card.trials.model_copy(update={"description": said}),
            "refit": RefitCard(speakers=len(speakers), held_out_model=twin),
        }
    )
    return {**entries, **measured, schema.CORPUS: state.plan.corpus, schema.CARD: card.entry()}
