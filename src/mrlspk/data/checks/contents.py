"""Summarise what a corpus holds: lengths of files, files of each speaker, formats."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

BINS = 30  # of a histogram
WIDE = 8.0  # a histogram over a wider range, as a ratio, has bins that grow with the value


class Format(NamedTuple):
    """What the header of a file states."""

    codec: str
    sample_rate: int
    channels: int


@dataclass(frozen=True, eq=False)
class Contents:
    """What the headers of some files state.

    Attributes:
        seconds: (files,), lengths of those that can be read.
        formats: Files of each format.
    """

    seconds: NDArray[np.float32] = field(default_factory=lambda: np.zeros(0, np.float32))
    formats: Counter[Format] = field(default_factory=Counter)

    @classmethod
    def joined(cls, parts: Iterable["Contents"]) -> "Contents":
        """Return the contents of all parts."""
        parts = list(parts)
        formats = sum((each.formats for each in parts), Counter[Format]())
        return cls(np.concatenate([cls().seconds, *(each.seconds for each in parts)]), formats)

    def values(self) -> dict[str, Any]:
        """Return the entries of a JSON document; lengths are absent without a file."""
        formats = [each._asdict() | {"files": count} for each, count in self.formats.most_common()]
        return {"formats": formats, **({"durations": spread(self.seconds)} if len(self.seconds) else {})}


def spread(values: ArrayLike) -> dict[str, Any]:
    """Return least, median, mean and most of numbers, and their histogram."""
    numbers = np.asarray(values, dtype=np.float64)
    found = {"min": numbers.min(), "median": np.median(numbers), "mean": numbers.mean(), "max": numbers.max()}
    edges = _edges(numbers)
    counts, _ = np.histogram(np.clip(numbers, edges[0], edges[-1]), edges)
    histogram = {"edges": edges.tolist(), "counts": counts.tolist()}
    return {name: float(value) for name, value in found.items()} | {"histogram": histogram}


def _edges(numbers: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the edges of a histogram; whole numbers of a narrow range have a bin each."""
    low, high = numbers.min(), numbers.max()
    if high > WIDE * low > 0:
        return np.geomspace(low, high, BINS + 1)
    if high - low < BINS and (numbers == np.round(numbers)).all():
        return np.arange(low, high + 2) - 0.5
    return np.linspace(low, high if high > low else low + 1, BINS + 1)
