"""Whether a trained head is better than the rotation that it started from: width by width, on the same trials."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.trials import trial_speakers
from mrlspk.evaluation.scored_trials import MIN_SPEAKERS
from mrlspk.metrics.det import operating_points
from mrlspk.metrics.eer import eer_at, eer_threshold_at
from mrlspk.metrics.significance import LEVEL, bootstrap_speakers, interval, mcnemar_p_value
from mrlspk.training.records import Baselines
from mrlspk.training.validation import ValidationTrials

Outcome = Literal["WIN", "EVEN", "REGRESSION"]


@dataclass(frozen=True)
class WidthVerdict:
    """One width: the rates of both heads, and whether the difference is more than chance.

    Attributes:
        dim: Width.
        published: Whether the model is published with it.
        rotation: Equal error rate of the rotation.
        trained: Of the trained head.
        delta_ci: 95 % interval of their difference over speakers; None with too few of these.
        p_value: McNemar's, where there is no interval: of the decisions at each head's own threshold.
        outcome: ``EVEN`` unless the interval leaves zero out or, without one, the p-value is below 0.05.
    """

    dim: int
    published: bool
    rotation: float
    trained: float
    delta_ci: tuple[float, float] | None
    p_value: float | None
    outcome: Outcome


@dataclass(frozen=True)
class Verdict:
    """Which of the two becomes the best checkpoint, and why."""

    widths: tuple[WidthVerdict, ...]
    rotation_mean_log_eer: float
    trained_mean_log_eer: float
    kept: Literal["trained", "rotation"]
    reason: str


def reach_verdict(
    trials: ValidationTrials,
    rotation: NDArray[np.floating],
    trained: NDArray[np.floating],
    *,
    n_resamples: int,
    seed: int,
) -> Verdict:
    """Return the verdict on embeddings (utterances, embed_dim) of the same utterances.

    The rotation is kept where a published width is a regression, where the full width is worse at all, and where the
    mean logarithm of the rates at the published widths is not below the rotation's.
    """
    dims = trials.dims
    scores = [trials.scores(each, dims) for each in (rotation, trained)]
    before, after = (_eers(trials, each) for each in scores)
    intervals = _intervals(trials, scores, [b - a for a, b in zip(before, after, strict=True)], n_resamples, seed)
    widths = []
    for column, dim in enumerate(dims):
        delta_ci = intervals[column] if intervals else None
        p_value = None if intervals else _mcnemar(trials, *(each[:, column] for each in scores))
        outcome = _outcome(after[column] - before[column], delta_ci, p_value)
        published = dim in trials.published_dims
        widths.append(WidthVerdict(dim, published, before[column], after[column], delta_ci, p_value, outcome))
    mean_before, mean_after = (trials.mean_log_eer(dict(zip(dims, eers, strict=True))) for eers in (before, after))
    kept, reason = _decide(widths, mean_before, mean_after)
    return Verdict(tuple(widths), mean_before, mean_after, kept=kept, reason=reason)


def _eers(trials: ValidationTrials, scores: NDArray[np.float64]) -> list[float]:
    return [eer_at(operating_points(column, trials.trials.is_target)) for column in scores.T]


def _intervals(
    trials: ValidationTrials, scores: Sequence[NDArray[np.float64]], deltas: list[float], n_resamples: int, seed: int
) -> list[tuple[float, float]] | None:
    """Return the interval of each width's difference; None with too few speakers, or where none are wanted."""
    speakers, is_target = trial_speakers(trials.trials), trials.trials.is_target
    if not n_resamples or len(np.unique(speakers.enroll_speaker[is_target])) < MIN_SPEAKERS:
        return None
    draws = bootstrap_speakers(
        np.concatenate(scores, axis=1),
        is_target,
        speakers.enroll_speaker,
        speakers.test_speaker,
        p_targets=(),
        n_resamples=n_resamples,
        seed=seed,
    ).eer
    n_dims = len(deltas)
    return [
        interval(draws[:, n_dims + column] - draws[:, column], delta, level=LEVEL)
        for column, delta in enumerate(deltas)
    ]


def _mcnemar(trials: ValidationTrials, a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    wrong_a, wrong_b = (
        (scores >= eer_threshold_at(operating_points(scores, trials.trials.is_target))) != trials.trials.is_target
        for scores in (a, b)
    )
    return mcnemar_p_value(int(np.count_nonzero(wrong_a & ~wrong_b)), int(np.count_nonzero(wrong_b & ~wrong_a)))


def _outcome(delta: float, delta_ci: tuple[float, float] | None, p_value: float | None) -> Outcome:
    by_interval = delta_ci is not None and not delta_ci[0] <= 0 <= delta_ci[1]
    by_test = p_value is not None and p_value < 1 - LEVEL
    if delta == 0 or not (by_interval or by_test):
        return "EVEN"
    return "WIN" if delta < 0 else "REGRESSION"


def _decide(widths: Sequence[WidthVerdict], before: float, after: float) -> tuple[Literal["trained", "rotation"], str]:
    published = [width for width in widths if width.published]
    if worse := [width.dim for width in published if width.outcome == "REGRESSION"]:
        return "rotation", f"the trained head is worse at {', '.join(map(str, worse))}"
    if published[-1].trained > published[-1].rotation:
        return "rotation", "the trained head is worse at the full width"
    if after >= before:
        return "rotation", "the trained head's mean log EER is not below the rotation's"
    return "trained", "its mean log EER is below the rotation's, and no published width is worse"


def score_baselines(
    trials: ValidationTrials, own: NDArray[np.floating], rotated: NDArray[np.floating], *, method: str
) -> Baselines:
    """Return the baselines.

    Args:
        trials: What is scored.
        own: (utterances, own_dim) embeddings before they were turned.
        rotated: (utterances, embed_dim) at the start of training.
        method: Of the rotation.
    """
    own_dim = own.shape[1]
    rotation = trials.eers(rotated, trials.dims)
    return Baselines(
        own_dim=own_dim,
        own=trials.eers(own, (own_dim,))[own_dim],
        truncation=trials.eers(own, tuple(dim for dim in trials.dims if dim <= own_dim)),
        rotation=rotation,
        rotation_method=method,
        rotation_mean_log_eer=trials.mean_log_eer(rotation),
    )
