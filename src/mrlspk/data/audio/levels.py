"""Find samples far out of range, such as 16-bit integers stored as floats."""

import numpy as np
from numpy.typing import NDArray

OUT_OF_RANGE = "out of range"
SILENT_PEAK = 1e-4  # -80 dB of full scale
HIGHEST_PEAK = 2.0  # full scale is 1; decoders and limiters overshoot it to about 1.4


def peak_of(samples: NDArray[np.float32]) -> float:
    """Return the largest magnitude; NaN if a sample is."""
    return float(max(samples.max(), -samples.min())) if samples.size else 0.0


def is_out_of_range(peak: float) -> bool:
    """Return whether samples of this peak are far beyond [-1, 1]."""
    return peak > HIGHEST_PEAK
