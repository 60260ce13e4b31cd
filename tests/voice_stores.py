"""Tiny voice stores, and voices whose vectors follow from a seed."""

import numpy as np

from mrlspk.index.shortlist import ShortlistSpec
from mrlspk.index.store.settings import IndexSettings
from mrlspk.index.store.store import VoiceStore
from mrlspk.index.store.voices import NewRecording, NewVoice

DIM = 16
BITS = ShortlistSpec("bits", DIM, candidates=10)


def unit_vectors(count, seed, dim=DIM):
    """Return random vectors (count, dim) of unit length."""
    vectors = np.random.default_rng(seed).standard_normal((count, dim))
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def store_settings(dim=DIM, spec=BITS):
    """Return settings of an index of vectors that no known model made."""
    return IndexSettings(
        embed_dim=dim, dims=(dim // 2, dim), shortlist=spec, created="2026-01-02T03:04:05+00:00", mrlspk_version="0.1.0"
    )


def make_store(folder, *names, dim=DIM, spec=BITS):
    """Return a new store in a folder, with a voice of one recording for each name."""
    store = VoiceStore.create(folder, store_settings(dim, spec))
    if names:
        with store.writing() as writer:
            writer.add_voices([new_voice(name, seed=seed, dim=dim) for seed, name in enumerate(names)])
    return store


def new_voice(name, *, seed, recordings=1, profiles=1, dim=DIM, metadata=None):
    """Return a voice; of a single recording the vector is the profile."""
    vectors = unit_vectors(recordings, seed, dim)
    return NewVoice(
        name,
        [NewRecording(f"/audio/{name}-{number}.wav", 4.0, 3.0, ("clipped",)) for number in range(recordings)],
        vectors,
        vectors if recordings == 1 else unit_vectors(profiles, [seed, 1], dim),
        metadata or {"site": "north", "seed": seed},
    )
