"""Set up a run that trains the whole network, or adapters in it, on audio."""

import torch

from mrlspk.data.build import build_train_loader
from mrlspk.losses.margin import AAMSoftmax
from mrlspk.models.checkpoints import schema
from mrlspk.training.head.initial_head import has_choice, rotate_start, set_means
from mrlspk.training.head.pooled_vectors import Stores
from mrlspk.training.run import Run, build_run
from mrlspk.training.state import RunState
from mrlspk.training.validation import AudioValidator, ValidationTrials, embed_pooled


def begin_network_run(state: RunState, stores: Stores, trials: ValidationTrials) -> Run:
    """Return the run; first rotate the head of a new run if the model that it starts from has a single width.

    Args:
        state: Of the run; a new one may get its start.
        stores: Of the encoder of the run.
        trials: Validation trials.

    Raises:
        DataError: If an audio file cannot be read.
    """
    config = state.config
    if state.published_head is not None and not state.plan.resumes:
        _begin(state, stores, trials)
    validator = AudioValidator(
        trials,
        batch_size=config.evaluation.batch_size,
        max_seconds=config.evaluation.max_seconds,
        crop_seconds=config.data.validation_seconds,
        ranks=state.ranks,
    )
    n_processes = state.ranks.per_machine(config.hardware.nodes)
    loader = build_train_loader(state.plan.data, state.batches, config.data, n_processes=n_processes)
    return build_run(state, loader=loader, validator=validator, unreadable=loader.unreadable)


def _begin(state: RunState, stores: Stores, trials: ValidationTrials) -> None:
    """Rotate the head of a model with a single width, and set the prototypes to the class means."""
    own, module, train = state.published_head, state.module, state.plan.data.train
    rotates = state.wanted_rotation != "none"
    with_means = state.wants_class_means and isinstance(module.criterion.loss, AAMSoftmax)
    if own is None or not (rotates or with_means):
        return
    module.encoder.eval()  # the head keeps its statistics and normalises by them; each epoch sets its own mode
    vectors = stores.whole(state.plan.data.corpus, with_choice=rotates and has_choice(state))
    if rotates:
        start = rotate_start(state, own, vectors, trials=trials, held_out=stores.held_out(trials))
        state.start = {schema.ROTATION: start.entries()[schema.ROTATION]}
    if with_means:
        speakers, n_speeds = torch.from_numpy(vectors.speaker_index), len(train.speeds)
        classes = torch.cat([speakers + number * len(train.speakers) for number in range(n_speeds)])
        set_means(module.criterion, embed_pooled(module.encoder, vectors.pooled).repeat(n_speeds, 1), classes)
    state.ranks.broadcast_tensors(module.state_dict().values())
