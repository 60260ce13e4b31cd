"""Compare the embeddings of a lower precision with those of f32 on a sample of recordings."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mrlspk.inference.backend import Backend, PrecisionCosine


def compare_precision(
    backend: Backend, reference: Backend, sample: Sequence[NDArray[np.float32]]
) -> PrecisionCosine | None:
    """Embed a sample in both precisions and return the cosines; None if no waveform of it is long enough.

    Args:
        backend: In the lower precision.
        reference: The same model in f32.
        sample: Waveforms (samples,); those that are too short for the model are left out.
    """
    long_enough = [waveform[None] for waveform in sample if len(waveform) >= backend.min_samples]
    if not long_enough:
        return None
    cosines = [_cosine(backend.embed(each)[0], reference.embed(each)[0]) for each in long_enough]
    return PrecisionCosine(float(np.mean(cosines)), float(np.min(cosines)), len(cosines))


def _cosine(one: NDArray[np.float32], other: NDArray[np.float32]) -> float:
    a, b = one.astype(np.float64), other.astype(np.float64)
    return float(a @ b / (np.linalg.norm(a) * np.linalg.norm(b)))
