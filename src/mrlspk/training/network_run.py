"""A run whose crops go through the network at every step."""

import torch

from mrlspk.data.build import build_train_loader
from mrlspk.training.fit import Run
from mrlspk.training.head_start import set_means, start_head, wanted_rotation
from mrlspk.training.head_stores import Stores
from mrlspk.training.optimiser import build_learning_rate
from mrlspk.training.prepare import Prepared
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
        _turn(prepared, stores, trials)
    module, optimiser = prepared.wrapped
    loader = build_train_loader(
        prepared.data, prepared.sampler, config.data, batch_size=config.training.batch_size, drop_last=True
    )
    return Run(
        fabric=prepared.fabric,
        module=module,
        optimiser=optimiser,
        state=prepared.state,
        loader=loader,
        sampler=prepared.sampler,
        learning_rate=build_learning_rate(config, steps_per_epoch=prepared.steps_per_epoch),
        validator=AudioValidator(
            trials,
            batch_size=config.evaluation.batch_size,
            max_seconds=config.evaluation.max_seconds,
            crop_seconds=config.data.validation_seconds,
        ),
        run_dir=prepared.run_dir,
        config=config,
        max_batches=prepared.max_batches,
    )


def _turn(prepared: Prepared, stores: Stores, trials: ValidationTrials) -> None:
    """Turn the head of the model to start from, and let the class weights begin where the speakers are."""
    own = prepared.start.published_head
    if own is None or wanted_rotation(prepared) == "none":
        return
    module, train = prepared.state.module, prepared.data.train
    vectors = stores.some_of_each_speaker(prepared.data.corpus)
    start = start_head(prepared, own, vectors, trials=trials, held_out=stores.held_out(trials))
    prepared.state.origin["rotation"] = start.entries()["rotation"]
    if prepared.class_means_wanted:
        speakers, n_speeds = torch.from_numpy(vectors.speaker_index), len(train.speeds)
        classes = torch.cat([speakers + number * len(train.speakers) for number in range(n_speeds)])
        set_means(module.criterion, embed_pooled(module.encoder, vectors.pooled).repeat(n_speeds, 1), classes)
