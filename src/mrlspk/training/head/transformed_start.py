"""Transform the head that a run starts from: centred, flattened and ordered on training speakers."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrlspk.config.model import HeadConfig
from mrlspk.errors import DataError
from mrlspk.models.head import MatryoshkaHead
from mrlspk.models.head_transforms import fold_head, rotate_head, widen_head
from mrlspk.models.headed_model import HeadedModel
from mrlspk.rotation.transform import Transform, fit_transform
from mrlspk.training.head.batches import StoredRows
from mrlspk.training.head.pooled_vectors import SpeakerVectors
from mrlspk.training.state import RunState


def wants_transform(state: RunState) -> bool:
    """Return whether training starts from a transform; otherwise it starts from the rotation.

    A head that only turns keeps full-width cosines, and a model of several widths keeps the order of its values.
    """
    head = state.config.head
    return head.trained == "linear" and state.wanted_rotation != "none" and (head.centre or head.flatten > 0)


def transform_head(
    state: RunState, own_head: MatryoshkaHead, vectors: SpeakerVectors, crops: StoredRows
) -> dict[str, Any]:
    """Transform a head, load it into the encoder of the run, and return the entry of checkpoints about it.

    The mean is that of embeddings as the linear layer gives them, so that the transform becomes part of that layer.
    All values of the embedding are flattened and ordered before any is cut off.

    Args:
        state: Of the run; the head of its encoder is changed.
        own_head: The head to transform; it is not changed.
        vectors: Of the training speakers: the transform is fitted to them.
        crops: Of the same speakers: it is fitted to them as well, since short crops tell more of how one voice varies.

    Raises:
        DataError: If the transform cannot be fitted, or there are too few vectors to widen the head.
    """
    head = state.config.head
    pooled, speakers = _crops_of_speakers(state, crops)
    labels = np.concatenate([vectors.speaker_index, speakers])
    embeddings = fold_head(own_head).apply(torch.cat([vectors.pooled, pooled])).numpy()
    transform = fit_head_transform(head, embeddings, labels, corpora=_corpora(state, labels))
    transformed = rotate_head(own_head, transform.scaled_matrix, transform.mean)
    fit_width(state.module.encoder, transformed, vectors.pooled)
    return transform.summary()


def fit_head_transform(
    head: HeadConfig,
    embeddings: NDArray[np.floating],
    speaker_index: NDArray[np.integer],
    *,
    corpora: NDArray[np.int64] | None = None,
) -> Transform:
    """Fit the transform that the configuration of a head describes.

    Raises:
        DataError: If it cannot be fitted to these embeddings.
    """
    try:
        return fit_transform(
            embeddings,
            speaker_index,
            corpus_index=corpora,
            centre=head.centre,
            flatten=head.flatten,
            order=head.order,
            unit_length=False,
        )
    except ValueError as error:
        fix = "Give more speech, or set head.flatten=0 and head.order=energy, which need no labels."
        raise DataError(f"the transform of the head cannot be fitted: {error}", fix=fix) from error


def _crops_of_speakers(state: RunState, crops: StoredRows) -> tuple[Tensor, NDArray[np.int64]]:
    """Return crops (n, in_features) at unchanged speed, up to ``features.n_whole``, and the speaker of each."""
    config, train = state.config, state.plan.data.train
    classes = train.classes_of(config.features.crops_per_utterance)
    unchanged = np.flatnonzero(classes < len(train.speakers))  # classes of other speeds come after these
    drawn = np.random.default_rng(config.seed).permutation(unchanged)[: config.features.n_whole]
    rows = np.sort(drawn)
    return crops.rows(rows), classes[rows]


def _corpora(state: RunState, labels: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return the domain of each vector, whose speakers are ``labels``; None if training speakers have no domains."""
    data = state.plan.data
    domains = [data.domains.get(speaker, "") for speaker in data.train.speakers]
    if not all(domains):
        return None
    found: NDArray[np.int64] = np.unique(domains, return_inverse=True)[1][labels]
    return found


def fit_width(encoder: HeadedModel, head: MatryoshkaHead, pooled: Tensor) -> None:
    """Load ``head`` into ``encoder``, truncated to its width, or widened by directions of the pooled vectors.

    Raises:
        DataError: If the pooled vectors have too few directions.
    """
    wanted = encoder.embed_dim
    if wanted > head.linear.out_features:
        try:
            head = widen_head(head, pooled, embed_dim=wanted)
        except ValueError as error:
            fix = "Raise features.n_whole, add speech, or lower the last of model.matryoshka_dims."
            raise DataError(f"the head cannot be widened to {wanted} values: {error}", fix=fix) from error
    state = head.state_dict()
    for name in ("linear.weight", "linear.bias"):
        state[name] = state[name][:wanted]
    encoder.load_head(state)
