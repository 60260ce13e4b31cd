"""Measure or predict the batch that fits on a GPU, and write a configuration with it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from mrlspk.config import Config, dump_config
from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.errors import UsageError
from mrlspk.files import Claim
from mrlspk.inference.torch_backend import find_device
from mrlspk.training.memory.auto_batch import crops_side_by_side
from mrlspk.training.memory.gpu_search import USED_SHARE, BatchSearch, GpuMemory, check_fits, search_at, search_gpu
from mrlspk.training.memory.peak_model import MIN_BATCH, MemoryPoint, split_target
from mrlspk.training.memory.prediction import predict
from mrlspk.training.memory.probe import Probe, build_probe

VOXCELEB2_SPEAKERS = 5994  # of the development part; assumed if the training corpus is not there


@dataclass(frozen=True)
class ProfileRequest:
    """Options of a profile beside the configuration.

    Attributes:
        limit_mib: Plan for a GPU of this size; needed without a GPU.
        target_batch: Crops of an optimiser step over all processes. None: that of the configuration, or else one batch.
        fastest: Choose the batch size with the highest throughput, not the largest.
    """

    limit_mib: float | None = None
    target_batch: int | None = None
    fastest: bool = False


@dataclass(frozen=True)
class GpuProfile:
    """Memory and speed of passes, and the batch that fits.

    Attributes:
        device: Name of the GPU; None for a prediction without one.
        total_mib: Memory of the GPU, or of the planned one.
        limit_mib: Memory that was planned with: the smaller of that and the requested limit.
        free_mib: The free part of it, without CUDA's context.
        share: The share of the free memory that is usable.
        n_speakers: Classes of the loss, including those of speed perturbation.
        speakers_counted: True if they were counted in the training corpus, false if assumed.
        key: The configuration key that ``batch_size`` is for.
        chosen: Criterion of the choice.
        measured: Peaks by batch size, with speeds on a GPU.
        batch_size: The chosen batch, per process.
        accumulation_steps: Batches that make the target batch; 1 without a target.
        n_processes: Processes that share the target batch.
        target_batch: Requested crops of an optimiser step.
        predicted_peak_mib: Peak of a pass of ``batch_size``: measured, or predicted.
    """

    device: str | None
    total_mib: float
    limit_mib: float
    free_mib: float
    share: float
    n_speakers: int
    speakers_counted: bool
    key: Literal["training.batch_size", "features.batch_size"]
    chosen: Literal["largest", "fastest"]
    measured: tuple[MemoryPoint, ...]
    batch_size: int
    accumulation_steps: int
    n_processes: int
    target_batch: int | None
    predicted_peak_mib: float

    @property
    def prediction(self) -> bool:
        """True if nothing was measured on a GPU."""
        return self.device is None

    @property
    def usable_mib(self) -> float:
        """The usable part of the free memory."""
        return self.share * self.free_mib


def profile_gpu(config: Config, request: ProfileRequest, *, cache_dir: Path, mirror: str | None = None) -> GpuProfile:
    """Run passes at rising batch sizes, and return the batch that fits.

    A pass is a training step, or, if the head alone is trained, a pass that stores the pooled vectors of crops.

    Args:
        config: Sets model, loss, crops, precision and device.
        request: Options beside it.
        cache_dir: Folder of fetched models.
        mirror: URL or folder with copies of the published files.

    Raises:
        UsageError: If there is no GPU, and no limit is given or the fastest batch is requested.
        MrlspkError: If not even the smallest batch fits.
        DataError: If the training corpus cannot be used.
        CheckpointError: If the model to start from is damaged.
        DownloadError: If a published model cannot be fetched.
    """
    device = _find_device(config, request)
    n_classes, counted = _count_classes(config)
    n_processes = config.hardware.devices * config.hardware.nodes
    probe = build_probe(
        config, device, n_speakers=n_classes, n_processes=n_processes, cache_dir=cache_dir, mirror=mirror
    )
    found, steps = _search(probe, config, request)
    return GpuProfile(
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        **_memory(found.gpu),
        share=USED_SHARE,
        n_speakers=n_classes,
        speakers_counted=counted,
        key="features.batch_size" if config.trains_head_alone else "training.batch_size",
        chosen="fastest" if request.fastest else "largest",
        measured=found.points,
        batch_size=found.batch,
        accumulation_steps=steps,
        n_processes=n_processes,
        target_batch=request.target_batch or config.training.target_batch,
        predicted_peak_mib=found.peak_mib,
    )


def with_batch(config: Config, profile: GpuProfile) -> Config:
    """Return ``config`` with the batch and accumulation of ``profile``.

    If the head alone is trained, optimiser steps are over stored vectors: the batch is that of section ``features``,
    and a target is one batch of vectors.
    """
    training, chosen = config.training, dict[str, int | None]()
    if not config.trains_head_alone:
        chosen = {"batch_size": profile.batch_size, "accumulation_steps": profile.accumulation_steps}
    elif profile.target_batch is not None:
        vectors, _ = split_target(profile.target_batch, profile.target_batch, n_processes=profile.n_processes)
        chosen = {"batch_size": vectors, "accumulation_steps": 1}
    changed: dict[str, object] = {}
    if chosen:
        changed["training"] = training.model_copy(update=chosen | {"target_batch": None})
    if config.trains_head_alone:
        changed["features"] = config.features.model_copy(update={"batch_size": profile.batch_size})
    return config.model_copy(update=changed)


def write_config(config: Config, profile: GpuProfile, claim: Claim) -> None:
    """Write ``config`` with the batch and accumulation of ``profile``, for `mrlspk train`."""
    origin = f"measured on {profile.device}" if profile.device else "a prediction, not measured on a GPU"
    expected = f"{profile.predicted_peak_mib:.0f} of {profile.usable_mib:.0f} usable MiB"
    heading = (
        f"# Batch and accumulation from mrlspk gpu-profile: {origin}.\n"
        f"# On a GPU of {profile.limit_mib:.0f} MiB, {expected} are expected.\n"
    )
    with claim.writing() as partial:
        partial.write_text(heading + dump_config(with_batch(config, profile)), encoding="utf-8")


def _find_device(config: Config, request: ProfileRequest) -> torch.device:
    """Return the GPU to measure on, or the CPU to predict on.

    Raises:
        UsageError: If there is no GPU, and the request cannot be predicted.
    """
    device = find_device(config.hardware.device)
    if device.type == "cuda":
        return device
    if request.limit_mib is None:
        raise UsageError(
            "there is no GPU to measure on, so memory can only be predicted for a GPU of a given size",
            fix="Give `limit_mib`, for example 12GiB.",
            parameter="limit_mib",
        )
    if request.fastest:
        raise UsageError(
            "there is no GPU to measure on, and speed cannot be predicted",
            fix="Leave `fastest` out, or run this on a machine with a GPU.",
            parameter="fastest",
        )
    return torch.device("cpu")


def _search(probe: Probe, config: Config, request: ProfileRequest) -> tuple[BatchSearch, int]:
    """Return (search, accumulation): the batch fits, and reaches the target if there is one.

    Raises:
        MrlspkError: If not even the smallest batch fits.
    """
    on_gpu, side_by_side = probe.device.type == "cuda", crops_side_by_side(config)
    if on_gpu:
        found = search_gpu(probe, limit_mib=request.limit_mib, fastest=request.fastest)
    else:
        assert request.limit_mib is not None  # checked by _find_device
        found = predict(probe, limit_mib=request.limit_mib)
    check_fits(found, least=max(MIN_BATCH, side_by_side))
    batch_size, steps = split_target(
        found.batch,
        request.target_batch or config.training.target_batch,
        n_processes=config.hardware.devices * config.hardware.nodes,
        multiple_of=side_by_side,
    )
    return (search_at(probe, found, batch_size) if on_gpu else replace(found, batch=batch_size)), steps


def _memory(gpu: GpuMemory) -> dict[str, float]:
    return {"total_mib": gpu.total_mib, "limit_mib": gpu.limit_mib, "free_mib": gpu.free_mib}


def _count_classes(config: Config) -> tuple[int, bool]:
    """Return (classes, counted): speakers held out for validation are included; not counted means assumed."""
    data = config.data
    counted = data.train_dataset.exists()
    n_speakers = len(scan_corpus(data.train_dataset).speakers) if counted else VOXCELEB2_SPEAKERS
    return n_speakers * (1 + len(data.speed_perturbation)), counted
