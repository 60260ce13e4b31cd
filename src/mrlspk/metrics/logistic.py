"""Fit log-likelihood ratios to scores and other features of trials by prior-weighted logistic regression."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.special import expit, logit

from mrlspk.errors import MetricError

# Penalty on the squared weights of features of unit deviation; the cost lies between 0 and 1. It changes a ratio by far
# less than its sampling error, and keeps the weights finite if a feature separates the two kinds of trial.
RIDGE = 1e-5


@dataclass(frozen=True, eq=False)
class LogisticModel:
    """A straight line from features to natural-log likelihood ratios.

    Attributes:
        weights: (features,), nats per unit of the feature.
        offset: Nats.
    """

    weights: NDArray[np.float64]
    offset: float

    def llrs(self, features: NDArray[np.floating]) -> NDArray[np.float64]:
        """Return the natural-log likelihood ratio, (trials,), of features (trials, features)."""
        return np.asarray(features @ self.weights + self.offset, dtype=np.float64)


def fit_logistic(
    features: NDArray[np.floating], is_target: NDArray[np.bool_], *, p_target: float, ridge: float = RIDGE
) -> LogisticModel:
    """Return the line of minimum prior-weighted cross-entropy (Pigeon et al. 2000; Brümmer and du Preez 2006).

    All target trials together have weight p_target and all non-target trials 1 - p_target. A feature that
    does not vary gets a weight of 0.

    Args:
        features: (trials, features); the first is usually the score.
        is_target: (trials,).
        p_target: Prior of a target trial at which the ratios are used.
        ridge: Half of it times the squared weights of features of unit deviation is added to the cost, in nats.

    Raises:
        MetricError: If the arrays do not pair, a feature is not finite, one kind of trial is absent, or the prior is
            out of range.
    """
    _check(features, is_target, p_target)
    mean, deviation = features.mean(axis=0, dtype=np.float64), features.std(axis=0, dtype=np.float64)
    unit = np.where(deviation > 0, deviation, 1.0)
    columns = np.column_stack([(features - mean) / unit, np.ones(len(features))])
    trial_weights = np.where(is_target, p_target / is_target.sum(), (1 - p_target) / (~is_target).sum())
    penalty = np.append(np.full(features.shape[1], ridge), 0.0)
    sign = np.where(is_target, 1.0, -1.0)

    def cost(line: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        margins = sign * (columns @ line + logit(p_target))
        slope: NDArray[np.float64] = -sign * trial_weights * expit(-margins)
        value = trial_weights @ np.logaddexp(0, -margins) + penalty @ line**2 / 2
        return float(value), slope @ columns + penalty * line

    def curvature(line: NDArray[np.float64]) -> NDArray[np.float64]:
        p = expit(columns @ line + logit(p_target))
        return np.asarray((columns.T * (trial_weights * p * (1 - p))) @ columns + np.diag(penalty))

    start = np.zeros(columns.shape[1])
    line = minimize(cost, start, jac=True, hess=curvature, method="trust-exact", options={"gtol": 1e-9}).x
    weights = line[:-1] / unit
    return LogisticModel(weights, float(line[-1] - weights @ mean))


def _check(features: NDArray[np.floating], is_target: NDArray[np.bool_], p_target: float) -> None:
    if features.ndim != 2 or features.shape[:1] != is_target.shape:
        raise MetricError(f"expected (trials, features), got {features.shape} for trials {is_target.shape}")
    if not np.isfinite(features).all():
        raise MetricError("a feature of a trial is not finite")
    if is_target.all() or not is_target.any():
        raise MetricError(f"expected both kinds of trial, got {is_target.sum()} target of {is_target.size}")
    if not 0 < p_target < 1:
        raise MetricError(f"expected a prior between 0 and 1, got {p_target}", parameter="p_target")
