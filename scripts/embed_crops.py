"""Embed random crops of every recording of a folder, with augmentation if asked: a vector file to fit transforms on.

    scripts/embed_crops.py --model campplus.onnx speech/train -o crops.npz
    scripts/embed_crops.py --model campplus.onnx speech/train -o noisy.npz --noise speech/musan --rooms speech/rirs

Ids are the path of the recording, ``#`` and the number of the crop. Recordings shorter than a crop are left out. Every
choice depends on the seed and the recording's path alone.
"""

import argparse
from collections.abc import Iterator
from pathlib import Path
from zlib import crc32

import numpy as np
import torch
from numpy.typing import NDArray

from mrlspk.config.data import DataConfig
from mrlspk.data.audio import load_audio
from mrlspk.data.augmentation.build import build_augmentation
from mrlspk.data.augmentation.steps import Augmentation
from mrlspk.data.corpora.walk import list_audio
from mrlspk.inference.backend import Backend
from mrlspk.inference.backend_registry import load_backend
from mrlspk.inference.model_file import locate_model
from mrlspk.vectors.saving import save_vectors
from mrlspk.vectors.table import VectorTable


def main() -> None:
    """Embed the crops and write the file."""
    given = _arguments()
    torch.set_num_threads(1)
    backend = load_backend(locate_model(given.model, cache_dir=None)).backend
    augmentation = None
    if given.noise or given.rooms:
        augmentation = build_augmentation(DataConfig(musan_dataset=given.noise, rir_dataset=given.rooms))
    ids, rows = list[str](), list[NDArray[np.float32]]()
    only = set(given.only.read_text().split()) if given.only else None
    for name in list_audio(given.folder):
        if only is not None and Path(name).parts[0] not in only:
            continue
        crops = [*_crops(given, name, augmentation, backend)]
        if crops:
            ids += [f"{name}#{number}" for number in range(len(crops))]
            rows.append(_unit(backend.embed(np.stack(crops))))
    save_vectors(VectorTable(tuple(ids), np.concatenate(rows), backend.fingerprint), given.output, force=False)
    print(f"{len(ids)} crops of {len(rows)} recordings")


def _crops(
    given: argparse.Namespace, name: str, augmentation: Augmentation | None, backend: Backend
) -> Iterator[NDArray[np.float32]]:
    """Yield the crops of a recording, each (samples,)."""
    rng = np.random.default_rng([given.seed, crc32(str(name).encode())])
    waveform = load_audio(given.folder / name, sample_rate=backend.sample_rate)
    size = int(given.seconds * backend.sample_rate)
    if len(waveform) < size:
        return
    for _ in range(given.crops):
        start = int(rng.integers(len(waveform) - size + 1))
        crop = waveform[start : start + size]
        yield (augmentation(crop, rng) if augmentation else crop).numpy()


def _unit(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    unit: NDArray[np.float32] = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return unit


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="recordings, as speaker/session/NAME")
    parser.add_argument("--model", required=True, help="a checkpoint or an ONNX model")
    parser.add_argument("--only", type=Path, help="file with the speakers to take; default: all")
    parser.add_argument("-o", "--output", type=Path, required=True, help="vector file")
    parser.add_argument("--crops", type=int, default=2, help="of each recording")
    parser.add_argument("--seconds", type=float, default=2.0, help="length of a crop")
    parser.add_argument("--noise", type=Path, help="folder of noise recordings")
    parser.add_argument("--rooms", type=Path, help="folder of room impulse responses")
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args()


if __name__ == "__main__":
    main()
