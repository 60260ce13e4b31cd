"""Choose batch size and epochs by the size of the corpus, and warn of a run with too few steps."""

import logging
import math

from mrlspk.config import Config
from mrlspk.config.training import FEWEST_EPOCHS
from mrlspk.data.build import TrainingData, build_sampler
from mrlspk.errors import ConfigError

log = logging.getLogger("mrlspk.training")

LARGEST_BATCH, SMALLEST_BATCH = 512, 32
BATCHES_OF_VECTORS = 2  # in an epoch of stored vectors at least: heads learn more from large batches and more epochs
BATCHES_OF_CROPS = 20  # in an epoch of a network, whose passes take long
ENOUGH_STEPS = 100
MOST_EPOCHS = 50


def n_passes(config: Config) -> int:
    """Return the number of crops of each utterance and speed in an epoch, each with its own index."""
    return config.features.crops_per_utterance if config.trains_head_alone else 1


def choose_sizes(config: Config, data: TrainingData, *, n_processes: int, max_batches: int | None = None) -> Config:
    """Return the configuration with numbers in place of a batch size and epochs that are null.

    Args:
        config: Its ``training.batch_size`` is not auto.
        data: Of the run.
        n_processes: Processes that share an epoch.
        max_batches: End each epoch after so many batches: such a run is not warned about.

    Raises:
        ConfigError: If the configured batch is larger than an epoch.
    """
    training, n_crops = config.training, count_crops(config, data)
    batch = training.batch_size or _default_batch(config, n_crops // n_processes)
    assert batch != "auto"
    check_batch(config, n_crops, batch * n_processes)
    steps = math.ceil(n_crops // (batch * n_processes) / training.accumulation_steps)
    wanted = math.ceil(ENOUGH_STEPS / steps)
    epochs = training.num_epochs or min(max(wanted, FEWEST_EPOCHS), MOST_EPOCHS)
    if epochs * steps < ENOUGH_STEPS and max_batches is None:
        log.warning(
            "%d steps are few to train with (%d epochs of %d): %d or more are advised, as with training.num_epochs=%d",
            epochs * steps, epochs, steps, ENOUGH_STEPS, wanted,
        )  # fmt: skip
    return config.model_copy(
        update={"training": training.model_copy(update={"batch_size": batch, "num_epochs": epochs})}
    )


def count_crops(config: Config, data: TrainingData) -> int:
    """Return the crops, or stored vectors, of an epoch."""
    classes, weights = data.train.classes_of(n_passes(config)), data.train.weights_of(n_passes(config))
    return len(build_sampler(classes, config.data, seed=config.seed, weights=weights))


def check_batch(config: Config, n_crops: int, n_batch: int) -> None:
    """Check that an epoch fills a batch of all processes.

    Raises:
        ConfigError: If it does not.
    """
    if n_batch <= n_crops:
        return
    kind = "vectors" if config.data.vectors else "crops"
    raised = "features.crops_per_utterance" if config.trains_head_alone else "data.crops_per_epoch"
    raise ConfigError(
        f"an epoch of {n_crops} {kind} does not fill a batch of {n_batch}",
        "training.batch_size",
        f"Lower it, leave it out for one that fits, or raise {raised}.",
    )


def crops_side_by_side(config: Config) -> int:
    """Return the number of crops of one speaker that stay together in a batch."""
    data = config.data
    return data.utterances_per_speaker if data.sampler == "speaker_balanced" and not config.trains_head_alone else 1


def _default_batch(config: Config, n_crops: int) -> int:
    """Return the crops of a batch, of ``n_crops`` for each process in an epoch."""
    n_batches, multiple_of = (
        BATCHES_OF_VECTORS if config.trains_head_alone else BATCHES_OF_CROPS,
        crops_side_by_side(config),
    )
    batch = min(LARGEST_BATCH, max(SMALLEST_BATCH, n_crops // n_batches), n_crops)
    return max(batch - batch % multiple_of, 2)
