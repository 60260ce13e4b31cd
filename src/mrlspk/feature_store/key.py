"""Describe everything that stored vectors depend on; the SHA-256 of this key names the feature store."""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any, Literal

import torch

from mrlspk.data.audio.source import AudioSource
from mrlspk.data.augmentation.noise import RecordedNoise
from mrlspk.data.augmentation.rooms import RoomResponse
from mrlspk.data.augmentation.steps import Augmentation, AugmentationStep
from mrlspk.data.crops.dataset import CropDataset
from mrlspk.data.manifest import Utterance
from mrlspk.errors import DataError, MrlspkError
from mrlspk.feature_store.shards import Layout, NumberType, plan_layout
from mrlspk.files import whole_file
from mrlspk.models.external_encoder import ExternalEncoder
from mrlspk.models.fingerprint import model_fingerprint
from mrlspk.models.headed_model import HeadedModel
from mrlspk.reading import parse_json, read_bytes, reading

FORMAT = 3  # raise it if the same key gives other vectors, or if the format of a store changes
KEY_FILE = "key.json"

type Key = dict[str, Any]
type Precision = Literal["fp32", "bf16", "fp16"]


def crops_key(
    encoder: HeadedModel,
    dataset: CropDataset,
    *,
    crops_per_item: int,
    dtype: NumberType,
    batch_size: int,
    precision: Precision,
) -> Key:
    """Return the key of ``crops_per_item`` random crops of every index of a dataset.

    Raises:
        DataError: If an utterance or a recording of the augmentation is gone.
    """
    layout = plan_layout(crops_per_item * len(dataset), encoder.pooled_dim, dtype)
    ids = dataset.utterance_ids
    return _key(encoder, layout, kind="crops", batch_size=batch_size, precision=precision) | {
        "manifest": listing_sha256(ids, map(dataset.source_of, range(len(ids)))),
        "crops_per_item": crops_per_item,
        "crop_samples": dataset.n_samples,
        "sample_rate": dataset.sample_rate,
        "speeds": [float(speed) for speed in dataset.speeds],
        "augmentation": describe_augmentation(dataset.augmentation),
        "seed": dataset.seed,
    }


def utterances_key(
    encoder: HeadedModel,
    utterances: Sequence[Utterance],
    *,
    dtype: NumberType,
    batch_size: int,
    max_seconds: float,
    crop_seconds: float | None,
    precision: Precision,
) -> Key:
    """Return the key of one vector for every utterance.

    Raises:
        DataError: If an utterance is gone.
    """
    layout = plan_layout(len(utterances), encoder.pooled_dim, dtype)
    ids, sources = [each.utterance_id for each in utterances], (each.source for each in utterances)
    return _key(encoder, layout, kind="whole", batch_size=batch_size, precision=precision) | {
        "manifest": listing_sha256(ids, sources),
        "max_seconds": float(max_seconds),
        "crop_seconds": None if crop_seconds is None else float(crop_seconds),
    }


def describe_augmentation(augmentation: Augmentation | None) -> list[dict[str, Any]]:
    """Return each step as plain values; recordings are replaced by the SHA-256 of their listing."""
    return [_describe_step(step) for step in (augmentation.steps if augmentation else ())]


def listing_sha256(names: Iterable[str], sources: Iterable[AudioSource]) -> str:
    """Return a SHA-256 over names and the sizes of their audio in bytes, in order.

    For a range, its start and length are included; for one channel of several, the channel.

    Raises:
        DataError: If a file cannot be read.
    """
    digest = hashlib.sha256()
    for name, source in zip(names, sources, strict=True):
        with reading(str(source), DataError, "Check the path."):
            size = source.size()
        entry = name, size, source.start_seconds, source.seconds, source.channel
        digest.update(json.dumps(entry).encode())
    return digest.hexdigest()


def store_name(key: Key) -> str:
    """Return the name of the folder of a store."""
    canonical = json.dumps(key, sort_keys=True, separators=(",", ":"))
    return f"{key['kind']}-{hashlib.sha256(canonical.encode()).hexdigest()[:16]}"


def layout_of(key: Key) -> Layout:
    """Return the layout of the rows in shards."""
    return Layout(**{field.name: key[field.name] for field in fields(Layout)})


def write_key(folder: Path, key: Key) -> None:
    """Write the key into the folder of its store.

    Raises:
        MrlspkError: If it cannot be written.
    """
    with whole_file(folder / KEY_FILE, force=True) as partial:
        partial.write_text(json.dumps(key, indent=1, sort_keys=True) + "\n")


def read_key(folder: Path) -> Key:
    """Read the key of the store in a folder; the name of the folder must match it.

    Raises:
        MrlspkError: If there is no key, it is damaged, or it has another format.
    """
    path, fix = folder / KEY_FILE, "Run the extraction again, or remove the folder."
    key: Key = parse_json(read_bytes(path, MrlspkError, fix), path, MrlspkError, fix)
    if not isinstance(key, dict) or "kind" not in key or store_name(key) != folder.name:
        raise MrlspkError("does not match the name of its folder", path, fix)
    if key["format"] != FORMAT:
        raise MrlspkError(f"expected format {FORMAT} of a feature store, got {key['format']}", path, fix)
    return key


def _key(encoder: HeadedModel, layout: Layout, *, kind: str, batch_size: int, precision: Precision) -> Key:
    """Return the entries that all kinds of keys share; the device is not one of them."""
    return {
        "format": FORMAT,
        "kind": kind,
        "encoder": model_fingerprint(encoder, without="head"),
        **_runtime(encoder),
        "precision": precision,
        "batch_size": batch_size,
        **asdict(layout),
    }


def _runtime(encoder: HeadedModel) -> Key:
    """Return what computes the vectors, in which version."""
    if isinstance(encoder, ExternalEncoder):
        return {"runtime": dict(encoder.runtime)}
    return {"torch": torch.__version__.partition("+")[0]}  # without the build for a device, which follows the plus


def _describe_step(step: AugmentationStep) -> dict[str, Any]:
    values = {name: list(value) if isinstance(value, tuple) else value for name, value in vars(step).items()}
    if isinstance(step, RecordedNoise | RoomResponse):
        names, sources = zip(*step.recordings.listing(), strict=True)
        values |= {
            "recordings": listing_sha256(names, sources),
            "choice": dict(zip(step.choice.categories, step.choice.shares, strict=True)),
        }
    if isinstance(step, RecordedNoise):
        values["snr_ranges"] = {category: list(limits) for category, limits in step.snr_ranges.items()}
    return {"step": type(step).__name__, **values}
