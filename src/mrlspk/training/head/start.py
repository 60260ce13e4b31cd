"""The head that training starts from: the model's own, turned, widened or cut, and class weights where speakers are."""

from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mrlspk.errors import DataError
from mrlspk.feature_store.store import FeatureStore
from mrlspk.losses.class_start import set_class_means
from mrlspk.losses.margin import AAMSoftmax
from mrlspk.losses.matryoshka import MatryoshkaLoss
from mrlspk.models.checkpoints import schema
from mrlspk.models.encoder import Encoder
from mrlspk.models.folding import AffineMap, fold_head, rotate_head, widen_head
from mrlspk.models.head import MatryoshkaHead
from mrlspk.rotation.flattening import flattening
from mrlspk.rotation.folds import draw_folds
from mrlspk.rotation.selection import (
    EmbeddedTrials,
    RotationCandidates,
    RotationChoice,
    SpeakerEmbeddings,
    choose_over_folds,
    choose_rotation,
)
from mrlspk.training.head.baselines import score_baselines
from mrlspk.training.head.stores import SpeakerVectors
from mrlspk.training.prepared import Prepared
from mrlspk.training.records import Baselines
from mrlspk.training.validation import ValidationTrials, embed_pooled

BLOCK = 16_384  # stored vectors that go through the head together


@dataclass(frozen=True, eq=False)
class HeadStart:
    """Where training starts.

    Attributes:
        own: The head before it was turned, as one map of the pooled values.
        choice: The rotation, and what it was chosen from.
        baselines: What both are worth on the validation trials.
    """

    own: AffineMap
    choice: RotationChoice
    baselines: Baselines

    def entries(self) -> dict[str, Any]:
        """Return what a checkpoint of the same backbone says of it: tensors and plain values only."""
        return {
            schema.ROTATION: self.choice.entry(),
            schema.OWN_HEAD: {"weight": self.own.weight.float(), "bias": self.own.bias.float()},
            schema.BASELINES: asdict(self.baselines),
        }


def start_head(
    prepared: Prepared,
    own_head: MatryoshkaHead,
    vectors: SpeakerVectors,
    *,
    trials: ValidationTrials,
    held_out: Tensor,
) -> HeadStart:
    """Give the run's encoder the head that training starts from; return what it is and what it is worth.

    Args:
        prepared: Of the run; the head of its encoder is changed.
        own_head: What is turned; it is not changed.
        vectors: Of the training speakers: the rotation is fitted on them, and chosen by holding some of them out.
        trials: Among other speakers, by whom the rotation is chosen where there are too few for that.
        held_out: (utterances, in_features) pooled vectors of the trials' utterances.

    Raises:
        DataError: If no rotation can be fitted to so few vectors, or the head not be widened by them.
    """
    encoder, own = prepared.state.module.encoder, fold_head(own_head)
    own_held_out = own.apply(held_out).numpy()
    choice = _choose(prepared, own, vectors, trials.embedded(own_held_out))
    _fit_width(encoder, rotate_head(own_head, choice.rotation.matrix), vectors.pooled)
    turned = embed_pooled(encoder, held_out).numpy()
    return HeadStart(own, choice, score_baselines(trials, own_held_out, turned, method=choice.rotation.method))


def flatten_head(prepared: Prepared, own_head: MatryoshkaHead, vectors: SpeakerVectors) -> None:
    """Give the run's encoder the head whose spectrum is flattened.

    Args:
        prepared: Of the run; the head of its encoder is changed.
        own_head: What is turned; it is not changed.
        vectors: Of the training speakers: the spectrum is theirs.
    """
    embeddings = fold_head(own_head).apply(vectors.pooled).numpy()
    flat = flattening(embeddings, power=prepared.config.head.flatten)
    _fit_width(prepared.state.module.encoder, rotate_head(own_head, flat), vectors.pooled)


def has_choice(prepared: Prepared) -> bool:
    """Return whether there are several rotations to choose from."""
    return len(_candidates(prepared).listed()) > 1


def _choose(prepared: Prepared, own: AffineMap, vectors: SpeakerVectors, held_out: EmbeddedTrials) -> RotationChoice:
    """Return the rotation that is best on training speakers held out in turn, or, with too few, on other speakers."""
    candidates, embeddings = _candidates(prepared), own.apply(vectors.pooled).numpy()
    fit = SpeakerEmbeddings(embeddings, vectors.speaker_index)
    if vectors.short is None:
        return choose_rotation(fit, held_out, candidates)
    whole, short = (
        {utterance.utterance_id: vector for utterance, vector in zip(corpus.utterances, found, strict=True)}
        for corpus, found in (
            (vectors.corpus, embeddings),
            (vectors.short.corpus, own.apply(vectors.short.pooled).numpy()),
        )
    )
    folds = draw_folds(vectors.short.corpus, whole, short, seed=prepared.config.seed)
    return choose_over_folds(folds, candidates, refit=fit)


def _candidates(prepared: Prepared) -> RotationCandidates:
    """Return the rotations that a run tries; one of a method that is named is not held against others."""
    head, wanted = prepared.config.head, prepared.wanted_rotation
    every = RotationCandidates(within_shares=head.within_shares, lda_shrinkages=head.lda_shrinkages)
    return every if wanted == "auto" else replace(every, methods=(wanted,))


def embed_rows(encoder: Encoder, store: FeatureStore, n_rows: int) -> Tensor:
    """Return the embeddings (n_rows, embed_dim) of the first stored vectors, on the CPU, not of unit length."""
    blocks = (np.arange(start, min(start + BLOCK, n_rows)) for start in range(0, n_rows, BLOCK))
    return torch.cat([embed_pooled(encoder, store.rows(rows)) for rows in blocks])


def set_means(criterion: MatryoshkaLoss, embeddings: Tensor, classes: Tensor) -> None:
    """Set the class weights to the mean directions of embeddings (n, embed_dim); a loss without classes is left."""
    if isinstance(criterion.loss, AAMSoftmax):
        set_class_means(criterion.loss, embeddings, classes)


def _fit_width(encoder: Encoder, head: MatryoshkaHead, pooled: Tensor) -> None:
    """Give ``encoder`` the values of ``head``: its first ones, or all and further ones out of the pooled vectors.

    Raises:
        DataError: If these do not give so many.
    """
    wanted = encoder.embed_dim
    if wanted > head.linear.out_features:
        try:
            head = widen_head(head, pooled, embed_dim=wanted)
        except ValueError as error:
            fix = "Raise features.n_whole, name more speech, or lower the last of model.matryoshka_dims."
            raise DataError(f"the head cannot be widened to {wanted} values: {error}", fix=fix) from error
    state = head.state_dict()
    for name in ("linear.weight", "linear.bias"):
        state[name] = state[name][:wanted]
    encoder.load_head(state)
