"""Heads trained with Matryoshka AAM-Softmax from a closed form."""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from any_backbone.forms import Embed, Form, fit_form
from any_backbone.speech import Rows, Speech
from mrlspk.losses import AAMSoftmax, MatryoshkaLoss, SimilarityDistillation, set_class_means

WIDTHS = 8, 16, 32, 64, 128
BATCH = 512


@dataclass(frozen=True)
class Head:
    """A trained head.

    Attributes:
        start: The closed form that it starts from.
        kind: The whole matrix, a low-rank update of the start, or a residual network of one hidden layer.
        rate: Learning rate, which falls to zero by a cosine.
        class_rate: Learning rate of the class weights as a multiple.
        epochs: Passes over the vectors.
        margin: Radians; at 32 values half of it, below none.
        scale: Of the cosines.
        decay: Pull to the start, as a multiple of the learning rate.
        distillation: Weight of the similarities of the start.
        noisy: Whether augmented crops are trained on too.
        balance: Whether vectors are drawn so that corpora count equally.
        size: Rank, or hidden values.
        by_length: Whether widths up to 32 are trained on crops alone and others on whole recordings, as in DAME.
    """

    start: Form
    kind: Literal["linear", "low rank", "network"] = "linear"
    rate: float = 2e-3
    class_rate: float = 1.0
    epochs: int = 10
    margin: float = 0.1
    scale: float = 15.0
    decay: float = 0.0
    distillation: float = 0.0
    noisy: bool = False
    balance: bool = False
    size: int = 32
    by_length: bool = False


class _Residual(nn.Module):
    """The start plus a small update: of low rank, or a network of one hidden layer."""

    def __init__(self, start: nn.Linear, size: int, *, is_network: bool, length: float) -> None:
        super().__init__()
        self.start, self.length, self.is_network = start.requires_grad_(requires_grad=False), length, is_network
        self.inner = nn.Linear(start.out_features, size, bias=is_network)
        self.outer = nn.Linear(size, start.out_features, bias=is_network)
        nn.init.zeros_(self.outer.weight)
        if is_network:
            nn.init.zeros_(self.outer.bias)

    def forward(self, rows: Tensor) -> Tensor:
        """Map (batch, dim) to (batch, dim)."""
        values: Tensor = self.start(rows)
        if not self.is_network:
            return values + self.outer(self.inner(values))
        hidden = functional.gelu(self.inner(values * math.sqrt(values.shape[1]) / self.length))
        return values + self.length * self.outer(hidden)


def train_head(speech: Speech, head: Head, *, seed: int) -> Embed:
    """Train a head on vectors, and return what it does with directions."""
    torch.manual_seed(seed)
    if not head.noisy:
        speech = speech.only(~speech.is_noisy)
    rows, speaker = torch.from_numpy(speech.directions).float(), torch.from_numpy(speech.speaker)
    net = _network(speech, head, rows)
    criterion = _criterion(head, dim=rows.shape[1], n_classes=len(speech.corpus_of))
    with torch.no_grad():
        teacher = net(rows)
        set_class_means(criterion.loss, teacher, speaker)
    groups = [[each for each in net.parameters() if each.requires_grad], [*criterion.parameters()]]
    rates = head.rate, head.rate * head.class_rate
    optimiser = torch.optim.AdamW(
        [{"params": group, "lr": rate} for group, rate in zip(groups, rates, strict=True)], weight_decay=0.0
    )
    starts = [[each.detach().clone() for each in group] for group in groups]
    steps = head.epochs * math.ceil(len(rows) / BATCH)
    for step, batch in enumerate(_batches(speech, head, seed)):
        share = 0.5 * (1 + math.cos(math.pi * step / steps))
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * share
        optimiser.zero_grad()
        _loss(criterion, head, net(rows[batch]), speaker[batch], teacher[batch], speech.is_crop[batch]).backward()
        optimiser.step()
        if head.decay:
            _pull(groups, starts, min(1.0, head.decay * head.rate * share))

    @torch.no_grad()
    def embed(directions: Rows) -> Rows:
        return net(torch.from_numpy(directions).float()).double().numpy()

    return embed


def _network(speech: Speech, head: Head, rows: Tensor) -> nn.Module:
    found, dim = fit_form(speech, head.start), rows.shape[1]
    start = nn.Linear(dim, dim)
    with torch.no_grad():
        start.weight.copy_(torch.from_numpy(found.matrix))
        start.bias.copy_(torch.from_numpy(-found.matrix @ found.mean))
        scale = float(start.weight.square().sum(dim=1).mean().sqrt())  # rows of a mean square of 1, as in a Transform
        start.weight /= scale
        start.bias /= scale
        length = float(start(rows).norm(dim=1).mean())
    if head.kind == "linear":
        return start
    return _Residual(start, head.size, is_network=head.kind == "network", length=length)


def _criterion(head: Head, *, dim: int, n_classes: int) -> MatryoshkaLoss:
    widths = (*(width for width in WIDTHS if width < dim), dim)
    shares = {8: 0.0, 16: 0.0, 32: 0.5}
    loss = AAMSoftmax(n_classes, dim, margin=head.margin, scale=head.scale, margin_shares=shares)
    distillation = SimilarityDistillation(0.05) if head.distillation else None
    return MatryoshkaLoss(
        loss, widths, [1.0] * len(widths), distillation=distillation, distillation_weight=head.distillation
    )


def _batches(speech: Speech, head: Head, seed: int) -> list[Tensor]:
    rng, batches = np.random.default_rng(seed), []
    counts = np.bincount(speech.corpus)
    shares = (1 / counts[speech.corpus]) / len(counts) if head.balance else None
    for _ in range(head.epochs):
        order = rng.choice(len(speech.speaker), len(speech.speaker), replace=head.balance, p=shares)
        batches += torch.from_numpy(order).split(BATCH)
    return batches


def _loss(
    criterion: MatryoshkaLoss, head: Head, rows: Tensor, speaker: Tensor, teacher: Tensor, is_crop: np.ndarray
) -> Tensor:
    if not head.by_length:
        return criterion(rows, speaker, teacher if head.distillation else None).total
    short = torch.from_numpy(is_crop)
    parts = [
        criterion.loss(rows[chosen, :width], speaker[chosen])
        for width in criterion.weight_of
        if (chosen := short if width <= 32 else ~short).any()
    ]
    return torch.stack(parts).mean()


@torch.no_grad()
def _pull(groups: list[list[nn.Parameter]], starts: list[list[Tensor]], share: float) -> None:
    for group, start in zip(groups, starts, strict=True):
        for parameter, first in zip(group, start, strict=True):
            parameter.lerp_(first, share)
