"""Set up a run that trains the head on stored vectors; choose ``best.pt`` at its end."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from mrlspk.distributed import on_rank_zero
from mrlspk.errors import CheckpointError
from mrlspk.files import remove_file
from mrlspk.models.checkpoints import read_checkpoint, schema
from mrlspk.models.head import MatryoshkaHead
from mrlspk.models.headed_model import HeadedModel
from mrlspk.training.checkpoints.run_folder import BEST, ROTATION, START, TRAINED
from mrlspk.training.checkpoints.saving import run_entries, save_with_card
from mrlspk.training.head.batches import StoredBatches, StoredRows, Teacher
from mrlspk.training.head.closed_forms import ClosedForms
from mrlspk.training.head.initial_head import (
    compare_start,
    embed_rows,
    has_choice,
    rotate_start,
    set_means,
    train_first_head,
)
from mrlspk.training.head.judges import divide, draw_judges, judged_entries
from mrlspk.training.head.module import HeadModule, add_decay_to_start
from mrlspk.training.head.pooled_vectors import SpeakerVectors, Stores
from mrlspk.training.head.transformed_start import transform_head, wants_transform
from mrlspk.training.head.verdict import Candidate, Verdict, reach_verdict
from mrlspk.training.run import Run, build_run
from mrlspk.training.state import RunState
from mrlspk.training.validation import StoredValidator, ValidationTrials, embed_pooled

HEAD = "head."  # prefix of the head's entries in a state dict


def begin_head_run(state: RunState, stores: Stores, trials: ValidationTrials, *, teacher: Teacher | None) -> Run:
    """Store vectors, write the start of a new run or read that of a resumed one, and return the run.

    Args:
        state: Of the run; a new one gets its start.
        stores: Of the encoder of the run.
        trials: Validation trials.
        teacher: Another model whose similarities are distilled; None for none.

    Raises:
        DataError: If an audio file cannot be read.
        MrlspkError: If the vectors cannot be written.
        CheckpointError: If the start of a resumed run is gone.
    """
    module, plan, ranks = _head_module(state), state.plan, state.ranks
    held_out, vectors, crops = store_vectors(state, stores, trials)
    judges = tuple(state.start.get(schema.JUDGES, ())) if plan.resumes else draw_judges(trials, seed=state.config.seed)
    choosing, judging = divide(trials, judges)
    if vectors is not None:
        found = vectors
        state.start = {schema.JUDGES: list(judges)}
        state.start = on_rank_zero(ranks, lambda: _write_start(state, found, choosing, held_out=held_out, crops=crops))
        ranks.broadcast_tensors(module.state_dict().values())
    contents = _read_start(state)
    set_start(state, contents)
    return build_run(
        state,
        loader=build_head_loader(state, crops, teacher),
        validator=StoredValidator(choosing, held_out, judging=judging, ranks=ranks),
        full_width_limit=contents[schema.BASELINES]["rotation"][state.config.model.embed_dim],
        best_name=TRAINED,
    )


def store_vectors(
    state: RunState, stores: Stores, trials: ValidationTrials
) -> tuple[Tensor, SpeakerVectors | None, StoredRows]:
    """Return the vectors of the validation trials, of whole utterances (None for a resumed run), and of the crops."""
    held_out, vectors = stores.held_out(trials), None
    if not state.plan.resumes:  # before the crops, so that faults show early
        vectors = stores.whole(state.plan.data.corpus, with_choice=has_choice(state) or wants_transform(state))
    return held_out, vectors, stores.crops(state.plan.data)


def build_head_loader(state: RunState, crops: StoredRows, teacher: Teacher | None) -> StoredBatches:
    """Return the batches of a head run."""
    classes = state.plan.data.train.classes_of(state.config.features.crops_per_utterance)
    return StoredBatches(crops, classes, state.batches, device=state.fabric.device, teacher=teacher)


def conclude_head_run(run: Run) -> Verdict | None:
    """Write ``best.pt``: the best trained head, or a closed form if the head is not better; return the verdict.

    Its metrics are those on the speakers that judged. If nothing was trained, it is the rotation and there is no
    verdict. A best checkpoint that was refitted after the same verdict stays.

    Raises:
        CheckpointError: If a checkpoint of the run is gone.
    """
    config, validator = run.config, run.validator
    assert isinstance(validator, StoredValidator)
    if config.head.trained == "none":
        _save_best(run.run_dir / BEST, read_checkpoint(run.run_dir / ROTATION))
        return None
    encoder, judging = run.state.module.current_encoder(), validator.judging
    found = {name: read_checkpoint(run.run_dir / file) for name, file in _candidates(run.state).items()}
    embeddings = {
        name: embed_pooled(encoder.with_head(_head_of(contents, encoder), encoder.dims), validator.pooled).numpy()
        for name, contents in found.items()
    }
    verdict = reach_verdict(
        judging,
        embeddings,
        n_resamples=config.evaluation.n_resamples,
        seed=config.seed,
        judges_chose_epoch=judging is validator.trials,
        closed_forms=ClosedForms(**entry) if (entry := run.state.start.get(schema.CLOSED_FORMS)) else None,
    )
    kept = found[verdict.kept] | {schema.VERDICT: asdict(verdict)}
    if not verdict.judges_chose_epoch:
        kept |= judged_entries(kept, judging, judging.result(embeddings[verdict.kept]))
    _save_best(run.run_dir / BEST, kept)
    return verdict


def is_refitted(contents: Mapping[str, Any]) -> bool:
    """Return whether a checkpoint was fitted again to all speakers."""
    return bool(contents.get(schema.CARD, {}).get("refit"))


def _save_best(path: Path, kept: dict[str, Any]) -> None:
    """Write the best checkpoint, unless it is there and was refitted after the same verdict on the same epoch."""
    if path.is_file():
        there = read_checkpoint(path)
        if is_refitted(there) and all(there.get(key) == kept.get(key) for key in (schema.PROGRESS, schema.VERDICT)):
            return
    save_with_card(path, kept)


def _candidates(state: RunState) -> dict[Candidate, str]:
    """Return the file of each candidate, from the simplest on."""
    files: dict[Candidate, str] = {"rotation": ROTATION, "start": START, "trained": TRAINED}
    if state.start.get(schema.START, ROTATION) == ROTATION:
        del files["start"]
    return files


def _head_module(state: RunState) -> HeadModule:
    assert isinstance(state.module, HeadModule)
    return state.module


def _write_start(
    state: RunState, vectors: SpeakerVectors, trials: ValidationTrials, *, held_out: Tensor, crops: StoredRows
) -> Mapping[str, Any]:
    """Write the rotation, and the transformed head if training starts from one; return the entries of the start."""
    own = state.published_head
    if own is None or state.config.head.start == "random":
        own = train_first_head(state, crops, vectors.pooled)
    found = rotate_start(state, own, vectors, trials=trials, held_out=held_out)
    start = {**state.start, **found.entries(), schema.START: ROTATION}
    remove_file(state.plan.run_dir / START)  # of a run that was stopped before its first step
    _write_untrained(ROTATION, state, start, trials, held_out=held_out, crops=crops)
    if wants_transform(state):
        if compared := compare_start(state, found, vectors):
            start[schema.CLOSED_FORMS] = compared.entry()
        start = start | {schema.START: START, schema.TRANSFORM: transform_head(state, own, vectors, crops)}
        _write_untrained(START, state, start, trials, held_out=held_out, crops=crops)
    return start


def _write_untrained(
    name: str,
    state: RunState,
    start: Mapping[str, Any],
    trials: ValidationTrials,
    *,
    held_out: Tensor,
    crops: StoredRows,
) -> None:
    """Set the prototypes to the class means under the current head if wanted, and write both."""
    module, classes = state.module, state.plan.data.train.classes
    if state.wants_class_means:
        set_means(module.criterion, embed_rows(module.encoder, crops, len(classes)), torch.from_numpy(classes))
    validation = StoredValidator(trials, held_out).validate(module.encoder)
    save_with_card(state.plan.run_dir / name, run_entries(replace(state, start=start), validation))


def _read_start(state: RunState) -> dict[str, Any]:
    """Return the checkpoint that training starts from."""
    path = state.plan.run_dir / str(state.start.get(schema.START, ROTATION))
    if not path.is_file():
        raise CheckpointError(
            "the start of the run is gone", path, "Restore rotation.pt and start.pt, or begin a new run."
        )
    return read_checkpoint(path)


def set_start(state: RunState, contents: dict[str, Any]) -> None:
    """Let the head start from the checkpoint of the start, and decay towards it."""
    module, config = _head_module(state), state.config.head
    head = _head_of(contents, module.encoder)
    module.set_start(head)
    module.set_mode()
    if not config.start_decay:
        return
    start: dict[nn.Parameter, Tensor] = {}
    if config.trained == "linear":
        linear = dict(head.linear.named_parameters())
        start = {each: linear[name].detach() for name, each in module.encoder.linear_parameters().items()}
    if config.class_start == "means":
        classes = dict(module.criterion.named_parameters())
        start |= {parameter: contents[schema.CRITERION][name] for name, parameter in classes.items()}
    add_decay_to_start(state.optimiser, start, decay=config.start_decay)


def _head_of(contents: dict[str, Any], like: HeadedModel) -> MatryoshkaHead:
    """Return the head in a checkpoint's entries, on the device of ``like``."""
    head = like.copy_head()  # a new head would consume random numbers, and a resumed run would differ from then on
    entries = {name: values for name, values in contents[schema.MODEL].items() if name.startswith(HEAD)}
    head.load_state_dict({name.removeprefix(HEAD): values for name, values in entries.items()})
    return head.eval()
