"""What a Matryoshka head has to beat: the model's own embedding, whole and cut, and the rotation of it."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.training.validation import ValidationTrials


@dataclass(frozen=True)
class Baselines:
    """Equal error rates on the validation trials, before anything is trained.

    Attributes:
        own_dim: Full width of the embedding before it was turned.
        own: Its rate there.
        truncation: By width, of that embedding cut; a width beyond ``own_dim`` is absent.
        rotation: By width, of the rotation that training starts from.
        rotation_method: How it was found.
        rotation_mean_log_eer: Mean natural logarithm of its rates at the published widths.
    """

    own_dim: int
    own: float
    truncation: dict[int, float]
    rotation: dict[int, float]
    rotation_method: str
    rotation_mean_log_eer: float


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
