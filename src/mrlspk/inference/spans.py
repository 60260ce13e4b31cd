"""Cut the samples of a recording that are to be embedded into equal windows, as spans of samples."""

import math

import numpy as np
from numpy.typing import NDArray

type Spans = NDArray[np.int64]  # (n, 2) samples: start, and end without the end itself; rising and disjoint


def whole_span(n_samples: int) -> Spans:
    """Return the span of all samples of a recording."""
    return np.array([[0, n_samples]], np.int64)


def count_samples(spans: Spans) -> int:
    """Return the number of samples in spans."""
    return int((spans[:, 1] - spans[:, 0]).sum())


def slice_spans(spans: Spans, first: int, last: int) -> Spans:
    """Return what ``[first:last]`` takes of the samples of spans, joined one after the other."""
    lengths = spans[:, 1] - spans[:, 0]
    before = np.cumsum(lengths) - lengths
    starts, ends = (np.clip(end - before, 0, lengths) + spans[:, 0] for end in (first, last))
    taken: Spans = np.stack((starts, ends), axis=1)[ends > starts]
    return taken


def middle_of(spans: Spans, n_samples: int) -> Spans:
    """Return the middle ``n_samples`` of at least as many samples."""
    start = (count_samples(spans) - n_samples) // 2
    return slice_spans(spans, start, start + n_samples)


def equal_windows(spans: Spans, longest: float) -> tuple[Spans, ...]:
    """Return the fewest windows of equal length, of at most ``longest`` samples; what does not divide is left out."""
    samples = count_samples(spans)
    n_windows = max(1, math.ceil(samples / longest))
    size = samples // n_windows
    return tuple(slice_spans(spans, number * size, (number + 1) * size) for number in range(n_windows))
