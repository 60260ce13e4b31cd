"""Compute metrics of fitted recipes: EERs by list and language, ratios, differences by speaker."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlspk.evaluation.breakdown import speaker_eer
from mrlspk.evaluation.scored_trials import ScoredTrials
from mrlspk.metrics.det import operating_points
from mrlspk.metrics.eer import eer_at, mean_log_eer
from study.material import LANGUAGES, Material, ScoredSet, languages_of
from study.recipes import DIMS, Fitted, Recipe

CHOSEN_BY = 16, 32, 64, 128, 192  # widths whose mean log EER on held-out speakers chooses a recipe


def test_recipe(material: Material, recipe: Recipe, seed: int) -> dict[str, Any]:
    """Return the EERs on the three lists of a recipe fitted on all training speakers, and its cost."""
    fitted = recipe.fit(material, np.arange(material.n_speakers), seed)
    lists = {each.name: _rates(each, fitted) for each in material.lists}
    return {"lists": lists, "n_trained": fitted.n_trained, "seconds": fitted.seconds, "losses": fitted.losses}


def hold_out_recipe(material: Material, recipe: Recipe, seed: int) -> dict[str, Any]:
    """Return the mean log EER, and the EERs, of a recipe fitted without the speakers of each fold in turn.

    The mean is over folds, the languages of a fold, and `CHOSEN_BY`.
    """
    sets = []
    for fold in material.folds:
        fitted = recipe.fit(material, fold.speakers, seed)
        sets += [(each, _pooled_rates(each, fitted)) for each in fold.held_out]
    by_set = [
        {"language": _language(each), "eer": {str(dim): rate for dim, rate in rates.items()}} for each, rates in sets
    ]
    return {
        "sets": by_set,
        "mean_log_eer": float(np.mean([_mean_log(each, rates) for each, rates in sets])),
    }


def _language(scored_set: ScoredSet) -> str:
    return LANGUAGES[scored_set.trials.enroll_ids[0][:2]]


def _mean_log(scored_set: ScoredSet, rates: dict[int, float]) -> float:
    trials = scored_set.trials
    eers = [rates[dim] for dim in CHOSEN_BY if dim in rates]
    return mean_log_eer(eers, n_target=trials.n_target, n_nontarget=trials.n_nontarget)


def _pooled_rates(scored_set: ScoredSet, fitted: Fitted) -> dict[int, float]:
    return {dim: _eer(_score(scored_set, fitted, dim)) for dim in DIMS if dim <= fitted.embed_dim}


def _rates(scored_set: ScoredSet, fitted: Fitted) -> dict[str, Any]:
    """Return for each width the EER of a list, of each language in it, and of every speaker."""
    found: dict[str, Any] = {}
    for dim in (dim for dim in DIMS if dim <= fitted.embed_dim):
        scored = _score(scored_set, fitted, dim)
        found[str(dim)] = {
            "eer": _eer(scored),
            "languages": {name: _eer(scored.only(keep)) for name, keep in languages_of(scored).items()},
            "speakers": _by_speaker(scored),
        }
    return found


def _score(scored_set: ScoredSet, fitted: Fitted, dim: int) -> ScoredTrials:
    return scored_set.score(fitted.embed(scored_set.pooled, dim)[:, :dim], (dim,))


def _eer(scored: ScoredTrials) -> float:
    return eer_at(operating_points(scored.scores[:, 0], scored.is_target))


def _by_speaker(scored: ScoredTrials) -> dict[str, float]:
    rates = ((name, speaker_eer(scored, index, scored.scores[:, 0])) for index, name in enumerate(scored.speakers))
    return {name: rate for name, rate in rates if rate is not None}


def ratio(
    result: dict[str, Any], own: dict[str, Any], name: str, dim: int, language: str | None = None
) -> float | None:
    """Return the EER on a list, or a language of it, relative to the own embedding's; None without such a width."""
    found, base = result["lists"][name].get(str(dim)), own["lists"][name]["192"]
    if found is None:
        return None
    pairs = (found["languages"], base["languages"]) if language else (found, base)
    rate, own_rate = (each.get(language or "eer") for each in pairs)
    return None if rate is None or not own_rate else float(rate / own_rate)


def mean_ratio(results: Iterable[dict[str, Any]], own: dict[str, Any], names: Sequence[str], dim: int) -> float | None:
    """Return the mean ratio over seeds and lists; None if there is no such width."""
    ratios = [ratio(result, own, name, dim) for result in results for name in names]
    known = [each for each in ratios if each is not None]
    return float(np.mean(known)) if known else None


def signs_by_speaker(
    results: Sequence[dict[str, Any]], others: Sequence[dict[str, Any]], name: str, dim: int
) -> tuple[int, int, int] | None:
    """Return for how many speakers the mean EER over seeds is lower than, higher than and equal to the others'."""
    both = [_speaker_means(each, name, dim) for each in (results, others)]
    if not all(both):
        return None
    deltas = np.array([both[0][speaker] - both[1][speaker] for speaker in both[0]])
    return int((deltas < 0).sum()), int((deltas > 0).sum()), int((deltas == 0).sum())


def _speaker_means(results: Sequence[dict[str, Any]], name: str, dim: int) -> dict[str, float]:
    tables = [result["lists"][name].get(str(dim), {}).get("speakers", {}) for result in results]
    means: dict[str, NDArray[np.float64]] = {
        speaker: np.mean([table[speaker] for table in tables]) for speaker in tables[0]
    }
    return {speaker: float(mean) for speaker, mean in means.items()}
