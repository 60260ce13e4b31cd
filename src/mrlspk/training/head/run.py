"""A run that trains the head alone, on stored vectors: what it begins with, and the verdict that it ends with."""

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from mrlspk.distributed import on_rank_zero
from mrlspk.errors import CheckpointError
from mrlspk.feature_store.store import FeatureStore
from mrlspk.models.checkpoints import read_checkpoint, schema
from mrlspk.models.encoder import Encoder
from mrlspk.models.head import MatryoshkaHead
from mrlspk.training.checkpoints.checkpoint import BEST, ROTATION, START, TRAINED, save_with_card
from mrlspk.training.head.batches import StoredBatches, Teacher
from mrlspk.training.head.first_head import train_first_head
from mrlspk.training.head.module import HeadModule
from mrlspk.training.head.optimiser import add_decay_to_start
from mrlspk.training.head.start import embed_rows, flatten_head, has_choice, set_means, start_head
from mrlspk.training.head.stores import SpeakerVectors, Stores
from mrlspk.training.head.verdict import Verdict, reach_verdict
from mrlspk.training.optimiser import build_learning_rate
from mrlspk.training.prepared import Prepared, build_stepper
from mrlspk.training.records import Baselines
from mrlspk.training.run import Run
from mrlspk.training.validation import StoredValidator, ValidationTrials, embed_pooled

HEAD = "head."  # how the names of the head's entries begin


@dataclass(frozen=True)
class HeadRun:
    """A run that `fit` takes, and what it has to beat on the validation trials.

    Attributes:
        run: The run.
        trials: What is scored.
        held_out: (utterances, in_features) pooled vectors of the trials' utterances.
        baselines: Their rates before training.
        trains: Whether anything of the head is trained.
    """

    run: Run
    trials: ValidationTrials
    held_out: Tensor
    baselines: Baselines
    trains: bool = True


def build_head_run(prepared: Prepared, stores: Stores, trials: ValidationTrials, *, teacher: Teacher | None) -> HeadRun:
    """Return the run; the rotation and where training starts are written, or read by a run that is resumed.

    Args:
        prepared: The parts of the run.
        stores: Of its encoder.
        trials: Among held-out speakers.
        teacher: Another model, whose similarities are taught; None for none.

    Raises:
        DataError: If an audio file cannot be read.
        MrlspkError: If the vectors cannot be written.
        CheckpointError: If a run that is resumed has lost its start.
    """
    module, config = _head_module(prepared), prepared.config
    held_out = stores.held_out(trials)
    vectors = None
    if not prepared.resumes:  # before the crops, so that faults show early
        vectors = stores.whole(prepared.data.corpus, with_choice=has_choice(prepared))
    crops = stores.crops(prepared.data)
    ranks = prepared.state.ranks
    if vectors is not None:
        found = vectors
        on_rank_zero(ranks, lambda: _write_start(prepared, found, trials, held_out=held_out, crops=crops))
        ranks.broadcast_tensors(module.state_dict().values())
        prepared.state.origin.update(ranks.broadcast(prepared.state.origin))
    contents = _read_start(prepared)
    baselines = Baselines(**contents[schema.BASELINES])
    _begin_at(prepared, module, contents)
    run = Run(
        stepper=build_stepper(prepared),
        state=prepared.state,
        loader=StoredBatches(
            crops,
            prepared.data.train.classes_of(config.features.crops_per_utterance),
            prepared.batches,
            device=prepared.fabric.device,
            teacher=teacher,
        ),
        batches=prepared.batches,
        name_crop=prepared.name_crop,
        learning_rate=build_learning_rate(config, steps_per_epoch=prepared.steps_per_epoch),
        validator=StoredValidator(trials, held_out, ranks=ranks),
        run_dir=prepared.run_dir,
        config=config,
        max_batches=prepared.max_batches,
        full_width_limit=baselines.rotation[config.model.embed_dim],
        best_name=TRAINED,
    )
    return HeadRun(run, trials, held_out, baselines, trains=config.head.trained != "none")


def conclude(head_run: HeadRun) -> Verdict | None:
    """Write ``best.pt``: the best trained head, or the rotation where that is no worse; return why.

    Where nothing is trained it is the rotation, and there is no verdict.

    Raises:
        CheckpointError: If a checkpoint of the run is not there any more.
    """
    run, config = head_run.run, head_run.run.config
    if not head_run.trains:
        save_with_card(run.run_dir / BEST, read_checkpoint(run.run_dir / ROTATION))
        return None
    encoder = run.state.module.current_encoder()
    found = {name: read_checkpoint(run.run_dir / name) for name in (ROTATION, TRAINED)}
    embeddings = [
        embed_pooled(encoder.with_head(_head_of(contents, encoder), encoder.dims), head_run.held_out).numpy()
        for contents in found.values()
    ]
    verdict = reach_verdict(head_run.trials, *embeddings, n_resamples=config.evaluation.n_resamples, seed=config.seed)
    kept = found[TRAINED if verdict.kept == "trained" else ROTATION]
    save_with_card(run.run_dir / BEST, kept | {schema.VERDICT: asdict(verdict)})
    return verdict


def _head_module(prepared: Prepared) -> HeadModule:
    module = prepared.state.module
    assert isinstance(module, HeadModule)
    return module


def _write_start(
    prepared: Prepared, vectors: SpeakerVectors, trials: ValidationTrials, *, held_out: Tensor, crops: FeatureStore
) -> None:
    """Write the rotation, and the head that training starts from where its spectrum is flattened."""
    state, config = prepared.state, prepared.config
    own = prepared.start.published_head
    if own is None or config.head.start == "random":
        own = train_first_head(prepared, crops, vectors.pooled)
    start = start_head(prepared, own, vectors, trials=trials, held_out=held_out)
    state.origin.update(start.entries() | {schema.START: ROTATION})
    (prepared.run_dir / START).unlink(missing_ok=True)  # of a run that was stopped before its first epoch ended
    _write_untrained(ROTATION, prepared, trials, held_out=held_out, crops=crops)
    if config.head.flatten and config.head.trained == "linear" and prepared.wanted_rotation != "none":
        flatten_head(prepared, own, vectors)
        state.origin[schema.START] = START
        _write_untrained(START, prepared, trials, held_out=held_out, crops=crops)


def _write_untrained(
    name: str, prepared: Prepared, trials: ValidationTrials, *, held_out: Tensor, crops: FeatureStore
) -> None:
    """Let the class weights begin where the speakers are, by the head as it is now, and write both."""
    module, classes = prepared.state.module, prepared.data.train.classes
    if prepared.class_means_wanted:
        set_means(module.criterion, embed_rows(module.encoder, crops, len(classes)), torch.from_numpy(classes))
    validation = StoredValidator(trials, held_out).validate(module.encoder)
    save_with_card(prepared.run_dir / name, prepared.state.entries(prepared.progress, validation))


def _read_start(prepared: Prepared) -> dict[str, Any]:
    """Return the checkpoint that training starts from, as the run's own checkpoints name it."""
    path = prepared.run_dir / str(prepared.state.origin.get(schema.START, ROTATION))
    if not path.is_file():
        raise CheckpointError(
            "the run has lost where it started", path, "Bring rotation.pt and start.pt back, or begin a new run."
        )
    return read_checkpoint(path)


def _begin_at(prepared: Prepared, module: HeadModule, contents: dict[str, Any]) -> None:
    """Let training begin, or go on, from what the checkpoint of the start holds."""
    config = prepared.config
    head = _head_of(contents, module.encoder)
    module.set_start(head)
    module.set_mode()
    if config.head.start_decay:
        start: dict[nn.Parameter, Tensor] = {}
        if config.head.trained == "linear":
            linear = dict(head.linear.named_parameters())
            start = {each: linear[name].detach() for name, each in module.encoder.linear_parameters().items()}
        if config.head.class_start == "means":
            classes = dict(module.criterion.named_parameters())
            start |= {parameter: contents[schema.CRITERION][name] for name, parameter in classes.items()}
        add_decay_to_start(prepared.state.optimiser, start, decay=config.head.start_decay)


def _head_of(contents: dict[str, Any], like: Encoder) -> MatryoshkaHead:
    """Return the head in a checkpoint's entries, on the device of ``like``."""
    head = like.copy_head()  # a new head would draw weights, and a resumed run would draw other numbers after that
    state = {name: values for name, values in contents[schema.MODEL].items() if name.startswith(HEAD)}
    head.load_state_dict({name.removeprefix(HEAD): values for name, values in state.items()})
    return head.eval()
