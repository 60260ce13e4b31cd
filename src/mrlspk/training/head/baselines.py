"""What a Matryoshka head has to beat: the model's own embedding, whole and cut, and the rotation of it."""

import numpy as np
from numpy.typing import NDArray

from mrlspk.training.records import Baselines
from mrlspk.training.validation import ValidationTrials


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
