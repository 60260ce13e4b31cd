"""Which batch a GPU has room for: measured on it, or predicted for one that is not here."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import torch

from mrlspk.config import Config, dump_config
from mrlspk.data.manifest import scan_corpus
from mrlspk.errors import UsageError
from mrlspk.files import whole_file
from mrlspk.inference.device import find_device
from mrlspk.training.memory.build import build_probe
from mrlspk.training.memory.card import USED_SHARE, CardMemory
from mrlspk.training.memory.counted import predict
from mrlspk.training.memory.model import MIN_BATCH, MemoryPoint, split_target
from mrlspk.training.memory.probe import Probe
from mrlspk.training.memory.search import Found, check_fits, search_at, search_card

VOXCELEB2_SPEAKERS = 5994  # of the development part; taken where the training corpus is not here to be counted


@dataclass(frozen=True)
class Wishes:
    """What is asked for beside the configuration.

    Attributes:
        limit_mib: Plan for a card of this size; needed without a GPU.
        target_batch: Crops of an optimiser step of all processes; None: as the configuration says, else one batch.
        fastest: Choose the batch of most crops a second rather than the largest.
    """

    limit_mib: float | None = None
    target_batch: int | None = None
    fastest: bool = False


@dataclass(frozen=True)
class GpuProfile:
    """What passes take, and the batch that fits.

    Attributes:
        device: Name of the GPU; None where there is none and this is a prediction.
        total_mib: Memory of the GPU, or of the one that the prediction is for.
        limit_mib: Memory of the card that was planned for: the lesser of that and the limit asked for.
        free_mib: What of that is free, CUDA's context taken off.
        share: Of the free memory that may be taken.
        n_speakers: Classes of the loss, those of speed perturbation among them.
        speakers_counted: Whether they were counted in the training corpus, or assumed.
        key: Of the configuration that ``batch_size`` is for.
        chosen: By size or by speed.
        measured: Peaks by batch size, and speeds where there is a GPU.
        batch_size: The batch chosen, of each process.
        accumulation_steps: Batches that make the target batch; 1 where none was asked for.
        n_processes: That share the target batch.
        target_batch: Crops of an optimiser step that were asked for.
        predicted_peak_mib: What a pass of ``batch_size`` is expected to take.
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
        """Whether nothing was measured on a GPU."""
        return self.device is None

    @property
    def usable_mib(self) -> float:
        """What of the free memory may be taken."""
        return self.share * self.free_mib


def profile_gpu(config: Config, wishes: Wishes, *, cache_dir: Path, mirror: str | None = None) -> GpuProfile:
    """Take passes as ``config`` says and return the batch that fits.

    They are training steps; in a run that trains the head alone, passes that store the vectors of crops.

    Args:
        config: Whose model, loss, crops, precision and device hold.
        wishes: What is asked for beside it.
        cache_dir: Folder of fetched models.
        mirror: URL or folder with copies of the published files.

    Raises:
        UsageError: If there is no GPU, and no limit or a wish for the fastest batch.
        MrlspkError: If not even the smallest batch fits.
        DataError: If the training corpus is there but is none.
        CheckpointError: If the model to start from is not whole.
        DownloadError: If a published model cannot be fetched.
    """
    device = _find_device(config, wishes)
    n_classes, counted = _count_classes(config)
    n_processes = config.hardware.devices * config.hardware.nodes
    probe = build_probe(
        config, device, n_speakers=n_classes, n_processes=n_processes, cache_dir=cache_dir, mirror=mirror
    )
    found, steps = _search(probe, config, wishes)
    return GpuProfile(
        device=torch.cuda.get_device_name(device) if device.type == "cuda" else None,
        **_memory(found.card),
        share=USED_SHARE,
        n_speakers=n_classes,
        speakers_counted=counted,
        key="features.batch_size" if config.trains_head_alone else "training.batch_size",
        chosen="fastest" if wishes.fastest else "largest",
        measured=found.points,
        batch_size=found.batch,
        accumulation_steps=steps,
        n_processes=n_processes,
        target_batch=wishes.target_batch or config.training.target_batch,
        predicted_peak_mib=found.model.peak_mib(found.batch),
    )


def crops_side_by_side(config: Config) -> int:
    """Return the crops of one speaker that a batch must not part."""
    data = config.data
    return data.utterances_per_speaker if data.sampler == "speaker_balanced" and not config.trains_head_alone else 1


def with_batch(config: Config, profile: GpuProfile) -> Config:
    """Return ``config`` with the batch and accumulation of ``profile``.

    In a run that trains the head alone, whose optimiser steps are over stored vectors, the batch is that of
    ``features``, and a target is reached by one batch of vectors.
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


def write_config(config: Config, profile: GpuProfile, path: Path) -> None:
    """Write ``config`` with the batch and accumulation of ``profile``, as `mrlspk train` takes it."""
    origin = f"measured on {profile.device}" if profile.device else "a prediction, not measured on a GPU"
    heading = (
        f"# Batch and accumulation by mrlspk gpu-profile: {origin}.\n"
        f"# For a card of {profile.limit_mib:.0f} MiB: {profile.predicted_peak_mib:.0f} MiB expected, "
        f"{profile.usable_mib:.0f} may be taken.\n"
    )
    with whole_file(path) as partial:
        partial.write_text(heading + dump_config(with_batch(config, profile)), encoding="utf-8")


def _find_device(config: Config, wishes: Wishes) -> torch.device:
    """Return the GPU to measure on, or else the CPU to predict on.

    Raises:
        UsageError: If there is no GPU, and what is asked for cannot be predicted.
    """
    device = find_device(config.hardware.device)
    if device.type == "cuda":
        return device
    if wishes.limit_mib is None:
        raise UsageError(
            "there is no GPU to measure on, so memory can only be predicted for a card of a given size",
            "--vram-limit",
            "Name it, for example --vram-limit 12GiB.",
        )
    if wishes.fastest:
        raise UsageError(
            "there is no GPU to measure on, and speed cannot be predicted",
            "--fastest",
            "Leave it out here, or run the command where the GPU is.",
        )
    return torch.device("cpu")


def _search(probe: Probe, config: Config, wishes: Wishes) -> tuple[Found, int]:
    """Return the search with the batch that fits or, where there is a target, makes it, and the accumulation.

    Raises:
        MrlspkError: If not even the smallest batch fits.
    """
    on_gpu, side_by_side = probe.device.type == "cuda", crops_side_by_side(config)
    if on_gpu:
        found = search_card(probe, limit_mib=wishes.limit_mib, fastest=wishes.fastest)
    else:
        assert wishes.limit_mib is not None  # it has been checked
        found = predict(probe, limit_mib=wishes.limit_mib)
    check_fits(found, least=max(MIN_BATCH, side_by_side))
    batch_size, steps = split_target(
        found.batch,
        wishes.target_batch or config.training.target_batch,
        n_processes=config.hardware.devices * config.hardware.nodes,
        multiple_of=side_by_side,
    )
    return (search_at(probe, found, batch_size) if on_gpu else replace(found, batch=batch_size)), steps


def _memory(card: CardMemory) -> dict[str, float]:
    return {"total_mib": card.total_mib, "limit_mib": card.limit_mib, "free_mib": card.free_mib}


def _count_classes(config: Config) -> tuple[int, bool]:
    """Return the number of classes, speakers held out for validation counted too, and whether they were counted."""
    data = config.data
    counted = data.train_dataset.exists()
    n_speakers = len(scan_corpus(data.train_dataset).speakers) if counted else VOXCELEB2_SPEAKERS
    return n_speakers * (1 + len(data.speed_perturbation)), counted
