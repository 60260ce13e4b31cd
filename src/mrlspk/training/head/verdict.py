"""Decide between a trained head and the rotation that it started from, width by width on the same trials."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mrlspk.evaluation.paired_comparison import ComparedWidth, compare_systems
from mrlspk.evaluation.scored_trials import MIN_SPEAKERS, Resampling
from mrlspk.metrics.significance import LEVEL, Interval
from mrlspk.training.records import Baselines
from mrlspk.training.validation import ValidationTrials

type Outcome = Literal["WIN", "EVEN", "REGRESSION"]
type Kept = Literal["trained", "rotation"]


@dataclass(frozen=True)
class WidthVerdict:
    """The EERs of both heads at one width, and whether they differ significantly.

    Attributes:
        dim: The width.
        published: Whether the model is published with it.
        rotation: EER of the rotation.
        trained: EER of the trained head.
        delta_ci: 95 % interval of their difference over speakers; None with too few speakers.
        p_value: Without an interval, McNemar's of the decisions at each head's own EER threshold.
        outcome: ``EVEN`` unless the interval excludes zero or, without one, the p-value is below 0.05.
    """

    dim: int
    published: bool
    rotation: float
    trained: float
    delta_ci: Interval | None
    p_value: float | None
    outcome: Outcome


@dataclass(frozen=True)
class Verdict:
    """Which of the two becomes the best checkpoint, and why."""

    widths: tuple[WidthVerdict, ...]
    rotation_mean_log_eer: float
    trained_mean_log_eer: float
    kept: Kept
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

    The rotation is kept if a published width is a regression, if the full width is worse at all, or if the mean log
    EER at the published widths is not below the rotation's.
    """
    systems = {"rotation": trials.scored(rotation), "trained": trials.scored(trained)}
    n_target_speakers, _ = systems["rotation"].n_speakers_by_kind
    resamples = n_resamples > 0 and n_target_speakers >= MIN_SPEAKERS
    compared = compare_systems(systems, resampling=Resampling(n_resamples, seed) if resamples else None)
    widths = tuple(_judge(width, published=width.dim in trials.published_dims) for width in compared)
    before = trials.mean_log_eer({width.dim: width.rotation for width in widths})
    after = trials.mean_log_eer({width.dim: width.trained for width in widths})
    kept, reason = _decide(widths, before, after)
    return Verdict(widths, before, after, kept=kept, reason=reason)


def _judge(width: ComparedWidth, *, published: bool) -> WidthVerdict:
    """Return the verdict at one width: by the interval, or without one by McNemar's test."""
    (pair,) = width.pairs
    if pair.delta_ci is None:
        p_value, differs = pair.mcnemar.p_value, pair.mcnemar.p_value < 1 - LEVEL
    else:
        p_value, differs = None, not pair.delta_ci[0] <= 0 <= pair.delta_ci[1]
    outcome: Outcome = "EVEN"
    if differs and pair.delta_eer:
        outcome = "WIN" if pair.delta_eer < 0 else "REGRESSION"
    rotation, trained = width.models["rotation"].eer, width.models["trained"].eer
    return WidthVerdict(width.dim, published, rotation, trained, pair.delta_ci, p_value, outcome)


def _decide(widths: Sequence[WidthVerdict], before: float, after: float) -> tuple[Kept, str]:
    """Return which head is kept, and why."""
    published = [width for width in widths if width.published]
    if worse := [width.dim for width in published if width.outcome == "REGRESSION"]:
        return "rotation", f"the trained head is worse at {', '.join(map(str, worse))}"
    if published[-1].trained > published[-1].rotation:
        return "rotation", "the trained head is worse at the full width"
    if after >= before:
        return "rotation", "the trained head's mean log EER is not below the rotation's"
    return "trained", "its mean log EER is below the rotation's, and no published width is worse"


def measure_baselines(
    trials: ValidationTrials, own: NDArray[np.floating], rotated: NDArray[np.floating], *, method: str
) -> Baselines:
    """Return the EERs of the model's own embedding, whole and truncated, and of its rotation.

    Args:
        trials: The trials to score.
        own: (utterances, own_dim) embeddings before rotation.
        rotated: (utterances, embed_dim) embeddings at the start of training.
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
