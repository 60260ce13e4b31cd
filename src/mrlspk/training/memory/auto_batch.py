"""Resolve ``training.batch_size: auto`` before a run begins."""

import gc
import logging
from pathlib import Path

import torch

from mrlspk.config import Config
from mrlspk.data.build import build_training_data
from mrlspk.distributed import ALONE, Ranks
from mrlspk.errors import ConfigError
from mrlspk.training.memory.gpu_search import BatchSearch, check_fits, search_gpu
from mrlspk.training.memory.peak_model import MIN_BATCH, split_target
from mrlspk.training.memory.probe import build_probe
from mrlspk.training.plan import n_passes

log = logging.getLogger("mrlspk.training")

STORED_BATCH = 512  # stored vectors; a step of the head on them takes very little memory


def choose_batch(config: Config, *, cache_dir: Path, mirror: str | None = None, ranks: Ranks = ALONE) -> Config:
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
    if config.training.batch_size != "auto":
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
        largest, why = found.batch, f"{found.batch} take {found.peak_mib:.0f} of {found.gpu.usable_mib:.0f} usable MiB"
    resolved = _resolve(config, min(largest, max(MIN_BATCH, n_crops // ranks.world_size)), n_processes=ranks.world_size)
    if ranks.is_first:
        batch, steps = resolved.training.batch, resolved.training.accumulation_steps
        log.info(
            "training.batch_size auto: %d in each of %d processes, accumulated %d times: %s",
            batch,
            ranks.world_size,
            steps,
            why,
        )
    return resolved


def _resolve(config: Config, largest: int, *, n_processes: int) -> Config:
    """Return ``config`` with the largest batch, or with the batch and accumulation that reach the target."""
    training = config.training
    batch, steps = split_target(
        largest, training.target_batch, n_processes=n_processes, multiple_of=crops_side_by_side(config)
    )
    if training.target_batch is None:
        steps = training.accumulation_steps
    chosen = {"batch_size": batch, "accumulation_steps": steps, "target_batch": None}
    return config.model_copy(update={"training": training.model_copy(update=chosen)})


def _count(config: Config) -> tuple[int, int]:
    """Return (classes of the loss, crops of an epoch)."""
    train = build_training_data(config.data, seed=config.seed).train
    return train.n_classes, config.data.crops_per_epoch or n_passes(config) * len(train)


def _smallest(config: Config, n_classes: int, *, cache_dir: Path, mirror: str | None, ranks: Ranks) -> BatchSearch:
    """Return the search of the process whose GPU holds the smallest batch."""
    ranks.barrier()  # the first collective call allocates memory, before the free memory is read
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


def _search(config: Config, n_classes: int, *, cache_dir: Path, mirror: str | None, ranks: Ranks) -> BatchSearch:
    """Return the search on the GPU of this process; its probe is freed on return."""
    probe = build_probe(
        config, ranks.device, n_speakers=n_classes, n_processes=ranks.world_size, cache_dir=cache_dir, mirror=mirror
    )
    return search_gpu(probe)


def crops_side_by_side(config: Config) -> int:
    """Return the number of crops of one speaker that stay together in a batch."""
    data = config.data
    return data.utterances_per_speaker if data.sampler == "speaker_balanced" and not config.trains_head_alone else 1
