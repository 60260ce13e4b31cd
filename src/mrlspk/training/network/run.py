"""A run whose crops go through the network at every step."""

import torch

from mrlspk.data.build import build_train_loader
from mrlspk.losses.margin import AAMSoftmax
from mrlspk.models.checkpoints import schema
from mrlspk.training.head.start import has_choice, set_means, start_head
from mrlspk.training.head.stores import Stores
from mrlspk.training.optimiser import build_learning_rate
from mrlspk.training.prepared import Prepared, build_stepper
from mrlspk.training.run import Run
from mrlspk.training.validation import AudioValidator, ValidationTrials, embed_pooled


def build_network_run(prepared: Prepared, stores: Stores, trials: ValidationTrials) -> Run:
    """Return the run; its head is turned first, where the model to start from has one width only.

    Args:
        prepared: The parts of the run.
        stores: Of its encoder.
        trials: Among held-out speakers.

    Raises:
        DataError: If an audio file cannot be read.
    """
    config = prepared.config
    if prepared.start.published_head is not None and not prepared.resumes:
        _begin(prepared, stores, trials)
    return Run(
        stepper=build_stepper(prepared),
        state=prepared.state,
        loader=build_train_loader(prepared.data, prepared.batches, config.data),
        batches=prepared.batches,
        name_crop=prepared.name_crop,
        learning_rate=build_learning_rate(config, steps_per_epoch=prepared.steps_per_epoch),
        validator=AudioValidator(
            trials,
            batch_size=config.evaluation.batch_size,
            max_seconds=config.evaluation.max_seconds,
            crop_seconds=config.data.validation_seconds,
            ranks=prepared.state.ranks,
        ),
        run_dir=prepared.run_dir,
        config=config,
        max_batches=prepared.max_batches,
    )


def _begin(prepared: Prepared, stores: Stores, trials: ValidationTrials) -> None:
    """Turn the head of a model to start from that has one width only, and put class weights where the speakers are."""
    own, module, train = prepared.start.published_head, prepared.state.module, prepared.data.train
    turned = prepared.wanted_rotation != "none"
    with_means = prepared.class_means_wanted and isinstance(module.criterion.loss, AAMSoftmax)
    if own is None or not (turned or with_means):
        return
    module.encoder.eval()  # the head normalises by the statistics it has, and keeps them; an epoch sets its own mode
    vectors = stores.whole(prepared.data.corpus, with_choice=turned and has_choice(prepared))
    if turned:
        start = start_head(prepared, own, vectors, trials=trials, held_out=stores.held_out(trials))
        prepared.state.origin[schema.ROTATION] = start.choice.entry()
    if with_means:
        speakers, n_speeds = torch.from_numpy(vectors.speaker_index), len(train.speeds)
        classes = torch.cat([speakers + number * len(train.speakers) for number in range(n_speeds)])
        set_means(module.criterion, embed_pooled(module.encoder, vectors.pooled).repeat(n_speeds, 1), classes)
    prepared.state.ranks.broadcast_tensors(module.state_dict().values())
