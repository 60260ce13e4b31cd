"""Paired intervals over speakers for the claims of the study."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from any_backbone.forms import Embed
from any_backbone.scoring import DevelopmentList, score, widths_of
from mrlspk.evaluation.paired_comparison import compare_systems
from mrlspk.evaluation.scored_trials import Resampling
from mrlspk.metrics.eer import equal_error_rate
from mrlspk.metrics.significance import bootstrap_speakers, interval

RESAMPLING = Resampling(n_resamples=1000, seed=0)
LEAST = 2e-4  # EER that counts in place of a lower one in a resample


def list_differences(
    listed: DevelopmentList, first: Embed, second: Embed
) -> list[tuple[int, float, tuple[float, float] | None]]:
    """Return width, difference of EERs (second minus first) and its interval; None with too few speakers."""
    widths = widths_of(listed.directions.shape[1])
    scored = {
        name: listed.scored(score(embed, listed.directions, listed.trials), widths)
        for name, embed in (("first", first), ("second", second))
    }
    resampling = RESAMPLING if scored["first"].has_intervals else None
    compared = compare_systems(scored, resampling=resampling)
    return [(each.dim, each.pairs[0].delta_eer, each.pairs[0].delta_ci) for each in compared]


def ratio_intervals(lists: Sequence[DevelopmentList], embed: Embed) -> list[tuple[int, float, float, float]]:
    """Return width, geometric mean over lists of the EER relative to the own full width, and its interval.

    Lists have no speaker in common: they are resampled independently.
    """
    widths = widths_of(lists[0].directions.shape[1])
    logs, resampled = [], []
    for listed in lists:
        own = score(lambda rows: rows, listed.directions, listed.trials)[:, -1:]
        scores = np.concatenate([score(embed, listed.directions, listed.trials), own], axis=1)
        logs.append(_log_ratios(np.array([equal_error_rate(each, listed.trials.is_target) for each in scores.T])))
        drawn = bootstrap_speakers(scores, listed.trials.is_target, *listed.speakers, p_targets=(), n_resamples=1000)
        resampled.append(_log_ratios(drawn.eer))
    estimates, draws = np.mean(logs, axis=0), np.mean(resampled, axis=0)
    found = []
    for column, width in enumerate(widths):
        low, high = interval(draws[:, column], float(estimates[column]))
        found.append((width, *(float(np.exp(each)) for each in (estimates[column], low, high))))
    return found


def _log_ratios(eer: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the logarithms of all columns but the last, minus that of the last; columns are axis 1, or 0 of one."""
    logs = np.log(np.maximum(eer, LEAST))
    return logs[:, :-1] - logs[:, -1:] if logs.ndim > 1 else logs[:-1] - logs[-1]
