"""Make the initial head: rotated or transformed, widened or truncated, or trained from random weights."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from itertools import batched, islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from mrlspk.data.crops.sampler import RankBatches
from mrlspk.losses.build import build_loss
from mrlspk.losses.margin import AAMSoftmax, set_class_means
from mrlspk.losses.matryoshka import MatryoshkaLoss
from mrlspk.models.checkpoints import schema
from mrlspk.models.head import MatryoshkaHead
from mrlspk.models.head_transforms import AffineMap, fold_head, rotate_head, standardise_head, unfold_head
from mrlspk.models.headed_model import HeadedModel
from mrlspk.rotation.closed_form import Rotation
from mrlspk.rotation.folds import draw_folds
from mrlspk.rotation.selection import (
    EmbeddedTrials,
    Fold,
    RotationCandidates,
    RotationChoice,
    SpeakerEmbeddings,
    cross_validate_rotation,
    refit_rotation,
    select_rotation,
)
from mrlspk.training.hardware import fabric_of_one
from mrlspk.training.head.batches import StoredBatches, StoredRows
from mrlspk.training.head.closed_forms import ClosedForms, Form, compare_closed_forms
from mrlspk.training.head.module import HeadModule, build_head_optimiser
from mrlspk.training.head.pooled_vectors import SpeakerVectors
from mrlspk.training.head.transformed_start import fit_head_transform, fit_width, transform_head
from mrlspk.training.head.verdict import measure_baselines
from mrlspk.training.optimiser import build_learning_rate
from mrlspk.training.records import Baselines
from mrlspk.training.state import RunState
from mrlspk.training.step import Stepper, wrap
from mrlspk.training.validation import ValidationTrials, embed_pooled

BLOCK = 16_384  # stored vectors per pass through the head


@dataclass(frozen=True, eq=False)
class HeadStart:
    """The rotated head that training starts from.

    Attributes:
        own: The head before rotation, as one affine map of the pooled values.
        choice: The rotation, and the candidates it was chosen from.
        baselines: Metrics of both on the validation trials.
        folds: Over training speakers; empty with too few of them, or without a choice of rotations.
    """

    own: AffineMap
    choice: RotationChoice
    baselines: Baselines
    folds: tuple[Fold, ...] = ()

    def entries(self) -> dict[str, Any]:
        """Return its entries in a checkpoint: tensors and plain values only."""
        return {
            schema.ROTATION: self.choice.entry(),
            schema.OWN_HEAD: {"weight": self.own.weight.float(), "bias": self.own.bias.float()},
            schema.BASELINES: asdict(self.baselines),
        }


def rotate_start(
    state: RunState,
    own_head: MatryoshkaHead,
    vectors: SpeakerVectors,
    *,
    trials: ValidationTrials,
    held_out: Tensor,
) -> HeadStart:
    """Rotate a head, load it into the encoder of the run, and return the rotation with its baselines.

    Args:
        state: Of the run; the head of its encoder is changed.
        own_head: The head to rotate; it is not changed.
        vectors: Of the training speakers: the rotation is fitted on them, and selected by cross-validation over them.
        trials: Among other speakers; they select the rotation if there are too few training speakers.
        held_out: (utterances, in_features) pooled vectors of the trials' utterances.

    Raises:
        DataError: If there are too few vectors to fit a rotation, or to widen the head.
    """
    encoder, own = state.module.encoder, fold_head(own_head)
    own_held_out = own.apply(held_out).numpy()
    folds = _draw_folds(state, own, vectors)
    choice = _choose(state, own, vectors, folds, trials.embedded(own_held_out))
    fit_width(encoder, rotate_head(own_head, choice.rotation.matrix), vectors.pooled)
    rotated = embed_pooled(encoder, held_out).numpy()
    baselines = measure_baselines(trials, own_held_out, rotated, method=choice.rotation.method)
    return HeadStart(own, choice, baselines, folds)


def fit_start(state: RunState, vectors: SpeakerVectors, crops: StoredRows) -> dict[str, Any]:
    """Fit the rotation of a run, and the transform if it has one, again to other speakers, by the same method.

    The encoder gets the head, and classifier weights that start at the means of their speakers get these.

    Args:
        state: Of a run on these speakers; its start is that of the first fit, whose entries about metrics are kept.
        vectors: Of the speakers.
        crops: Of the same speakers.

    Returns:
        The entries of the start.

    Raises:
        DataError: If there are too few vectors.
    """
    module, classes, before = state.module, state.plan.data.train.classes, state.start
    own, entries = _own_head(state, vectors, crops), dict(before)
    known, affine = before[schema.ROTATION], fold_head(own)
    fit = SpeakerEmbeddings(affine.apply(vectors.pooled).numpy(), vectors.speaker_index)
    first = Rotation(known["method"], known["parameter"], *map(np.array, (known["matrix"], known["spectrum"])))
    rotation = refit_rotation(first, fit)
    entries[schema.ROTATION] = known | rotation.entry()
    entries[schema.OWN_HEAD] = {"weight": affine.weight.float(), "bias": affine.bias.float()}
    fit_width(module.encoder, rotate_head(own, rotation.matrix), vectors.pooled)
    if schema.TRANSFORM in before:
        entries[schema.TRANSFORM] = transform_head(state, own, vectors, crops)
    if state.wants_class_means:
        set_means(module.criterion, embed_rows(module.encoder, crops, len(classes)), torch.from_numpy(classes))
    return entries


def _own_head(state: RunState, vectors: SpeakerVectors, crops: StoredRows) -> MatryoshkaHead:
    """Return the head before its rotation: that of the base model, or one trained on these speakers."""
    config = state.config
    if config.head.start == "random" or (config.base_model is None and not config.data.vectors):
        return train_first_head(state, crops, vectors.pooled)
    found = state.start[schema.OWN_HEAD]
    return unfold_head(AffineMap(found["weight"], found["bias"]), state.module.encoder.copy_head().cpu())


def has_choice(state: RunState) -> bool:
    """Return whether the run has several rotations to choose from."""
    return len(_candidates(state).listed()) > 1


def compare_start(state: RunState, found: HeadStart, vectors: SpeakerVectors) -> ClosedForms | None:
    """Return how rotation and transform do on training speakers that neither was fitted to; None without folds.

    Both are fitted to whole utterances, the transform without labels of corpora.

    Raises:
        DataError: If one of them cannot be fitted without the speakers of a fold.
    """
    if not found.folds or vectors.short is None:
        return None
    head, rotation, full = state.config.head, found.choice.rotation, found.baselines.own_dim

    def fit_rotated(fit: SpeakerEmbeddings) -> Form:
        matrix = refit_rotation(rotation, fit).matrix
        return lambda embeddings: embeddings @ matrix.T

    def fit_transformed(fit: SpeakerEmbeddings) -> Form:
        transform = fit_head_transform(head, fit.embeddings, fit.speaker_index)
        return lambda embeddings: (embeddings - transform.mean) @ transform.scaled_matrix.T

    return compare_closed_forms(
        found.folds,
        rotation=fit_rotated,
        start=fit_transformed,
        widths=sorted({min(dim, full) for dim in state.config.model.matryoshka_dims}),
        n_speakers=sum(len(each) > 1 for each in vectors.short.corpus.by_speaker().values()),
    )


def _choose(
    state: RunState, own: AffineMap, vectors: SpeakerVectors, folds: Sequence[Fold], held_out: EmbeddedTrials
) -> RotationChoice:
    """Return the rotation that is best on held-out training speakers, or with too few of them on other speakers."""
    fit = SpeakerEmbeddings(own.apply(vectors.pooled).numpy(), vectors.speaker_index)
    if not folds:
        return select_rotation(fit, held_out, _candidates(state))
    return cross_validate_rotation(folds, _candidates(state), refit=fit)


def _draw_folds(state: RunState, own: AffineMap, vectors: SpeakerVectors) -> tuple[Fold, ...]:
    """Return folds over training speakers, whose trials do not cross domains; none with too few speakers."""
    if vectors.short is None:
        return ()
    embeddings = own.apply(vectors.pooled).numpy()
    whole, short = (
        {utterance.utterance_id: vector for utterance, vector in zip(corpus.utterances, found, strict=True)}
        for corpus, found in (
            (vectors.corpus, embeddings),
            (vectors.short.corpus, own.apply(vectors.short.pooled).numpy()),
        )
    )
    domains = state.plan.data.domains
    match = domains if all(map(domains.get, vectors.short.corpus.speakers)) else None
    return draw_folds(vectors.short.corpus, whole, short, seed=state.config.seed, match=match)


def _candidates(state: RunState) -> RotationCandidates:
    """Return the rotations that a run tries; with a configured method only that one."""
    head, wanted = state.config.head, state.wanted_rotation
    every = RotationCandidates(within_shares=head.within_shares, lda_shrinkages=head.lda_shrinkages)
    return every if wanted == "auto" else replace(every, methods=(wanted,))


def embed_rows(encoder: HeadedModel, store: StoredRows, n_rows: int) -> Tensor:
    """Return the embeddings (n_rows, embed_dim) of the first stored vectors, on the CPU, not of unit length."""
    blocks = (np.arange(start, min(start + BLOCK, n_rows)) for start in range(0, n_rows, BLOCK))
    return torch.cat([embed_pooled(encoder, store.rows(rows)) for rows in blocks])


def set_means(criterion: MatryoshkaLoss, embeddings: Tensor, classes: Tensor) -> None:
    """Set the prototypes to the mean directions of embeddings (n, embed_dim); skip a loss without classes."""
    if isinstance(criterion.loss, AAMSoftmax):
        set_class_means(criterion.loss, embeddings, classes)


def train_first_head(state: RunState, crops: StoredRows, pooled: Tensor) -> MatryoshkaHead:
    """Train a linear head for a backbone that has none, in this process, and return it.

    It has the loss and the epochs of the run, at full width only. Its batches are those of all processes together: it
    does not depend on their number.

    Args:
        state: Of the run; it is not changed.
        crops: Stored vectors.
        pooled: (n, in_features) of whole utterances, which standardise the input of the head.
    """
    config, data = state.config, state.plan.data
    encoder, embed_dim = state.module.encoder, state.config.model.embed_dim
    fresh = MatryoshkaHead(encoder.pooled_dim, embed_dim)
    head = standardise_head(fresh, pooled)
    loss = config.loss.model_copy(update={"n_dims_per_step": None})
    criterion = build_loss(loss, dims=(embed_dim,), weights=(1.0,), n_speakers=data.train.n_classes)
    module = HeadModule(encoder.with_head(head, (embed_dim,)), criterion, trained="linear")
    module.set_mode()
    fabric = fabric_of_one(state.fabric.device, config.hardware.precision)
    wrapped, optimiser = wrap(fabric, module, build_head_optimiser(config, module))
    classes = data.train.classes
    set_means(criterion, embed_rows(module.encoder, crops, len(classes)), torch.from_numpy(classes))
    order = RankBatches(state.batches.order, batch_size=state.batches.crops_of_all)
    rows = data.train.classes_of(config.features.crops_per_utterance)
    batches = StoredBatches(crops, rows, order, device=fabric.device)
    stepper = Stepper(fabric, wrapped, optimiser, config.training.max_grad_norm)
    rate, step = build_learning_rate(config, steps_per_epoch=state.steps_per_epoch), 0
    for epoch in range(config.training.epochs):
        order.go_to(epoch)
        for group in batched(islice(batches, state.plan.max_batches), config.training.accumulation_steps):
            rate.apply(optimiser, step)
            stepper.step(group)
            step += 1
    return module.encoder.copy_head().cpu()
