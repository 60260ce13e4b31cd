"""Simulated voices of an index: unit vectors about a mean of each voice, in folders for each session."""

import numpy as np

from mrlspk.index.decisions.trials import EnrolledRecordings, Queries


def unit(vectors):
    """Return the rows at unit length, as float32."""
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def draw_voices(n_voices, rng, *, dim=16):
    """Return directions of voices, (n_voices, dim)."""
    return unit(rng.normal(size=(n_voices, dim)))


def record(voices, rng, *, n_each=1, noise=0.5):
    """Return noisy recordings of each voice in turn, (n_voices * n_each, dim)."""
    repeated = np.repeat(voices, n_each, axis=0)
    return unit(repeated + noise * rng.normal(size=repeated.shape) / np.sqrt(repeated.shape[1]))


def enrol(voices, rng, *, n_each=3, noise=0.5, seconds=4.0, folders="own", root=""):
    """Return recordings of voices; with folders "own" each recording lies in another folder, with "one" in one."""
    n = len(voices) * n_each
    numbers = np.repeat(np.arange(len(voices)), n_each)
    sources = tuple(
        f"{root}v{voice}/{place if folders == 'own' else 0}/{place}.wav"
        for voice, place in zip(numbers, np.arange(n) % n_each, strict=True)
    )
    return EnrolledRecordings(
        record(voices, rng, n_each=n_each, noise=noise),
        tuple(f"v{i}" for i in range(len(voices))),
        numbers,
        np.full(n, seconds) if np.isscalar(seconds) else np.asarray(seconds),
        sources,
    )


def queries_of(vectors, voice_index, *, seconds=4.0):
    """Return queries that are no enrolled recordings."""
    n = len(vectors)
    return Queries(unit(vectors), np.asarray(voice_index), np.full(n, seconds), np.full(n, -1))
