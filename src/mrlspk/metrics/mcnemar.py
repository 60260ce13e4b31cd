"""McNemar's test: whether two models err on different numbers of the same trials."""

from scipy.stats import binomtest

from mrlspk.errors import MetricError


def mcnemar_p_value(only_a_wrong: int, only_b_wrong: int) -> float:
    """Return the exact two-sided p-value, in (0, 1], that both models err equally often (McNemar 1947).

    The trials that one model alone gets wrong are then a fair coin's throws; without such a trial it is 1. Trials count
    as independent, which those of one speaker are not.

    Raises:
        MetricError: If a count is negative.
    """
    if min(only_a_wrong, only_b_wrong) < 0:
        raise MetricError(f"expected counts of trials, got {only_a_wrong} and {only_b_wrong}")
    if only_a_wrong + only_b_wrong == 0:
        return 1.0
    return float(binomtest(only_a_wrong, only_a_wrong + only_b_wrong).pvalue)
