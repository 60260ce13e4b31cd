"""A trial list scored at every width, from embeddings that are already there."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.trials import Trials
from mrlspk.errors import DataError
from mrlspk.metrics.cosine import prefix_cosine_scores
from mrlspk.metrics.dcf import min_dcf_at
from mrlspk.metrics.det import operating_points
from mrlspk.metrics.eer import eer_at, eer_threshold_at


@dataclass(frozen=True)
class DcfResult:
    """The normalised detection cost at one prior, with costs of 1 and 1."""

    p_target: float
    min_dcf: float


@dataclass(frozen=True)
class WidthResult:
    """Figures of one prefix width.

    Attributes:
        dim: The width.
        eer: Equal error rate, in [0, 1].
        threshold: Cosine at and above which a trial is accepted at the equal error rate.
        dcf: Detection costs, in the order in which the priors were given.
    """

    dim: int
    eer: float
    threshold: float
    dcf: tuple[DcfResult, ...]


def score_trials(
    embeddings: Mapping[str, NDArray[np.floating]], trials: Trials, dims: Sequence[int], p_targets: Sequence[float]
) -> tuple[WidthResult, ...]:
    """Return the figures of cosine scores at each width, in the order of ``dims``.

    Args:
        embeddings: (embed_dim,) by utterance id, of any length; every utterance of the trials has one.
        trials: Both kinds of trial.
        dims: Prefix widths, rising.
        p_targets: Priors of the detection cost.

    Raises:
        DataError: If an embedding is not finite.
        MetricError: If the trials are all of one kind, or a width or prior is out of range.
    """
    scores = trial_scores(embeddings, trials, dims)
    return tuple(_width_result(dim, column, trials, p_targets) for dim, column in zip(dims, scores.T, strict=True))


def trial_scores(
    embeddings: Mapping[str, NDArray[np.floating]], trials: Trials, dims: Sequence[int]
) -> NDArray[np.float64]:
    """Return the cosine of each trial at each width, (trials, len(dims)); arguments as for `score_trials`.

    Raises:
        DataError: If an embedding is not finite.
        MetricError: If a width is out of range.
    """
    matrix = np.stack([embeddings[utterance_id] for utterance_id in trials.utterance_ids])
    if not np.isfinite(matrix).all():
        row = int(np.argmin(np.isfinite(matrix).all(axis=1)))
        raise DataError(
            "its embedding is not finite", trials.utterance_ids[row], "Check the recording, and the model on others."
        )
    row_of = {utterance_id: row for row, utterance_id in enumerate(trials.utterance_ids)}
    enroll = np.array([row_of[utterance_id] for utterance_id in trials.enroll_ids])
    test = np.array([row_of[utterance_id] for utterance_id in trials.test_ids])
    return prefix_cosine_scores(matrix, enroll, test, dims)


def _width_result(dim: int, scores: NDArray[np.float64], trials: Trials, p_targets: Sequence[float]) -> WidthResult:
    points = operating_points(scores, trials.is_target)
    dcf = tuple(DcfResult(p_target, min_dcf_at(points, p_target=p_target)) for p_target in p_targets)
    return WidthResult(dim, eer_at(points), eer_threshold_at(points), dcf)
