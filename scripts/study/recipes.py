"""Define the recipes: each is fitted on some speakers and embeds others."""

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import scipy.linalg
from numpy.typing import NDArray
from torch import Tensor

from mrlspk.models.head import MatryoshkaHead
from mrlspk.models.head_transforms import AffineMap, fold_head, rotate_head, widen_head
from mrlspk.rotation.closed_form import Method, fit_rotation
from study.flattening import flattening
from study.heads import Training, random_head, train_head
from study.material import Material

DIMS = 8, 16, 32, 64, 128, 192, 256
POWER = 0.2
OWN = "own embedding, truncated"
DEFAULT = "flattened, AAM, distillation, decay"

type Embed = Callable[[Tensor, int], NDArray[np.float64]]
"""Maps pooled vectors (n, in_features) and a width to embeddings (n, at least that width)."""


@dataclass(frozen=True, eq=False)
class Fitted:
    """A fitted recipe: embeddings by width, up to ``embed_dim``, and its cost."""

    embed: Embed
    embed_dim: int
    n_trained: int = 0
    seconds: float = 0.0
    losses: tuple[float, float] | None = None


@dataclass(frozen=True)
class Recipe:
    """A row of the study.

    Attributes:
        name: In the tables.
        fit: Makes it, from material, speakers to fit on, and a seed.
        options: What ``fit`` depends on beside them, as plain values: a part of the stage's fingerprint.
        random: Whether a seed matters.
    """

    name: str
    fit: Callable[[Material, NDArray[np.int64], int], Fitted] = field(compare=False)
    options: dict[str, Any]
    random: bool

    @property
    def seeds(self) -> range:
        """Three seeds if a seed matters, else one."""
        return range(3 if self.random else 1)


def all_recipes() -> tuple[Recipe, ...]:
    """Return the recipes in the order of the tables."""
    taught = Training(start_decay=0.0)
    plain = replace(taught, distillation=0.0)
    narrow = replace(plain, dims=(64, 128, 192))
    return (
        Recipe(OWN, _truncated, {}, random=False),
        Recipe("predecessor: random head, classes never trained", _predecessor, {"epochs": 5}, random=True),
        _trained("random head, trained classes", plain, start="random"),
        Recipe("random head for each width", _separate_heads, {}, random=True),
        _rotation("svd"),
        _rotation("class_svd"),
        _rotation("between_within", 0.25),
        _rotation("between_within", 0.5),
        _rotation("lda_qr", 1.0),
        _rotation("lda_qr", 4.0),
        Recipe("LDA, unshrunk (no rotation)", _lda, {}, random=False),
        _trained("svd, AAM on 64, 128, 192", narrow),
        _trained("svd, AAM on 8 … 192", plain),
        _trained("svd, AAM, random first classes", replace(plain, class_start="random")),
        _trained("svd, distillation alone", replace(taught, classify=False)),
        _trained("svd, AAM and distillation", taught),
        _trained("svd, orthogonal, AAM", replace(plain, trained="orthogonal")),
        Recipe("flattened, no training", _flattened, {"power": POWER}, random=False),
        _trained("flattened, AAM on 64, 128, 192", narrow, start="flat"),
        _trained("flattened, AAM on 8 … 192", plain, start="flat"),
        _trained("flattened, AAM, 3 times the epochs", replace(plain, epochs=15), start="flat"),
        _trained("flattened, AAM, decay to the start", replace(plain, start_decay=200.0), start="flat"),
        _trained("flattened, AAM and distillation", taught, start="flat"),
        _trained(DEFAULT, Training(), start="flat"),
        _trained(f"{DEFAULT}, 256 values", Training(dims=DIMS), start="flat", embed_dim=256),
    )


def affine(head: AffineMap) -> Embed:
    """Return the embedding of one head; every width is a prefix of it."""
    return lambda pooled, _dim: head.apply(pooled).numpy()


def _truncated(material: Material, _speakers: NDArray[np.int64], _seed: int) -> Fitted:
    return Fitted(affine(fold_head(material.encoder.head)), material.encoder.embed_dim)


def rotated_head(
    material: Material, speakers: NDArray[np.int64], method: Method, parameter: float | None
) -> MatryoshkaHead:
    """Return the own head, rotated by a matrix fitted on whole utterances of the given speakers."""
    chosen = np.isin(material.speaker_index, speakers)
    embeddings = fold_head(material.encoder.head).apply(material.whole[chosen]).numpy()
    rotation = fit_rotation(embeddings, material.speaker_index[chosen], method=method, parameter=parameter)
    return rotate_head(material.encoder.head, rotation.matrix)


def _rotation(method: Method, parameter: float | None = None) -> Recipe:
    def fit(material: Material, speakers: NDArray[np.int64], _seed: int) -> Fitted:
        started = time.monotonic()
        head = rotated_head(material, speakers, method, parameter)
        return Fitted(affine(fold_head(head)), head.linear.out_features, seconds=time.monotonic() - started)

    name = f"rotation {method}" + ("" if parameter is None else f" {parameter:g}")
    return Recipe(name, fit, {"method": method, "parameter": parameter}, random=False)


def flattened_head(material: Material, speakers: NDArray[np.int64]) -> MatryoshkaHead:
    """Return the own head with its spectrum flattened, fitted on whole utterances of the given speakers."""
    own, chosen = material.encoder.head, np.isin(material.speaker_index, speakers)
    return rotate_head(own, flattening(fold_head(own).apply(material.whole[chosen]).numpy(), power=POWER))


def _flattened(material: Material, speakers: NDArray[np.int64], _seed: int) -> Fitted:
    started = time.monotonic()
    head = flattened_head(material, speakers)
    return Fitted(affine(fold_head(head)), head.linear.out_features, seconds=time.monotonic() - started)


def _lda(material: Material, speakers: NDArray[np.int64], _seed: int) -> Fitted:
    """Return all directions of the linear discriminant analysis of unit embeddings, with its scaling."""
    started = time.monotonic()
    own = fold_head(material.encoder.head)
    chosen = np.isin(material.speaker_index, speakers)
    unit = _unit(own.apply(material.whole[chosen]).numpy())
    labels = np.unique(material.speaker_index[chosen], return_inverse=True)[1]
    means = np.stack([unit[labels == label].mean(0) for label in range(labels.max() + 1)])[labels]
    within, between = (each.T @ each / len(each) for each in (unit - means, means - unit.mean(0)))
    directions = scipy.linalg.eigh(between, within + 1e-8 * np.eye(len(within)))[1][:, ::-1]
    seconds = time.monotonic() - started
    return Fitted(lambda pooled, _dim: _unit(own.apply(pooled).numpy()) @ directions, len(within), seconds=seconds)


def _trained(name: str, how: Training, *, start: str = "svd", embed_dim: int | None = None) -> Recipe:
    def fit(material: Material, speakers: NDArray[np.int64], seed: int) -> Fitted:
        started = time.monotonic()
        whole = material.whole[np.isin(material.speaker_index, speakers)]
        width = embed_dim or material.encoder.embed_dim
        if start == "random":
            head = random_head(material, width, whole, seed=seed)
        else:
            flat = start == "flat"
            head = flattened_head(material, speakers) if flat else rotated_head(material, speakers, "svd", None)
            head = head if width == head.linear.out_features else widen_head(head, whole, embed_dim=width)
        found = train_head(material, head, speakers, how, seed=seed)
        seconds = time.monotonic() - started
        return Fitted(
            affine(fold_head(found.head)), width, found.n_trained, seconds, (found.first_loss, found.last_loss)
        )

    return Recipe(name, fit, {"how": asdict(how), "start": start, "embed_dim": embed_dim}, random=True)


def _predecessor(material: Material, speakers: NDArray[np.int64], seed: int) -> Fitted:
    """Train redimnet-mrl's recipe on correct pooled vectors: 256 random values, classifier weights never trained.

    Its normalisation is trained and follows the batches, its learning rate is 1e-4, its widths are 64 to 256.
    """
    how = Training(
        dims=(64, 128, 192, 256),
        distillation=0.0,
        start_decay=0.0,
        learning_rate=1e-4,
        class_start="fixed",
        margin_shares={},
        batch_norm_moves=True,
    )
    started = time.monotonic()
    head = random_head(material, 256, material.whole, seed=seed, standardised=False)
    found = train_head(material, head, speakers, how, seed=seed)
    seconds = time.monotonic() - started
    return Fitted(affine(fold_head(found.head)), 256, found.n_trained, seconds, (found.first_loss, found.last_loss))


def _separate_heads(material: Material, speakers: NDArray[np.int64], seed: int) -> Fitted:
    """Train a separate, randomly initialised head for every width."""
    started = time.monotonic()
    whole, heads, n_trained = material.whole[np.isin(material.speaker_index, speakers)], {}, 0
    for dim in DIMS[:-1]:
        found = train_head(
            material,
            random_head(material, dim, whole, seed=seed),
            speakers,
            Training(dims=(dim,), distillation=0.0, start_decay=0.0),
            seed=seed,
        )
        heads[dim], n_trained = fold_head(found.head), n_trained + found.n_trained
    seconds = time.monotonic() - started
    return Fitted(lambda pooled, dim: heads[dim].apply(pooled).numpy(), max(heads), n_trained, seconds)


def _unit(vectors: NDArray[np.float64]) -> NDArray[np.float64]:
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
