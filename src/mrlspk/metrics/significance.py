"""Intervals and p-values of error rates: bootstrap over speakers, McNemar's test, Holm's correction.

A bootstrap resample counts speaker i m_i times; a target trial then counts m_i times, a non-target trial of speakers i
and j m_i m_j times (the pigeonhole bootstrap, Owen 2007). Effects of a speaker, on trials of both kinds, then vary as
they should. Effects of a pair of speakers vary three times too much: the variance of m_i is about 1, that of m_i m_j 3.
A second resample therefore reweights the pairs alone, and its variance is subtracted `PAIRS_SUBTRACTED` times.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import binomtest, norm

from mrlspk.errors import MetricError
from mrlspk.metrics.dcf import cost_weights
from mrlspk.metrics.det import det_corners, equal_error_rates

type Interval = tuple[float, float]

LEVEL = 0.95  # share of repetitions in which an interval should contain the true rate

# Weights of trials in memory at a time: 2 MB in float64, about the cache of a core.
WEIGHTS_PER_BLOCK = 262_144

SPEAKERS, PAIRS = 0, 1

# The variance of the pairs is in that of the speakers three times. Subtracting it twice would be right for a mean; once
# is what the jackknife over speakers leaves, on the safe side (Efron and Stein 1981). For error rates, whose thresholds
# move too, scripts/check_intervals.py finds twice a little too narrow and once too wide on few trials.
PAIRS_SUBTRACTED = 1.5


@dataclass(frozen=True, eq=False)
class BootstrapResamples:
    """Error rates of resamples; all columns share the resamples, so that their differences are paired.

    The last axis holds a resample of the speakers and one of the pairs alone. `interval` and the like take both:
    ``eer[:, column]``, (n_resamples, 2), or the difference of two columns.

    Attributes:
        eer: (n_resamples, columns, 2), equal error rates in [0, 1].
        min_dcf: (n_resamples, columns, priors, 2), normalised detection costs at the best threshold of the trials as
            they are. To first order the minimum cost varies as the cost at that threshold does; the minimum of each
            resample would be biased low.
        n_speakers: Speakers of the target or of the non-target trials, whichever are fewer.
    """

    eer: NDArray[np.float64]
    min_dcf: NDArray[np.float64]
    n_speakers: int

    def at(self, columns: slice) -> "BootstrapResamples":
        """Return some of the columns."""
        return replace(self, eer=self.eer[:, columns], min_dcf=self.min_dcf[:, columns])


def bootstrap_speakers(
    scores: NDArray[np.floating],
    is_target: NDArray[np.bool_],
    enroll_speaker: NDArray[np.integer],
    test_speaker: NDArray[np.integer],
    *,
    p_targets: Sequence[float],
    n_resamples: int = 1000,
    seed: int = 0,
) -> BootstrapResamples:
    """Return the error rates of resamples; one without target or without non-target trials is drawn again.

    Args:
        scores: (trials, columns); a column is a width, or a width of one of several models.
        is_target: (trials,).
        enroll_speaker: (trials,), a number for each speaker; of a target trial, the speaker of both sides.
        test_speaker: (trials,).
        p_targets: Priors of the detection costs.
        n_resamples: Number of resamples.
        seed: Of the resamples.

    Raises:
        MetricError: If the arrays do not pair, a score is not finite, one kind of trial is absent, there are fewer than
            two speakers, or a prior is out of range.
    """
    columns = [_Column(column, is_target, [cost_weights(p_target) for p_target in p_targets]) for column in scores.T]
    resampler = _Resampler(is_target, enroll_speaker, test_speaker)
    rng = np.random.default_rng(seed)
    rates = np.empty((n_resamples, len(columns), 1 + len(p_targets), 2))
    step = max(1, WEIGHTS_PER_BLOCK // is_target.size)
    for start in range(0, n_resamples, step):
        block = rates[start : start + step]
        for kind, weigh in ((SPEAKERS, resampler.by_speaker), (PAIRS, resampler.by_pair)):
            weights = weigh(rng, len(block))
            for number, column in enumerate(columns):
                block[:, number, :, kind] = column.rates(*weights)
    return BootstrapResamples(rates[:, :, 0], rates[:, :, 1:], resampler.n_speakers_of_rarer_kind)


def standard_error(resamples: NDArray[np.float64]) -> float:
    """Return the standard error of a rate, or of a difference of rates, from resamples (n_resamples, 2)."""
    variance = resamples.var(axis=0)
    # Never below the value for effects of pairs alone, whatever chance does to both variances.
    return float(np.sqrt(max(variance[SPEAKERS] - PAIRS_SUBTRACTED * variance[PAIRS], variance[SPEAKERS] / 3)))


def interval(resamples: NDArray[np.float64], estimate: float, *, level: float = LEVEL) -> Interval:
    """Return the normal interval of a difference; it excludes 0 exactly if `p_value` is below 1 - level.

    Args:
        resamples: (n_resamples, 2).
        estimate: The difference on the trials as they are.
        level: Share of repetitions in which the interval should contain the true difference.
    """
    reach = norm.ppf((1 + level) / 2) * standard_error(resamples)
    return float(estimate - reach), float(estimate + reach)


def p_value(resamples: NDArray[np.float64], estimate: float) -> float:
    """Return the two-sided p-value of no difference, from resamples (n_resamples, 2) of the difference ``estimate``."""
    error = standard_error(resamples)
    return float(2 * norm.sf(abs(estimate) / error)) if error > 0 else float(estimate == 0)


def rate_interval(
    resamples: NDArray[np.float64], estimate: float, *, n_speakers: int, weight: float = 1.0, level: float = LEVEL
) -> Interval:
    """Return the interval of a rate in [0, 1]: normal on the scale of the log-odds, where it is nearly symmetric.

    Resampling cannot show errors that no trial shows. The interval of a rate of 0 reaches from 0 to the error rate at
    which as many speakers, with one trial each, would show no error with probability (1 - level) / 2.

    Args:
        resamples: (n_resamples, 2).
        estimate: The rate on the trials as they are.
        n_speakers: Speakers of the trials.
        weight: The rate per unit of both error rates: 1 for an EER, the sum of `cost_weights` for a minDCF.
        level: Share of repetitions in which the interval should contain the true rate.
    """
    limit = min(1.0, weight * (1 - ((1 - level) / 2) ** (1 / n_speakers)))
    if estimate in (0, 1):
        return (0.0, limit) if estimate == 0 else (1 - limit, 1.0)
    low, high = interval(resamples / (estimate * (1 - estimate)), float(logit(estimate)), level=level)
    return float(expit(low)), float(expit(high))


def mcnemar_p_value(only_a_wrong: int, only_b_wrong: int) -> float:
    """Return the exact two-sided p-value, in (0, 1], that two systems err equally often (McNemar 1947).

    It tests whether the trials that only one system decides incorrectly are split evenly; without such a trial it is 1.
    It treats trials as independent, and trials of one speaker are not.

    Raises:
        MetricError: If a count is negative.
    """
    if min(only_a_wrong, only_b_wrong) < 0:
        raise MetricError(f"expected counts of trials, got {only_a_wrong} and {only_b_wrong}")
    if only_a_wrong + only_b_wrong == 0:
        return 1.0
    return float(binomtest(only_a_wrong, only_a_wrong + only_b_wrong).pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the adjusted p-values in the order given (Holm 1979).

    If those at or below 0.05 are called significant, at most 5 % of all families of comparisons contain a false one,
    however the comparisons depend on each other.

    Raises:
        MetricError: If one lies outside [0, 1].
    """
    p = np.asarray(p_values, dtype=np.float64)
    if not ((p >= 0) & (p <= 1)).all():
        raise MetricError(f"expected p-values in [0, 1], got {list(p_values)}")
    order = np.argsort(p, kind="stable")
    adjusted = np.empty_like(p)
    adjusted[order] = np.minimum(np.maximum.accumulate(p[order] * np.arange(p.size, 0, -1)), 1)
    return [float(value) for value in adjusted]


class _Column:
    """The error rates of one column of scores, for any weights of its trials."""

    def __init__(
        self, scores: NDArray[np.floating], is_target: NDArray[np.bool_], costs: Sequence[tuple[float, float]]
    ) -> None:
        self._corners = det_corners(scores, is_target)
        n_target = int(is_target.sum())
        p_miss, p_fa = self._corners.rates(np.ones((1, n_target)), np.ones((1, is_target.size - n_target)))
        self._costs = [(miss, fa, int(np.argmin(miss * p_miss + fa * p_fa))) for miss, fa in costs]

    def rates(self, target_weights: NDArray[np.float64], nontarget_weights: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the EER and each cost at its threshold, (weightings, 1 + priors)."""
        p_miss, p_fa = self._corners.rates(target_weights, nontarget_weights)
        costs = [miss * p_miss[:, best] + fa * p_fa[:, best] for miss, fa, best in self._costs]
        return np.stack([equal_error_rates(p_miss, p_fa), *costs], axis=1)


class _Resampler:
    """Draw weights of the target trials and of the non-target trials, each (n, its trials)."""

    def __init__(
        self, is_target: NDArray[np.bool_], enroll_speaker: NDArray[np.integer], test_speaker: NDArray[np.integer]
    ) -> None:
        names, (enroll, test) = np.unique(np.stack([enroll_speaker, test_speaker]), return_inverse=True)
        if names.size < 2:
            raise MetricError("expected trials of at least two speakers to resample, got one")
        self._n_speakers = names.size
        self._target = enroll[is_target]
        left, right = np.sort([enroll[~is_target], test[~is_target]], axis=0)
        pairs, self._pair = np.unique(left * names.size + right, return_inverse=True)
        self._n_pairs = pairs.size
        sides = enroll[is_target], test[is_target]
        self.n_speakers_of_rarer_kind = int(min(np.unique(sides).size, np.unique([left, right]).size))
        # A non-target trial within one speaker counts that speaker once: the last count is always 1.
        self._left, self._right = left, np.where(left == right, names.size, right)

    def by_speaker(self, rng: np.random.Generator, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Draw as many speakers as there are, with replacement."""
        counts = np.ones((n, self._n_speakers + 1))
        counts[:, :-1] = rng.multinomial(self._n_speakers, np.full(self._n_speakers, 1 / self._n_speakers), size=n)
        target = counts.take(self._target, axis=1)
        nontarget = counts.take(self._left, axis=1) * counts.take(self._right, axis=1)
        lacking = ~(target.any(axis=1) & nontarget.any(axis=1))
        if lacking.any():
            target[lacking], nontarget[lacking] = self.by_speaker(rng, int(lacking.sum()))
        return target, nontarget

    def by_pair(self, rng: np.random.Generator, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Weight each pair of speakers by an exponential variate, of mean and variance 1 (Rubin 1981)."""
        pairs = rng.standard_exponential((n, self._n_pairs))
        return np.ones((n, self._target.size)), pairs.take(self._pair, axis=1)
