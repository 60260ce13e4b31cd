"""What ``training.batch_size: auto`` means for a run, found out before it begins."""

import gc
import logging
from pathlib import Path

import torch

from mrlspk.config import Config
from mrlspk.data.build import build_training_data
from mrlspk.distributed import ALONE, Ranks
from mrlspk.errors import ConfigError
from mrlspk.training.memory.build import build_probe
from mrlspk.training.memory.model import MIN_BATCH, split_target
from mrlspk.training.memory.search import Found, check_fits, search_card
from mrlspk.training.run_facts import n_passes
from mrlspk.workflows.profile_gpu import crops_side_by_side

log = logging.getLogger("mrlspk.training")

STORED_BATCH = 512  # vectors, of which a step of the head takes next to no memory


def choose_batch(config: Config, *, cache_dir: Path, mirror: str | None = None, ranks: Ranks = ALONE) -> Config:
    """Return ``config`` with a batch in place of auto, and the accumulation that reaches ``training.target_batch``.

    Each process tries its own GPU; the smallest batch of all counts, and no batch is larger than an epoch. Nothing is
    left on the GPUs, and the random numbers of a run are not touched.

    Args:
        config: Returned as it is where it names a batch.
        cache_dir: Folder of fetched models.
        mirror: URL or folder with copies of the published files.
        ranks: The processes of the run; all have to call this.

    Raises:
        ConfigError: If crops go through the network at each step, and there is no GPU to measure on.
        MrlspkError: If not even the smallest batch fits.
        DataError: If the corpus is at fault.
        CheckpointError: If the model to start from is not whole.
        DownloadError: If a published model cannot be fetched.
    """
    if config.training.batch_size != "auto":
        return config
    if not config.trains_head_alone and ranks.device.type != "cuda":
        raise ConfigError(
            f"auto measures what fits on a GPU, and the device is {ranks.device.type}",
            "training.batch_size",
            "Give a number; `mrlspk gpu-profile --vram-limit 12GiB` predicts what a card of that size has room for.",
        )
    n_classes, n_crops = ranks.broadcast(_count(config) if ranks.is_first else None)
    largest, why = STORED_BATCH, "of stored vectors, which take next to no memory"
    if not config.trains_head_alone:
        found = _smallest(config, n_classes, cache_dir=cache_dir, mirror=mirror, ranks=ranks)
        peak_mib, usable_mib = found.model.peak_mib(found.batch), found.card.usable_mib
        largest, why = found.batch, f"fit: {peak_mib:.0f} MiB at {found.batch}, {usable_mib:.0f} may be taken"
    resolved = _resolve(config, min(largest, max(MIN_BATCH, n_crops // ranks.world_size)), n_processes=ranks.world_size)
    if ranks.is_first:
        batch, steps = resolved.training.batch, resolved.training.accumulation_steps
        log.info(
            "training.batch_size auto: %d in each of %d processes, times %d; %s", batch, ranks.world_size, steps, why
        )
    return resolved


def _resolve(config: Config, largest: int, *, n_processes: int) -> Config:
    """Return ``config`` with the batch that is the largest or makes the target."""
    training = config.training
    batch, steps = split_target(
        largest, training.target_batch, n_processes=n_processes, multiple_of=crops_side_by_side(config)
    )
    if training.target_batch is None:
        steps = training.accumulation_steps
    chosen = {"batch_size": batch, "accumulation_steps": steps, "target_batch": None}
    return config.model_copy(update={"training": training.model_copy(update=chosen)})


def _count(config: Config) -> tuple[int, int]:
    """Return classes of the loss, and crops of an epoch."""
    train = build_training_data(config.data, seed=config.seed).train
    return train.n_classes, config.data.crops_per_epoch or n_passes(config) * len(train)


def _smallest(config: Config, n_classes: int, *, cache_dir: Path, mirror: str | None, ranks: Ranks) -> Found:
    """Return the search on the GPU that has room for the least."""
    ranks.barrier()  # the first exchange takes memory for itself, before it is asked what is free
    with torch.random.fork_rng([ranks.device]):
        found = _search(config, n_classes, cache_dir=cache_dir, mirror=mirror, ranks=ranks)
    if config.hardware.compile:
        torch.compiler.reset()
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(ranks.device)
    smallest = min(ranks.all_gather(found), key=lambda each: each.batch)
    check_fits(smallest, least=max(MIN_BATCH, crops_side_by_side(config)))
    return smallest


def _search(config: Config, n_classes: int, *, cache_dir: Path, mirror: str | None, ranks: Ranks) -> Found:
    """Return the search on the GPU of this process; what it was made with is gone then."""
    probe = build_probe(
        config, ranks.device, n_speakers=n_classes, n_processes=ranks.world_size, cache_dir=cache_dir, mirror=mirror
    )
    return search_card(probe)
