"""Intervals and p-values of error rates, for speakers like those of the trials: by resampling the speakers.

Speaker i is drawn m_i times; a target trial then counts m_i times, a non-target trial of speakers i and j m_i m_j times
(the pigeonhole bootstrap, Owen 2007). What belongs to a speaker, on trials of both kinds, then varies as it should, but
what belongs to a pair of speakers alone varies three times as much: the variance of m_i is about 1, that of m_i m_j 3.
So the pairs alone are reweighted too, and the variance that this brings is taken off `PAIRS_TAKEN_OFF` times.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit
from scipy.stats import norm

from mrlspk.errors import MetricError
from mrlspk.metrics.dcf import cost_weights
from mrlspk.metrics.weighted_det import det_corners, equal_error_rates

# Weights of trials held at a time: 2 MB in float64, about what the cache of a core holds.
WEIGHTS_PER_BLOCK = 262_144

SPEAKERS, PAIRS = 0, 1

# Of the variance that pairs bring by themselves, which resampled speakers bring three times. Twice would be right for a
# mean; once is what the jackknife over speakers leaves, on the safe side (Efron and Stein 1981). For error rates, whose
# thresholds move too, scripts/check_intervals.py finds twice a little bold and once timid where trials are few.
PAIRS_TAKEN_OFF = 1.5


@dataclass(frozen=True, eq=False)
class BootstrapDraws:
    """Figures of resamples; the resamples are the same for all columns, so that differences are paired.

    On the last axis stand a resample of the speakers, and one of the pairs alone. What takes draws takes both, as
    ``eer[:, column]``, (n_resamples, 2), or the difference of two such.

    Attributes:
        eer: (n_resamples, columns, 2), equal error rates in [0, 1].
        min_dcf: (n_resamples, columns, priors, 2), normalised detection costs at the threshold that is the best for the
            trials as they are: to first order the least cost varies as the cost there does, and the least cost of a
            resample, sought anew, is biased low.
    """

    eer: NDArray[np.float64]
    min_dcf: NDArray[np.float64]


def bootstrap_speakers(
    scores: NDArray[np.floating],
    is_target: NDArray[np.bool_],
    enroll_speaker: NDArray[np.integer],
    test_speaker: NDArray[np.integer],
    *,
    p_targets: Sequence[float],
    n_resamples: int = 1000,
    seed: int = 0,
) -> BootstrapDraws:
    """Return the figures of resamples; one without target or without non-target trials is drawn again.

    Args:
        scores: (trials, columns); a column is a width, or a width of one of several models.
        is_target: (trials,).
        enroll_speaker: (trials,), any number that stands for the speaker; that of a target trial.
        test_speaker: (trials,).
        p_targets: Priors of the detection costs.
        n_resamples: How many.
        seed: Of the resamples.

    Raises:
        MetricError: If the arrays do not pair, a score is not finite, one kind of trial is absent, there are fewer than
            two speakers, or a prior is out of range.
    """
    columns = [_Column(column, is_target, [cost_weights(p_target) for p_target in p_targets]) for column in scores.T]
    resampler = _Resampler(is_target, enroll_speaker, test_speaker)
    rng = np.random.default_rng(seed)
    draws = np.empty((n_resamples, len(columns), 1 + len(p_targets), 2))
    step = max(1, WEIGHTS_PER_BLOCK // is_target.size)
    for start in range(0, n_resamples, step):
        block = draws[start : start + step]
        for kind, weigh in ((SPEAKERS, resampler.by_speaker), (PAIRS, resampler.by_pair)):
            weights = weigh(rng, len(block))
            for number, column in enumerate(columns):
                block[:, number, :, kind] = column.figures(*weights)
    return BootstrapDraws(eer=draws[:, :, 0], min_dcf=draws[:, :, 1:])


def standard_error(draws: NDArray[np.float64]) -> float:
    """Return the standard error of a figure, or difference of figures, whose draws are (n_resamples, 2)."""
    variance = draws.var(axis=0)
    # No less than where all of it belongs to pairs, whatever chance says of both variances.
    return float(np.sqrt(max(variance[SPEAKERS] - PAIRS_TAKEN_OFF * variance[PAIRS], variance[SPEAKERS] / 3)))


def interval(draws: NDArray[np.float64], estimate: float, *, level: float = 0.95) -> tuple[float, float]:
    """Return the normal interval of a difference of figures; it excludes 0 exactly where `p_value` is below 1 - level.

    Args:
        draws: (n_resamples, 2).
        estimate: The difference on the trials as they are.
        level: Share of repetitions in which the interval should hold the true difference.
    """
    reach = norm.ppf((1 + level) / 2) * standard_error(draws)
    return float(estimate - reach), float(estimate + reach)


def p_value(draws: NDArray[np.float64], estimate: float) -> float:
    """Return the two-sided p-value of no difference, from draws (n_resamples, 2) of the difference ``estimate``."""
    error = standard_error(draws)
    return float(2 * norm.sf(abs(estimate) / error)) if error > 0 else float(estimate == 0)


def rate_interval(
    draws: NDArray[np.float64], estimate: float, *, n_speakers: int, weight: float = 1.0, level: float = 0.95
) -> tuple[float, float]:
    """Return the interval of a figure in [0, 1], normal on the scale of its log-odds, on which it is nearly symmetric.

    Resampling cannot show errors that no trial shows. A figure of 0 has the interval from 0 to the error rate at which
    as many speakers, with one trial each, would show no error with a chance of (1 - level) / 2.

    Args:
        draws: (n_resamples, 2).
        estimate: The figure on the trials as they are.
        n_speakers: Speakers of the trials.
        weight: The figure by unit of both error rates: 1 of an EER, the sum of `cost_weights` of a minDCF.
        level: Share of repetitions in which the interval should hold the true figure.
    """
    limit = min(1.0, weight * (1 - ((1 - level) / 2) ** (1 / n_speakers)))
    if estimate in (0, 1):
        return (0.0, limit) if estimate == 0 else (1 - limit, 1.0)
    low, high = interval(draws / (estimate * (1 - estimate)), float(logit(estimate)), level=level)
    return float(expit(low)), float(expit(high))


class _Column:
    """The figures of one column of scores, for any weights of its trials."""

    def __init__(
        self, scores: NDArray[np.floating], is_target: NDArray[np.bool_], costs: Sequence[tuple[float, float]]
    ) -> None:
        self._corners = det_corners(scores, is_target)
        n_target = int(is_target.sum())
        p_miss, p_fa = self._corners.rates(np.ones((1, n_target)), np.ones((1, is_target.size - n_target)))
        self._costs = [(miss, fa, int(np.argmin(miss * p_miss + fa * p_fa))) for miss, fa in costs]

    def figures(
        self, target_weights: NDArray[np.float64], nontarget_weights: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Return the EER, and each cost at its threshold, (weightings, 1 + priors)."""
        p_miss, p_fa = self._corners.rates(target_weights, nontarget_weights)
        costs = [miss * p_miss[:, best] + fa * p_fa[:, best] for miss, fa, best in self._costs]
        return np.stack([equal_error_rates(p_miss, p_fa), *costs], axis=1)


class _Resampler:
    """Draws weights of the target trials and of the non-target trials, each (n, its trials)."""

    def __init__(
        self, is_target: NDArray[np.bool_], enroll_speaker: NDArray[np.integer], test_speaker: NDArray[np.integer]
    ) -> None:
        names, (enroll, test) = np.unique(np.stack([enroll_speaker, test_speaker]), return_inverse=True)
        if names.size < 2:
            raise MetricError("expected trials of two speakers or more, to draw speakers from")
        self._n_speakers = names.size
        self._target = enroll[is_target]
        left, right = np.sort([enroll[~is_target], test[~is_target]], axis=0)
        pairs, self._pair = np.unique(left * names.size + right, return_inverse=True)
        self._n_pairs = pairs.size
        # Where a list has a non-target trial within one speaker, that speaker counts once: the last count is always 1.
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
        """Weigh each pair of speakers by an exponential variate, of mean and variance 1 (Rubin 1981)."""
        pairs = rng.standard_exponential((n, self._n_pairs))
        return np.ones((n, self._target.size)), pairs.take(self._pair, axis=1)
