"""Which batch a GPU has room for: measured on it, or predicted for one that is not here."""

from dataclasses import dataclass
from pathlib import Path

import torch

from mrlspk.config import Config, dump_config
from mrlspk.data.manifest import scan_corpus
from mrlspk.encoding.device import find_device
from mrlspk.errors import MrlspkError, UsageError
from mrlspk.files import whole_file
from mrlspk.training.memory_probe import (
    MIB,
    MIN_BATCH,
    MemoryModel,
    MemoryPoint,
    confirm_batch,
    measure_on_card,
    probe_card,
    split_target,
    usable_memory,
)
from mrlspk.training.probe_step import ProbeStep, build_probe_step
from mrlspk.training.saved_memory import predict_memory
from mrlspk.training.start import build_fabric, build_start, origin_checkpoint

VOXCELEB2_SPEAKERS = 5994  # of the development part; taken where the training corpus is not here to be counted


@dataclass(frozen=True)
class GpuProfile:
    """What a step takes, and the batch that fits.

    Attributes:
        device: Name of the GPU; None where there is none and this is a prediction.
        total_mib: Memory of the GPU, or of the one that the prediction is for.
        limit_mib: Memory that was planned with: the lesser of that and the limit asked for.
        usable_mib: What of it a step may take.
        n_speakers: Classes of the loss, those of speed perturbation among them.
        speakers_counted: Whether they were counted in the training corpus, or assumed.
        measured: Peaks by batch size.
        batch_size: The batch chosen.
        accumulation_steps: Batches that make the target batch; 1 where none was asked for.
        predicted_peak_mib: What a step at ``batch_size`` is expected to take.
    """

    device: str | None
    total_mib: float
    limit_mib: float
    usable_mib: float
    n_speakers: int
    speakers_counted: bool
    measured: tuple[MemoryPoint, ...]
    batch_size: int
    accumulation_steps: int
    predicted_peak_mib: float

    @property
    def prediction(self) -> bool:
        """Whether nothing was measured on a GPU."""
        return self.device is None


def profile_gpu(
    config: Config,
    *,
    vram_limit_mib: float | None = None,
    target_batch: int | None = None,
    cache_dir: Path,
    mirror: str | None = None,
) -> GpuProfile:
    """Take steps as ``config`` says and return the largest batch that fits.

    Args:
        config: Whose model, loss, crops, precision and device hold.
        vram_limit_mib: Plan for a card of this size; without a GPU it is needed.
        target_batch: Crops for each optimiser step; None for as many as fit at once.
        cache_dir: Folder of fetched models.
        mirror: URL or folder with copies of the published files.

    Raises:
        UsageError: If there is neither a GPU nor a limit.
        MrlspkError: If not even the smallest batch fits.
        DataError: If the training corpus is there but is none.
        CheckpointError: If the model to start from is not whole.
        DownloadError: If a published model cannot be fetched.
    """
    device = find_device(config.hardware.device)
    total_mib = torch.cuda.get_device_properties(device).total_memory / MIB if device.type == "cuda" else vram_limit_mib
    if total_mib is None:
        raise UsageError(
            "there is no GPU to measure on, so memory can only be predicted for a card of a given size",
            "--vram-limit",
            "Name it, for example --vram-limit 12GiB.",
        )
    limit_mib = min(total_mib, vram_limit_mib or total_mib)
    usable_mib = usable_memory(limit_mib)
    n_speakers, counted = _count_speakers(config)
    step = _build_step(config, on_card=device.type == "cuda", n_speakers=n_speakers, cache_dir=cache_dir, mirror=mirror)
    if device.type == "cuda":
        model, measured, largest = _measure(step, usable_mib)
    else:
        model, measured = predict_memory(step)
        largest = model.largest_batch(usable_mib)
    if not largest:
        raise _too_small(measured, usable_mib, limit_mib)
    batch_size, accumulation_steps = split_target(largest, target_batch)
    return GpuProfile(
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        total_mib=total_mib,
        limit_mib=limit_mib,
        usable_mib=usable_mib,
        n_speakers=n_speakers,
        speakers_counted=counted,
        measured=tuple(measured),
        batch_size=batch_size,
        accumulation_steps=accumulation_steps,
        predicted_peak_mib=model.peak_mib(batch_size),
    )


def write_config(config: Config, profile: GpuProfile, path: Path) -> None:
    """Write ``config`` with the batch and accumulation of ``profile``, as `mrlspk train` takes it.

    In a run that trains the head alone the network sees crops only while they are stored: the batch is that of
    ``features``.
    """
    if config.trains_head_alone:
        stored = config.features.model_copy(update={"batch_size": profile.batch_size})
        fitted = config.model_copy(update={"features": stored})
    else:
        chosen = {"batch_size": profile.batch_size, "accumulation_steps": profile.accumulation_steps}
        fitted = config.model_copy(update={"training": config.training.model_copy(update=chosen)})
    origin = f"measured on {profile.device}" if profile.device else "predicted without a GPU"
    heading = f"# Batch and accumulation by mrlspk gpu-profile, {origin}, for {profile.limit_mib:.0f} MiB.\n"
    with whole_file(path) as partial:
        partial.write_text(heading + dump_config(fitted), encoding="utf-8")


def _measure(step: ProbeStep, usable_mib: float) -> tuple[MemoryModel, list[MemoryPoint], int]:
    """Return the line through measured peaks, the peaks, and the largest batch that was seen to fit."""
    measure = measure_on_card(step)
    model, measured = probe_card(measure, usable_mib)
    largest, confirmed = confirm_batch(measure, model.largest_batch(usable_mib), usable_mib)
    known = {point.batch for point in measured}
    if confirmed is not None and confirmed.batch not in known:
        measured = sorted([*measured, confirmed], key=lambda point: point.batch)
    return model, measured, largest


def _build_step(config: Config, *, on_card: bool, n_speakers: int, cache_dir: Path, mirror: str | None) -> ProbeStep:
    hardware = config.hardware
    if not on_card:  # CPUs have no fp16 autocast in Fabric; bf16 values are of the same size
        precision = "bf16" if hardware.precision == "fp16" else hardware.precision
        hardware = hardware.model_copy(update={"device": "cpu", "precision": precision})
    start = build_start(config, origin_checkpoint(config, cache_dir=cache_dir, mirror=mirror))
    return build_probe_step(config, build_fabric(hardware), start.encoder, n_speakers=n_speakers)


def _count_speakers(config: Config) -> tuple[int, bool]:
    """Return the number of classes, speakers held out for validation counted too, and whether they were counted."""
    data = config.data
    counted = data.train_dataset.exists()
    n_speakers = len(scan_corpus(data.train_dataset).speakers) if counted else VOXCELEB2_SPEAKERS
    return n_speakers * (1 + len(data.speed_perturbation)), counted


def _too_small(measured: list[MemoryPoint], usable_mib: float, limit_mib: float) -> MrlspkError:
    needed = f"a step of {measured[0].batch} takes {measured[0].peak_mib:.0f} MiB" if measured else "memory ran out"
    return MrlspkError(
        f"not even a batch of {MIN_BATCH} fits into {limit_mib:.0f} MiB, of which a step may take "
        f"{max(0.0, usable_mib):.0f}: {needed}",
        "--vram-limit",
        "Take hardware.precision=bf16, a shorter data.chunk_duration, a smaller model, or train the head only "
        "(training.freeze_backbone_epochs=null).",
    )
