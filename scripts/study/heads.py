"""Train heads on pooled vectors for the study, the predecessor's recipe included."""

from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass, field

import numpy as np
import torch
from lightning_fabric import Fabric
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.optim import AdamW

from mrlspk.config import Config
from mrlspk.losses.distillation import SimilarityDistillation
from mrlspk.losses.margin import AAMSoftmax, set_class_means
from mrlspk.losses.matryoshka import MatryoshkaLoss
from mrlspk.models.head import MatryoshkaHead
from mrlspk.models.head_transforms import standardise_head
from mrlspk.training.head.module import HeadModule, Trained, add_decay_to_start
from mrlspk.training.optimiser import LearningRate
from mrlspk.training.step import Stepper, wrap
from mrlspk.training.validation import embed_pooled
from study.material import Material

_DEFAULT = Config()


@dataclass(frozen=True)
class Training:
    """Settings of a head's training; the defaults are those of `mrlspk train` and of every other recipe.

    Attributes:
        dims: Widths whose loss is taken.
        epochs: Passes over the stored crops.
        learning_rate: Peak; warm-up over half an epoch, then a cosine.
        class_rate: Learning rate of the classifier weights, as a multiple.
        start_decay: Decay of head and classifier weights towards their start.
        class_start: ``means``, ``random``, or ``fixed``: random and never trained.
        trained: Trained part of the head.
        margin_shares: Share of the margin by width.
        distillation: Weight of the similarity distillation from the start's full width.
        classify: Whether the margin loss counts at all.
        batch_norm_moves: Whether the head's BatchNorm is trained.
    """

    dims: tuple[int, ...] = _DEFAULT.model.dims_in_loss
    epochs: int = _DEFAULT.training.num_epochs
    batch_size: int = _DEFAULT.training.batch_size
    learning_rate: float = _DEFAULT.training.learning_rate
    class_rate: float = _DEFAULT.loss.class_lr_multiplier
    start_decay: float = _DEFAULT.head.start_decay
    class_start: str = _DEFAULT.head.class_start
    trained: Trained = _DEFAULT.head.trained
    margin: float = _DEFAULT.loss.margin
    margin_shares: dict[int, float] = field(default_factory=lambda: dict(_DEFAULT.loss.margin_shares))
    scale: float = _DEFAULT.loss.scale
    distillation: float = _DEFAULT.distillation_weight
    classify: bool = True
    batch_norm_moves: bool = False


@dataclass(frozen=True, eq=False)
class TrainedHead:
    """A head, the number of trained values in it and in the classifier weights, and the first and last loss."""

    head: MatryoshkaHead
    n_trained: int
    first_loss: float
    last_loss: float


class _DistillationOnly(nn.Module):
    """Replace the loss over speakers if only similarities are distilled."""

    def forward(self, embedding: Tensor, _speaker_index: Tensor) -> Tensor:
        return embedding.new_zeros(())


def train_head(
    material: Material, head: MatryoshkaHead, speakers: NDArray[np.int64], how: Training, *, seed: int
) -> TrainedHead:
    """Return ``head`` trained on the stored crops of the given speakers."""
    torch.manual_seed(seed)
    rows = np.flatnonzero(np.isin(material.crop_classes % material.n_speakers, speakers))
    classes = np.unique(material.crop_classes[rows], return_inverse=True)[1]
    encoder = material.encoder.with_head(deepcopy(head), tuple(sorted({*how.dims, head.linear.out_features})))
    module = HeadModule(encoder, _criterion(how, head.linear.out_features, int(classes.max()) + 1), trained=how.trained)
    module.set_start(deepcopy(head))
    module.set_mode()
    if how.batch_norm_moves:
        encoder.head.train().requires_grad_(requires_grad=True)
    loss = module.criterion.loss
    if isinstance(loss, AAMSoftmax):
        _start_classes(material, module, rows, classes, how)
    groups = [
        {
            "params": [p for p in encoder.head.parameters() if p.requires_grad] or module.trained_parameters(),
            "peak_lr": how.learning_rate,
        }
    ]
    if isinstance(loss, AAMSoftmax) and how.class_start != "fixed":
        groups.append({"params": [loss.weight], "peak_lr": how.learning_rate * how.class_rate})
    optimiser = AdamW([{**group, "weight_decay": 0.0} for group in groups], lr=how.learning_rate)
    if how.start_decay:
        start = {p: p.detach().clone() for group in groups for p in group["params"]}
        add_decay_to_start(optimiser, start, decay=how.start_decay)
    losses = list(_steps(material, module, optimiser, rows, classes, how, seed))
    n_trained = sum(p.numel() for group in groups for p in group["params"])
    tenth = max(1, len(losses) // 10)
    return TrainedHead(
        module.current_encoder().head.eval(), n_trained, float(np.mean(losses[:tenth])), float(np.mean(losses[-tenth:]))
    )


def random_head(
    material: Material, embed_dim: int, pooled: Tensor, *, seed: int, standardised: bool = True
) -> MatryoshkaHead:
    """Return a head of random weights; its input is standardised by pooled vectors unless BatchNorm is trained."""
    torch.manual_seed(seed)
    head = MatryoshkaHead(material.encoder.head.linear.in_features, embed_dim).eval()
    return standardise_head(head, pooled) if standardised else head


def _criterion(how: Training, embed_dim: int, n_classes: int) -> MatryoshkaLoss:
    loss = AAMSoftmax(n_classes, embed_dim, margin=how.margin, scale=how.scale, margin_shares=how.margin_shares)
    distillation = SimilarityDistillation(_DEFAULT.loss.distillation_temperature) if how.distillation else None
    return MatryoshkaLoss(
        loss if how.classify else _DistillationOnly(),
        how.dims,
        [1.0] * len(how.dims),
        distillation=distillation,
        distillation_weight=how.distillation,
    )


def _start_classes(
    material: Material, module: HeadModule, rows: NDArray[np.int64], classes: NDArray[np.int64], how: Training
) -> None:
    if how.class_start == "means":
        embeddings = embed_pooled(module.encoder, material.crops.rows(rows))
        set_class_means(module.criterion.loss, embeddings, torch.from_numpy(classes))
    elif how.class_start == "fixed":
        module.criterion.loss.requires_grad_(requires_grad=False)


def _steps(
    material: Material,
    module: HeadModule,
    optimiser: AdamW,
    rows: NDArray[np.int64],
    classes: NDArray[np.int64],
    how: Training,
    seed: int,
) -> Iterator[float]:
    """Train, and yield the loss of every step."""
    fabric, n_batches, step = Fabric(accelerator="cpu", devices=1), len(rows) // how.batch_size, 0
    wrapped, wrapped_optimiser = wrap(fabric, module, optimiser)
    stepper = Stepper(fabric, wrapped, wrapped_optimiser, max_grad_norm=_DEFAULT.training.max_grad_norm)
    rate = LearningRate(
        "cosine",
        steps_per_epoch=n_batches,
        num_epochs=how.epochs,
        warmup_epochs=_DEFAULT.training.warmup_epochs,
        floor=0.01,
        step_epochs=1,
        gamma=1.0,
    )
    for epoch in range(how.epochs):
        order = np.random.default_rng([seed, epoch]).permutation(len(rows))
        for batch in range(n_batches):
            chosen = order[batch * how.batch_size : (batch + 1) * how.batch_size]
            group = [(material.crops.rows(rows[chosen]), torch.from_numpy(classes[chosen]))]
            rate.apply(wrapped_optimiser, step)
            yield stepper.step(group).loss
            step += 1


def widths_up_to(embed_dim: int, dims: Sequence[int]) -> tuple[int, ...]:
    """Return the widths that fit into an embedding."""
    return tuple(dim for dim in dims if dim <= embed_dim)
