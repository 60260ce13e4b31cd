"""Score whole recordings of held-out speakers by the rotation of each fold."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.trials import Trials, join_trials
from mrlspk.metrics.cosine import prefix_cosine_scores
from mrlspk.metrics.eer import equal_error_rate
from mrlspk.rotation.closed_form import Rotation
from mrlspk.rotation.selection import EmbeddedTrials, Fold, refit_rotation


@dataclass(frozen=True, eq=False)
class HeldOutScores:
    """Trials of all folds; each is scored by the rotation that was fitted without its speakers.

    Attributes:
        trials: The trials.
        dims: Widths, rising.
        scores: (trials, len(dims)), cosines of whole recordings.
    """

    trials: Trials
    dims: tuple[int, ...]
    scores: NDArray[np.float64]

    @property
    def eer(self) -> dict[int, float]:
        """The equal error rate by width."""
        is_target = self.trials.is_target
        return {dim: equal_error_rate(column, is_target) for dim, column in zip(self.dims, self.scores.T, strict=True)}


def score_held_out(
    folds: Sequence[Fold], rotation: Rotation, whole: Mapping[str, NDArray[np.floating]], dims: tuple[int, ...]
) -> HeldOutScores:
    """Return the scores of the trials of folds that name them.

    Args:
        folds: Of `draw_folds`.
        rotation: Its method and parameter are fitted to each fold.
        whole: Embedding (embed_dim,) of each utterance, whole.
        dims: Widths, rising.

    Raises:
        DataError: If the rotation cannot be fitted to a fold.
    """
    named = [(fold, fold.trials) for fold in folds if fold.trials is not None]
    scores = [_score(fold, trials, rotation, whole, dims) for fold, trials in named]
    return HeldOutScores(join_trials([trials for _, trials in named]), dims, np.concatenate(scores))


def _score(
    fold: Fold, trials: Trials, rotation: Rotation, whole: Mapping[str, NDArray[np.floating]], dims: tuple[int, ...]
) -> NDArray[np.float64]:
    ids = trials.utterance_ids
    own = EmbeddedTrials.of(trials, ids, np.stack([whole[each] for each in ids]))
    rotated = np.asarray(own.embeddings, dtype=np.float64) @ refit_rotation(rotation, fold.fit).matrix.T
    return prefix_cosine_scores(rotated, own.enroll, own.test, dims)
