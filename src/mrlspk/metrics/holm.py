"""Holm's adjustment of the p-values of several comparisons."""

from collections.abc import Sequence

import numpy as np

from mrlspk.errors import MetricError


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the adjusted p-values in the order given (Holm 1979).

    Calling those at or below 0.05 different errs once or more in at most 5 % of all families of comparisons, however
    the comparisons depend on each other.

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
