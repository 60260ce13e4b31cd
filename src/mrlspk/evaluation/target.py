"""The smallest width that is good enough."""

from collections.abc import Sequence
from dataclasses import dataclass

from mrlspk.metrics.width_metrics import WidthMetrics


@dataclass(frozen=True)
class TargetWidth:
    """Which width meets a target on one list.

    Attributes:
        path: The list.
        dim: The smallest width whose interval lies whole at or below the target; None if there is none.
        dim_by_estimate: The smallest width whose figure does, whatever its interval; None if there is none.
        reason: Why ``dim`` is None; None where it is not.
    """

    path: str
    dim: int | None
    dim_by_estimate: int | None
    reason: str | None


def smallest_width(path: str, results: Sequence[WidthMetrics], target: float) -> TargetWidth:
    """Return the smallest width whose equal error rate is at most ``target``, in [0, 1]; results rise by width."""
    estimated = next((each.dim for each in results if each.eer <= target), None)
    if any(each.eer_ci is None for each in results):
        return TargetWidth(path, None, estimated, "there are no intervals, so that no width is sure to meet it")
    sure = next((each.dim for each in results if each.eer_ci and each.eer_ci[1] <= target), None)
    reason = None if sure is not None else "no width's interval lies whole at or below it"
    return TargetWidth(path, sure, estimated, reason)
