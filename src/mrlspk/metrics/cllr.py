"""The cost of log-likelihood ratios."""

import numpy as np
from numpy.typing import NDArray

from mrlspk.metrics.det import split_scores


def cllr(llrs: NDArray[np.floating], is_target: NDArray[np.bool_]) -> float:
    """Return the cost, in bits, of natural-log likelihood ratios (Brümmer and du Preez 2006); arrays are (trials,).

    0 is perfect; 1 is what ratios of 1 throughout give; badly calibrated ratios exceed 1.

    Raises:
        MetricError: If the arrays do not pair, a ratio is not finite, or one kind of trial is absent.
    """
    target, nontarget = split_scores(llrs, is_target)
    nats = (np.logaddexp(0, -target).mean() + np.logaddexp(0, nontarget).mean()) / 2
    return float(nats / np.log(2))
