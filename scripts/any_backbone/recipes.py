"""The recipes of the study, by question."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from any_backbone.forms import Embed, Form, fit_form
from any_backbone.heads import Head, train_head
from any_backbone.speech import Rows, Speech

DEFAULT = Form()
OLD = Form(of="moment", order="scatter", balance="speakers")
ABOUT_MEANS = Form(balance="corpora", order="between", within_corpora=True)
HEAD = Head(DEFAULT, rate=5e-4, class_rate=4.0)
SPEAKERS = 50, 100, 200


@dataclass(frozen=True)
class Recipe:
    """What to fit, and how.

    Attributes:
        name: In tables and results.
        question: Title of its table.
        fit: Fits it to speech, with a seed.
        seeds: How many seeds it takes; 1 if nothing is random.
        centred_scores: Whether each side's mean score against the training speakers is subtracted, at each width.
        is_default: Whether it takes part in the choice of a default: it needs no more than a run knows.
    """

    name: str
    question: str
    fit: Callable[[Speech, int], Embed]
    seeds: int = 1
    centred_scores: bool = False
    is_default: bool = True


def all_recipes() -> list[Recipe]:
    """Return every recipe in the order of the tables."""
    return [*_baselines(), *_forms(), *_heads(), *_scores(), *_fewer_speakers(), *_without_labels(), *_lengths()]


def _truncated(_speech: Speech, _seed: int) -> Embed:
    return lambda directions: directions + 1e-9  # some models' first values are all zero


def _baselines() -> list[Recipe]:
    question = "What there was"
    svd = Form(centre=False, flatten=0.0, balance="vectors", fitted_to="whole")
    return [
        Recipe("own, truncated", question, _truncated, is_default=False),
        _of_form("rotation `svd`", question, svd),
        _of_form("second moment flattened 0.2, scatter, speakers balanced", question, OLD),
    ]


def _forms() -> list[Recipe]:
    variants = {
        "S_w flattened 0.2, energy": DEFAULT,
        "… 0.15": replace(DEFAULT, flatten=0.15),
        "… 0.25": replace(DEFAULT, flatten=0.25),
        "… 0.3": replace(DEFAULT, flatten=0.3),
        "… 0": replace(DEFAULT, flatten=0.0),
        "… not centred": replace(DEFAULT, centre=False),
        "… second moment flattened": replace(DEFAULT, of="moment"),
        "… S_b flattened": replace(DEFAULT, of="between"),
        "… order scatter": replace(DEFAULT, order="scatter"),
        "… order S_b": replace(DEFAULT, order="between"),
        "… vectors balanced": replace(DEFAULT, balance="vectors"),
        "… speakers balanced": replace(DEFAULT, balance="speakers"),
        "… S_w shrunk by 0.1": replace(DEFAULT, shrink=0.1),
        "… S_w shrunk by 0.3": replace(DEFAULT, shrink=0.3),
        "… fitted to whole recordings": replace(DEFAULT, fitted_to="whole"),
        "… fitted to crops": replace(DEFAULT, fitted_to="crops"),
    }
    mixed = {
        "… corpora balanced": replace(DEFAULT, balance="corpora"),
        "… corpora balanced, 0.25": replace(DEFAULT, balance="corpora", flatten=0.25),
        "… corpora balanced, S_b about their means": ABOUT_MEANS,
    }
    return [_of_form(name, "Closed forms", form) for name, form in variants.items()] + [
        replace(_of_form(name, "Mixing corpora", form), is_default=False) for name, form in mixed.items()
    ]


def _heads() -> list[Recipe]:
    balanced = replace(HEAD, balance=True, start=replace(DEFAULT, balance="corpora"))
    variants = {
        "AAM, 10 epochs, 5e-4, classes × 4, margin 0.1, scale 15": HEAD,
        "… rate 2e-4": replace(HEAD, rate=2e-4),
        "… rate 1e-3": replace(HEAD, rate=1e-3),
        "… classes × 10": replace(HEAD, class_rate=10.0),
        "… classes × 1": replace(HEAD, class_rate=1.0),
        "… margin 0.2, scale 30": replace(HEAD, margin=0.2, scale=30.0),
        "… scale 10": replace(HEAD, scale=10.0),
        "… decay 20": replace(HEAD, decay=20.0),
        "… decay 100": replace(HEAD, decay=100.0),
        "… 20 epochs": replace(HEAD, epochs=20),
        "… distilled": replace(HEAD, distillation=1.0),
        "… low rank 32": replace(HEAD, kind="low rank", rate=1e-3),
        "… narrow network": replace(HEAD, kind="network", rate=1e-3),
        "… augmented crops too": replace(HEAD, noisy=True),
        "… trained on balanced corpora": balanced,
        "… the same, S_b about their means": replace(balanced, start=ABOUT_MEANS),
        "… the same, widths to 32 on crops": replace(balanced, start=ABOUT_MEANS, by_length=True),
    }
    return [_of_head(name, "Training", head) for name, head in variants.items()]


def _scores() -> list[Recipe]:
    question = "Scores centred at each width"
    return [
        replace(_of_form("the default, scores centred", question, DEFAULT), centred_scores=True, is_default=False),
        replace(
            _of_form("not centred, scores centred", question, replace(DEFAULT, centre=False)),
            centred_scores=True,
            is_default=False,
        ),
    ]


def _fewer_speakers() -> list[Recipe]:
    def fit(n_speakers: int) -> Callable[[Speech, int], Embed]:
        def of_some(speech: Speech, seed: int) -> Embed:
            drawn = np.random.default_rng(seed).permutation(len(speech.corpus_of))[:n_speakers]
            return fit_form(speech.of_speakers(np.isin(np.arange(len(speech.corpus_of)), drawn)), DEFAULT)

        return of_some

    question = "How many speakers"
    return [Recipe(f"{each} speakers", question, fit(each), seeds=3, is_default=False) for each in SPEAKERS]


def _without_labels() -> list[Recipe]:
    def fit(form: Form) -> Callable[[Speech, int], Embed]:
        return lambda speech, _seed: fit_form(speech.labelled_by_recording(), form)

    question = "Without labels"
    return [
        Recipe("each recording and its crops stand in for a speaker", question, fit(DEFAULT), is_default=False),
        Recipe("… at 0.1", question, fit(replace(DEFAULT, flatten=0.1)), is_default=False),
    ]


def _lengths() -> list[Recipe]:
    name = "widths to 32 trained on crops, others on whole recordings"
    return [replace(_of_head(name, "Narrow widths by short crops", replace(HEAD, by_length=True)), is_default=False)]


def _of_form(name: str, question: str, form: Form) -> Recipe:
    return Recipe(name, question, lambda speech, _seed: fit_form(speech, form))


def _of_head(name: str, question: str, head: Head) -> Recipe:
    return Recipe(name, question, lambda speech, seed: train_head(speech, head, seed=seed), seeds=3)


def directions_of(rows: Rows) -> Rows:
    """Return rows at unit length."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)
