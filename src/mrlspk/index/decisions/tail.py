"""Describe how often recordings of nobody enrolled reach a ratio, measured and beyond what was measured.

Such a recording is falsely accepted if one of N voices accepts it. If voices erred independently, the rate would be
1 - (1 - FAR)^N with FAR the rate of one voice. They do not: a speaker who resembles one enrolled voice resembles
others, and most resemble none. The rate of single comparisons then tells too much for N voices. So the rate of one
voice is measured as the one at which the formula gives the rate of N voices, for several N. For more voices than were
there the formula errs on the safe side; the extrapolated tail need not.
"""

import math
from collections.abc import Iterator
from itertools import pairwise
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat, PositiveInt, model_validator
from scipy.special import gammaln

from mrlspk.evaluation.thresholds import Nats, Record

MEASURED_PAIRS = 5  # pairs of voices whose trials reach the lowest measured rate
# The exponential tail is fitted to a tenth of the queries, to 100 of few, but not to more than half of them.
TAIL_SHARE, TAIL_QUERIES, MOST_OF_TAIL = 0.1, 100, 0.5
POINTS_PER_DECADE = 6
LOWEST_POOLED = 1e-3  # of the rates of single comparisons that points are placed at
FIRST_TRIALS = 1000  # the highest, among which the pairs are looked for first
SAME_RATE = 1e-9  # rates that differ by less, relatively, are one
MIN_DECAY, MAX_DECAY = 1e-3, 1e6  # per nat

type PositiveShare = Annotated[FiniteFloat, Field(gt=0, le=1)]


class TailPoint(Record):
    """The false-accept rate of one voice at a threshold."""

    rate: PositiveShare
    llr: Nats


class Tail(Record):
    """False-accept rates of one voice by threshold, among so many voices.

    Attributes:
        n_voices: Voices that were searched.
        n_queries: Recordings that were searched for.
        points: By falling rate.
        decay: Of the exponential tail below the lowest rate, per nat.
    """

    n_voices: PositiveInt
    n_queries: PositiveInt
    points: Annotated[tuple[TailPoint, ...], Field(min_length=1)]
    decay: Annotated[FiniteFloat, Field(ge=MIN_DECAY, le=MAX_DECAY)]

    @model_validator(mode="after")
    def check_order(self) -> Self:
        """Reject points that do not fall."""
        if any(a.rate <= b.rate or a.llr >= b.llr for a, b in pairwise(self.points)):
            raise ValueError("expected points of falling rate and rising ratio")
        return self

    @property
    def lowest_measured(self) -> float:
        """The lowest rate that was counted; lower ones are extrapolated."""
        return self.points[-1].rate

    def rate(self, llr: float) -> float:
        """Return the false-accept rate of one voice at a threshold of ``llr``."""
        last = self.points[-1]
        if llr >= last.llr:
            return last.rate * math.exp(-self.decay * (llr - last.llr))
        ratios, logs = self._knots()
        return math.exp(float(np.interp(llr, ratios, logs)))

    def threshold(self, rate: float) -> float:
        """Return the lowest threshold whose rate is at most ``rate``, which lies in (0, 1]."""
        last = self.points[-1]
        if rate <= last.rate:
            return last.llr + (math.log(last.rate) - math.log(rate)) / self.decay
        ratios, logs = self._knots()
        return float(np.interp(-math.log(rate), -logs, ratios))

    def _knots(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        return np.array([each.llr for each in self.points]), np.log([each.rate for each in self.points])


def fit_tails(llrs: NDArray[np.float64], pair_index: NDArray[np.integer]) -> tuple[Tail, ...]:
    """Return the tails of non-target ratios for 1, 10, 100 and so on up to all voices.

    A rate counts as measured down to where the trials of `MEASURED_PAIRS` pairs of voices reach: trials of one pair
    resemble each other. Below it the tail is exponential, fitted to the highest ratios of the queries.

    Args:
        llrs: (queries, voices); NaN for the voice that speaks.
        pair_index: (queries, voices), a number for each pair of voices, whichever of the two asks.
    """
    is_trial = ~np.isnan(llrs)
    ratios = np.where(is_trial, llrs, -np.inf)
    highest, falling = ratios.max(axis=1), np.sort(ratios[is_trial])[::-1]
    lowest = _lowest(ratios.ravel(), pair_index.ravel(), falling)
    thresholds = _thresholds(falling, highest, lowest)
    n_reached = np.stack([np.count_nonzero(ratios >= each, axis=1) for each in thresholds])
    n_asked = np.count_nonzero(is_trial, axis=1)
    decay = _decay(highest, lowest)
    return tuple(
        Tail(
            n_voices=n_voices,
            n_queries=len(llrs),
            points=_points(thresholds, _shares(n_reached, n_asked, n_voices), n_voices),
            decay=decay,
        )
        for n_voices in _sizes(int(n_asked.min()))
    )


def rate_per_voice(rate: float, n_voices: int) -> float:
    """Return the false-accept rate of one voice at which ``n_voices`` have ``rate``: 1 - (1 - rate)^(1/N)."""
    return 1.0 if rate >= 1 else -math.expm1(math.log1p(-rate) / n_voices)


def rate_of_all(rate: float, n_voices: int) -> float:
    """Return the false-accept rate of ``n_voices`` voices: 1 - (1 - rate)^N."""
    return 1.0 if rate >= 1 else -math.expm1(n_voices * math.log1p(-rate))


def _sizes(n_voices: int) -> Iterator[int]:
    size = 1
    while size < n_voices:
        yield size
        size *= 10
    yield n_voices


def _lowest(ratios: NDArray[np.float64], pairs: NDArray[np.integer], falling: NDArray[np.float64]) -> float:
    """Return the ratio down to which the trials of `MEASURED_PAIRS` pairs reach; the last if there are fewer pairs."""
    n_trials = min(FIRST_TRIALS, len(falling))
    while True:
        top = np.flatnonzero(ratios >= falling[n_trials - 1])
        top = top[np.argsort(-ratios[top], kind="stable")]
        first = np.sort(np.unique(pairs[top], return_index=True)[1])
        if len(first) >= MEASURED_PAIRS:
            return float(ratios[top[first[MEASURED_PAIRS - 1]]])
        if n_trials == len(falling):
            return float(falling[-1])
        n_trials = min(10 * n_trials, len(falling))


def _thresholds(falling: NDArray[np.float64], highest: NDArray[np.float64], lowest: float) -> NDArray[np.float64]:
    """Return rising ratios to measure rates at, up to ``lowest``, that of the lowest measured rate.

    Args:
        falling: (trials,), all ratios.
        highest: (queries,), of each query.
        lowest: The last threshold.
    """
    singles, maxima = _quantiles(falling, LOWEST_POOLED), _quantiles(-np.sort(-highest), 1 / len(highest))
    thresholds = np.unique(np.concatenate([singles, maxima, np.array([lowest])]))
    return np.asarray(thresholds[thresholds <= lowest], dtype=np.float64)


def _quantiles(falling: NDArray[np.float64], lowest_rate: float) -> NDArray[np.float64]:
    """Return the values that shares from 1 down to ``lowest_rate`` reach, evenly in the logarithm of the share."""
    rates = np.geomspace(1, lowest_rate, 2 + math.ceil(-POINTS_PER_DECADE * math.log10(lowest_rate)))
    places = np.ceil(rates * len(falling) - 1e-9).astype(int) - 1
    return np.asarray(falling[places], dtype=np.float64)


def _shares(n_reached: NDArray[np.intp], n_asked: NDArray[np.intp], n_voices: int) -> NDArray[np.float64]:
    """Return the share of queries that one of ``n_voices`` voices, drawn from those asked, accepts, (thresholds,).

    Args:
        n_reached: (thresholds, queries), voices that accept.
        n_asked: (queries,), voices of the trials.
        n_voices: Drawn without replacement: C(asked - reached, n) of C(asked, n) draws have no voice that accepts.
    """
    n_others = n_asked - n_reached
    is_certain = n_others < n_voices
    left = np.where(is_certain, n_voices, n_others)
    log_none = gammaln(left + 1) - gammaln(left - n_voices + 1) - gammaln(n_asked + 1) + gammaln(n_asked - n_voices + 1)
    return np.asarray(1 - np.where(is_certain, 0.0, np.exp(log_none)).mean(axis=1))


def _points(thresholds: NDArray[np.float64], shares: NDArray[np.float64], n_voices: int) -> tuple[TailPoint, ...]:
    """Return the rate of one voice at each threshold; of thresholds with one rate the highest, which is safer."""
    points = list[TailPoint]()
    for llr, share in zip(thresholds.tolist(), shares.tolist(), strict=True):
        point = TailPoint(rate=rate_per_voice(share, n_voices), llr=llr)
        if points and point.rate > points[-1].rate * (1 - SAME_RATE):
            points.pop()
        points.append(point)
    return tuple(points)


def _decay(highest: NDArray[np.float64], lowest: float) -> float:
    """Return the decay of the highest ratios of the queries beyond a high one, by maximum likelihood."""
    share = max(TAIL_SHARE, min(TAIL_QUERIES / len(highest), MOST_OF_TAIL))
    start = min(float(np.quantile(highest, 1 - share)), lowest)
    excess = float(np.mean(highest[highest >= start] - start))
    return MAX_DECAY if excess <= 0 else float(np.clip(1 / excess, MIN_DECAY, MAX_DECAY))
