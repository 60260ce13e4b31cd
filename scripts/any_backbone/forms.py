"""Closed forms: what `fit_transform` does, and what else was tried."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from any_backbone.speech import Rows, Speech

type Embed = Callable[[Rows], Rows]

FLOOR = 0.01  # as in mrlspk.rotation.transform


@dataclass(frozen=True)
class Form:
    """A closed form.

    Attributes:
        centre: Whether to subtract the mean of the speakers' means.
        flatten: Power.
        of: What is flattened: the second moment, S_w or S_b.
        order: ``energy``, ``scatter`` (S_b - S_w of unit vectors) or ``between`` (S_b of unit vectors).
        balance: What counts equally; by ``roots``, a speaker counts as the root of its number of vectors.
        fitted_to: Rows.
        shrink: Share of the flattened moment that is replaced by its mean eigenvalue.
        within_corpora: Whether S_b of the order is about the mean of the speaker's own corpus.
    """

    centre: bool = True
    flatten: float = 0.2
    of: Literal["moment", "within", "between"] = "within"
    order: Literal["energy", "scatter", "between"] = "energy"
    balance: Literal["vectors", "roots", "speakers", "corpora"] = "roots"
    fitted_to: Literal["all", "whole", "crops"] = "all"
    shrink: float = 0.0
    within_corpora: bool = False


@dataclass(frozen=True, eq=False)
class AffineMap:
    """New values are ``(direction - mean) @ matrix.T``."""

    mean: Rows
    matrix: Rows

    def __call__(self, directions: Rows) -> Rows:
        """Map (n, dim) to (n, dim)."""
        return (directions - self.mean) @ self.matrix.T


def fit_form(speech: Speech, form: Form) -> AffineMap:
    """Fit a closed form, in float64."""
    clean = ~speech.is_noisy
    kept = {"all": clean, "whole": clean & ~speech.is_crop, "crops": clean & speech.is_crop}[form.fitted_to]
    speech = speech.only(kept)
    weights = _weights(speech, form.balance)
    mean = weights @ _means(speech, speech.directions) if form.centre else np.zeros(speech.directions.shape[1])
    centred = speech.directions - mean
    flattening = _flattening(_moments(speech, centred, weights)[form.of], form)
    flattened = centred @ flattening
    if form.order != "energy":
        lengths = np.linalg.norm(flattened, axis=1, keepdims=True)
        flattened = flattened / np.where(lengths > 0, lengths, 1)
    found = _moments(speech, flattened, weights)
    between = _about_corpora(speech, flattened, weights) if form.within_corpora else found["between"]
    ordered = {"energy": found["moment"], "scatter": between - found["within"], "between": between}[form.order]
    return AffineMap(mean, np.linalg.eigh(ordered)[1][:, ::-1].T @ flattening)


def _weights(speech: Speech, balance: str) -> Rows:
    """Return the weight of each speaker."""
    counts = np.bincount(speech.speaker)
    if balance in ("vectors", "roots"):
        own = np.sqrt(counts) if balance == "roots" else counts
        return own / own.sum()
    _, corpora, sizes = np.unique(speech.corpus_of, return_inverse=True, return_counts=True)
    return 1 / sizes[corpora] / len(sizes) if balance == "corpora" else np.full(len(counts), 1 / len(counts))


def _means(speech: Speech, rows: Rows) -> Rows:
    sums = np.zeros((len(speech.corpus_of), rows.shape[1]))
    np.add.at(sums, speech.speaker, rows)
    return sums / np.bincount(speech.speaker)[:, None]


def _moments(speech: Speech, rows: Rows, weights: Rows) -> dict[str, Rows]:
    means = _means(speech, rows)
    own = (weights / np.bincount(speech.speaker))[speech.speaker]
    moment, between = (rows * own[:, None]).T @ rows, (means * weights[:, None]).T @ means
    return {"moment": moment, "between": between, "within": moment - between}


def _about_corpora(speech: Speech, rows: Rows, weights: Rows) -> Rows:
    means = _means(speech, rows)
    corpora = np.unique(speech.corpus_of, return_inverse=True)[1]
    centres = np.stack([means[corpora == each].mean(0) for each in range(corpora.max() + 1)])
    apart = means - centres[corpora]
    return (apart * weights[:, None]).T @ apart


def _flattening(moment: Rows, form: Form) -> Rows:
    values, basis = np.linalg.eigh(moment)
    values = (1 - form.shrink) * values + form.shrink * values.mean()
    factors = np.maximum(values, FLOOR * values.mean()) ** -form.flatten if form.flatten else np.ones(len(values))
    return (basis * factors) @ basis.T
