"""Check the length of a waveform, and the direction of an embedding."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.audio import SAMPLE_RATE
from mrlspk.errors import DataError


def check_length(n_samples: int, min_samples: int, where: Path | str, *, sample_rate: int = SAMPLE_RATE) -> None:
    """Check that there are enough samples for an embedding.

    Raises:
        DataError: If they are too few.
    """
    if n_samples < min_samples:
        raise DataError(
            f"too short: {n_samples} samples at {sample_rate / 1000:g} kHz, at least {min_samples} are needed",
            where,
            "Leave it out, or give a longer recording; two seconds and more make good embeddings.",
        )


def check_direction(embedding: NDArray[np.float32], where: Path | str) -> None:
    """Check that an embedding (embed_dim,) can be brought to unit length.

    Raises:
        DataError: If it is not finite, or zero.
    """
    finite = bool(np.isfinite(embedding).all())
    if not finite or not embedding.any():
        problem = "is zero" if finite else "is not finite"
        raise DataError(f"its embedding {problem}", where, "Check the recording, and try the model on others.")
