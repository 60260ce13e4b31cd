"""Resolve ``training.batch_size: auto`` before a run begins."""

import gc
import logging
from functools import partial
from pathlib import Path

import torch

from mrlspk.config import Config
from mrlspk.distributed import ALONE, Ranks
from mrlspk.errors import ConfigError, MrlspkError
from mrlspk.training.corpus_sizes import count_crops, crops_side_by_side
from mrlspk.training.memory.gpu_search import BatchSearch, search_gpu
from mrlspk.training.memory.peak_model import MIN_BATCH, split_target
from mrlspk.training.memory.probe import build_probe
from mrlspk.training.plan import read_corpora

log = logging.getLogger("mrlspk.training")

STORED_BATCH = 512  # stored vectors; a step of the head on them takes very little memory


def choose_batch(config: Config, *, cache_dir: Path | None, mirror: str | None = None, ranks: Ranks = ALONE) -> Config:
    """Return ``config`` with a number in place of auto, and the accumulation that reaches ``training.target_batch``.

    Each process searches its own GPU, and all use the smallest batch found. No batch is larger than an epoch. The
    search leaves nothing on the GPUs and does not change the random numbers of the run.

    Args:
        config: Returned unchanged if its batch size is a number.
        cache_dir: Folder of fetched models.
        mirror: URL or folder with copies of the published files.
        ranks: The processes of the run; all must call this.

    Raises:
        ConfigError: If the network is trained and there is no GPU to measure on.
        MrlspkError: If not even the smallest batch fits.
        DataError: If the corpus cannot be used.
        CheckpointError: If the model to start from is damaged.
        DownloadError: If a published model cannot be fetched.
    """
    training, world = config.training, ranks.world_size
    if training.batch_size != "auto":
        return config
    if not config.trains_head_alone and ranks.device.type != "cuda":
        raise ConfigError(
            f"auto needs a GPU to measure on, and the device is {ranks.device.type}",
            "training.batch_size",
            "Give a number; `mrlspk gpu-profile --vram-limit 12GiB` predicts what fits on such a GPU.",
        )
    n_classes, n_crops = ranks.broadcast(_count(config) if ranks.is_first else None)
    largest, why = STORED_BATCH, "stored vectors take very little memory"
    if not config.trains_head_alone:
        found = _smallest(config, n_classes, cache_dir=cache_dir, mirror=mirror, ranks=ranks)
        largest = found.batch
        why = f"{largest} take {found.peak_mib(largest):.0f} of {found.gpu.usable_mib:.0f} usable MiB"
    largest = min(largest, max(MIN_BATCH, n_crops // world))
    batch, steps = fill_target(config, largest, training.target_batch, n_processes=world)
    if training.target_batch is None:
        steps = training.accumulation_steps
    if ranks.is_first:
        text = "training.batch_size auto: %d in each of %d processes, accumulated %d times: %s"
        log.info(text, batch, world, steps, why)
    return with_training_batch(config, batch, steps)


def check_fits(config: Config, found: BatchSearch) -> None:
    """Refuse a GPU on which the smallest batch does not fit.

    Raises:
        MrlspkError: If it does not fit.
    """
    least = max(MIN_BATCH, crops_side_by_side(config))
    if found.batch >= least:
        return
    gpu, smallest = found.gpu, next(iter(found.points), None)
    needed = f"{smallest.batch} take {smallest.peak_mib:.0f} MiB" if smallest else "memory ran out"
    raise MrlspkError(
        f"not even a batch of {least} fits into {gpu.limit_mib:.0f} MiB ({gpu.free_mib:.0f} free, "
        f"{gpu.usable_mib:.0f} usable): {needed}",
        "memory",
        "Take hardware.precision=bf16, hardware.gradient_checkpointing=true, a shorter data.chunk_duration, a smaller "
        "model, or train the head only (training.freeze_backbone_epochs=null).",
    )


def fill_target(config: Config, largest: int, target_batch: int | None, *, n_processes: int) -> tuple[int, int]:
    """Return (batch, accumulation) that reach a target, by `split_target`; crops of one speaker stay together."""
    return split_target(largest, target_batch, n_processes=n_processes, multiple_of=crops_side_by_side(config))


def with_training_batch(config: Config, batch_size: int, accumulation_steps: int) -> Config:
    """Return ``config`` with this batch and accumulation, and without a target."""
    chosen = {"batch_size": batch_size, "accumulation_steps": accumulation_steps, "target_batch": None}
    return config.model_copy(update={"training": config.training.model_copy(update=chosen)})


def _count(config: Config) -> tuple[int, int]:
    """Return (classes of the loss, crops of an epoch)."""
    data = read_corpora(config)
    return data.train.n_classes, count_crops(config, data)


def _smallest(
    config: Config, n_classes: int, *, cache_dir: Path | None, mirror: str | None, ranks: Ranks
) -> BatchSearch:
    """Return the search of the process whose GPU holds the smallest batch."""
    ranks.barrier()  # the first collective call allocates memory, before the free memory is read
    build = partial(build_probe, n_speakers=n_classes, n_processes=ranks.world_size, cache_dir=cache_dir, mirror=mirror)
    with torch.random.fork_rng([ranks.device]):
        found = search_gpu(build(config, ranks.device))
    gc.collect()
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats(ranks.device)
    smallest = min(ranks.all_gather(found), key=lambda each: each.batch)
    check_fits(config, smallest)
    return smallest
