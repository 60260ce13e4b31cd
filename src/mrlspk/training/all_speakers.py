"""Join the training speakers of a run with those that it held out."""

import hashlib
from dataclasses import replace
from pathlib import Path

from mrlspk.config.data import DataConfig
from mrlspk.data.build import TrainingData, build_crops
from mrlspk.data.crops.dataset import CropDataset
from mrlspk.data.manifest import Manifest
from mrlspk.training.vector_corpus import VectorData


def join_speakers(data: TrainingData, config: DataConfig, *, seed: int) -> TrainingData:
    """Return the data of a run with the held-out speakers among those to train on, behind the others.

    The trials stay: they are then among speakers that are trained on.
    """
    corpus = _join(data.corpus, data.validation)
    if isinstance(data, VectorData):
        named = hashlib.sha256(f"{data.train.fingerprint} {corpus.fingerprint}".encode())
        train = CropDataset(corpus, crop_seconds=config.chunk_duration, seed=seed, fingerprint=named.hexdigest())
        return replace(data, corpus=corpus, train=train)
    return replace(data, corpus=corpus, train=build_crops(corpus, config, seed=seed))


def only_held_out(data: TrainingData, config: DataConfig, *, seed: int) -> TrainingData:
    """Return the data of a run with the held-out speakers in place of those to train on."""
    if isinstance(data, VectorData):
        train = CropDataset(data.validation, crop_seconds=config.chunk_duration, seed=seed)
        return replace(data, corpus=data.validation, train=train)
    return replace(data, corpus=data.validation, train=build_crops(data.validation, config, seed=seed))


def _join(corpus: Manifest, held_out: Manifest) -> Manifest:
    """Return the utterances of both; the root is that of the first."""
    return replace(corpus, root=Path(corpus.root), utterances=corpus.utterances + held_out.utterances)
