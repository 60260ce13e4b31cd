"""Measure or predict the batch that fits on a GPU, and write a configuration with it."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal

import torch

from mrlspk.config import Config, dump_config
from mrlspk.data.build import training_parts
from mrlspk.data.corpora.joined import scan_corpora
from mrlspk.data.exclude import leave_out_quietly
from mrlspk.errors import UsageError
from mrlspk.files import Claim
from mrlspk.inference.torch_device import find_device
from mrlspk.training.memory.auto_batch import check_fits, fill_target, with_training_batch
from mrlspk.training.memory.gpu_search import BatchSearch, search_gpu
from mrlspk.training.memory.peak_model import split_target
from mrlspk.training.memory.prediction import predict
from mrlspk.training.memory.probe import build_probe

VOXCELEB2_SPEAKERS = 5994  # of the development part; assumed if the training corpus is not there


@dataclass(frozen=True)
class GpuProfile:
    """The batch that fits, and how it was found.

    Attributes:
        device: Name of the GPU; None for a prediction without one.
        found: Memory of the GPU, and of passes by batch size.
        n_speakers: Classes of the loss, including those of speed perturbation.
        speakers_counted: True if they were counted in the training corpus, false if assumed.
        key: The configuration key that ``batch_size`` is for.
        chosen: Criterion of the choice.
        batch_size: The chosen batch, per process.
        accumulation_steps: Batches that make the target batch; 1 without a target.
        n_processes: Processes that share the target batch.
        target_batch: Requested crops of an optimiser step.
    """

    device: str | None
    found: BatchSearch
    n_speakers: int
    speakers_counted: bool
    key: Literal["training.batch_size", "features.batch_size"]
    chosen: Literal["largest", "fastest"]
    batch_size: int
    accumulation_steps: int
    n_processes: int
    target_batch: int | None

    @property
    def predicted_peak_mib(self) -> float:
        """Peak of a pass of ``batch_size``."""
        return self.found.peak_mib(self.batch_size)


def profile_gpu(
    config: Config,
    *,
    limit_mib: float | None = None,
    target_batch: int | None = None,
    fastest: bool = False,
    cache_dir: Path | None,
    mirror: str | None = None,
) -> GpuProfile:
    """Run passes at rising batch sizes, and return the batch that fits.

    A pass is a training step, or, if the head alone is trained, a pass that stores the pooled vectors of crops.

    Args:
        config: Sets model, loss, crops, precision and device.
        limit_mib: Plan for a GPU of this size; needed without a GPU.
        target_batch: Crops of an optimiser step over all processes; None: that of ``config``, or else one batch.
        fastest: Choose the batch size with the highest throughput, not the largest.
        cache_dir: Folder of fetched models.
        mirror: URL or folder with copies of the published files.

    Raises:
        UsageError: If there is no GPU, and no limit is given or the fastest batch is requested.
        MrlspkError: If not even the smallest batch fits.
        DataError: If the training corpus cannot be used.
        CheckpointError: If the model to start from is damaged.
        DownloadError: If a published model cannot be fetched.
    """
    device, name = find_device(config.hardware.device), None
    if device.type == "cuda":
        name = torch.cuda.get_device_name(device)
        search = partial(search_gpu, limit_mib=limit_mib, fastest=fastest)
    else:
        device = torch.device("cpu")
        search = partial(predict, limit_mib=_limit_of_prediction(limit_mib, fastest=fastest))
    n_speakers, is_counted = _count_classes(config)
    n_processes = config.hardware.devices * config.hardware.nodes
    probe = build_probe(
        config, device, n_speakers=n_speakers, n_processes=n_processes, cache_dir=cache_dir, mirror=mirror
    )
    found = search(probe)
    check_fits(config, found)
    target_batch = target_batch or config.training.target_batch
    batch_size, steps = fill_target(config, found.batch, target_batch, n_processes=n_processes)
    return GpuProfile(
        device=name,
        found=found,
        n_speakers=n_speakers,
        speakers_counted=is_counted,
        key="features.batch_size" if config.trains_head_alone else "training.batch_size",
        chosen="fastest" if fastest else "largest",
        batch_size=batch_size,
        accumulation_steps=steps,
        n_processes=n_processes,
        target_batch=target_batch,
    )


def with_batch(config: Config, profile: GpuProfile) -> Config:
    """Return ``config`` with the batch and accumulation of ``profile``.

    If the head alone is trained, optimiser steps are over stored vectors: the batch is that of section ``features``,
    and a target is one batch of vectors.
    """
    if not config.trains_head_alone:
        return with_training_batch(config, profile.batch_size, profile.accumulation_steps)
    if (target := profile.target_batch) is not None:
        config = with_training_batch(config, *split_target(target, target, n_processes=profile.n_processes))
    return config.model_copy(update={"features": config.features.model_copy(update={"batch_size": profile.batch_size})})


def write_config(config: Config, profile: GpuProfile, claim: Claim) -> None:
    """Write ``config`` with the batch and accumulation of ``profile``, for `mrlspk train`."""
    origin = f"measured on {profile.device}" if profile.device else "a prediction, not measured on a GPU"
    gpu = profile.found.gpu
    heading = (
        f"# Batch and accumulation from mrlspk gpu-profile: {origin}.\n"
        f"# On a GPU of {gpu.limit_mib:.0f} MiB, {profile.predicted_peak_mib:.0f} of {gpu.usable_mib:.0f} usable MiB "
        "are expected.\n"
    )
    with claim.writing() as partial:
        partial.write_text(heading + dump_config(with_batch(config, profile)), encoding="utf-8")


def _limit_of_prediction(limit_mib: float | None, *, fastest: bool) -> float:
    """Return the size of the planned GPU.

    Raises:
        UsageError: If it is not given, or the request cannot be predicted.
    """
    if limit_mib is None:
        raise UsageError(
            "there is no GPU to measure on, so memory can only be predicted for a GPU of a given size",
            fix="Give `limit_mib`, for example 12GiB.",
            parameter="limit_mib",
        )
    if fastest:
        raise UsageError(
            "there is no GPU to measure on, and speed cannot be predicted",
            fix="Leave `fastest` out, or run this on a machine with a GPU.",
            parameter="fastest",
        )
    return limit_mib


def _count_classes(config: Config) -> tuple[int, bool]:
    """Return (classes, counted): speakers held out for validation are included; not counted means assumed."""
    data = config.data
    counted = all(each.path.exists() for each in data.training_corpora)
    n_speakers = VOXCELEB2_SPEAKERS
    if counted:
        parts = training_parts(data)
        corpus = leave_out_quietly(scan_corpora(parts), data.exclude, [part.label for part in parts])
        n_speakers = len(corpus.speakers)
    return n_speakers * (1 + len(data.speed_perturbation)), counted
