"""Find the score at which one voice and two voices part, from the scores of a corpus itself.

Scores of one voice and of two voices are each taken as normal, with the median and one quantile on the side of the
other kind: a few wrong labels do not move those. The share of the rarer kind is fitted by expectation maximisation.
The threshold is where the rarer kind becomes the likelier one (Bayes' rule): it minimises the expected number of
errors, and fewer wrong labels, or more scores, make it stricter.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

type Floats = NDArray[np.float64]
type VoiceKind = Literal["same", "different"]

MIN_PROBABILITY = 0.5  # of the rarer kind
LOWER, UPPER = 0.1587, 0.8413  # quantiles one standard deviation from the median of a normal distribution
ITERATIONS, START_SHARE = 200, 0.01  # of the expectation maximisation
TINY = 1e-300  # a density to divide by
STEPS = 2001  # of the scores between the two medians among which the threshold is looked for


@dataclass(frozen=True)
class Normal:
    """A normal distribution, or one for each score."""

    mean: float
    deviation: float | Floats

    def density(self, scores: Floats) -> Floats:
        """Return the density at scores."""
        z = (scores - self.mean) / self.deviation
        return np.asarray(np.exp(-0.5 * z * z) / (self.deviation * np.sqrt(2 * np.pi)))


def fit_normal(scores: Floats, quantile: float) -> Normal:
    """Return the normal distribution of the median and of ``quantile``, `LOWER` or `UPPER`."""
    median = float(np.median(scores))
    return Normal(median, max(abs(float(np.quantile(scores, quantile)) - median), 1e-6))


@dataclass(frozen=True)
class Parting:
    """Where one voice and two part.

    Attributes:
        same: Scores of one voice.
        different: Scores of two voices.
        share: Of the rarer kind among the scores of the corpus.
        threshold: Beyond it a score is of the rarer kind.
    """

    same: Normal
    different: Normal
    share: float
    threshold: float


def part(scores: Floats, *, same: Normal, different: Normal, rare: VoiceKind) -> Parting:
    """Return where the kinds part.

    Args:
        scores: Of the corpus: most of the common kind.
        same: Scores of one voice.
        different: Scores of two voices.
        rare: The kind that is looked for.
    """
    common, wanted = (same, different) if rare == "different" else (different, same)
    share = _fit_share(scores, common, wanted)
    grid = np.linspace(common.mean, wanted.mean, STEPS)
    odds = share * wanted.density(grid) / np.maximum((1 - share) * common.density(grid), TINY)
    found = np.flatnonzero(odds >= MIN_PROBABILITY / (1 - MIN_PROBABILITY))
    return Parting(same, different, share, float(grid[found[0]] if len(found) else grid[-1]))


def _fit_share(scores: Floats, common: Normal, wanted: Normal) -> float:
    """Return the share of ``wanted``, at least that of one score."""
    least = 1 / (len(scores) + 1)
    # The wider of two normal distributions has more far beyond the narrow one: scores there count as at its median.
    low, high = sorted((common.mean, wanted.mean))
    inner = np.clip(scores, low, high)
    f0, f1, share = common.density(inner), wanted.density(inner), START_SHARE
    for _ in range(ITERATIONS):
        p = share * f1 / np.maximum(share * f1 + (1 - share) * f0, TINY)
        share = max(float(p.mean()), least)
    return share
