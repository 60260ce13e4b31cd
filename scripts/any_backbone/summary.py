"""What the results say: EERs relative to the model's own, inside and outside, and the recipe that the rule chooses."""

from collections.abc import Mapping, Sequence

import numpy as np

from any_backbone.recipes import Recipe
from any_backbone.results import LISTS, Rates, Results
from any_backbone.speech import Rows

FEWEST_ERRORS = 0.002  # conditions in which the own embedding errs less say nothing
DEARER = 0.01  # what training must gain, as it costs more than a closed form
LEAST = 2e-4  # EER that counts in place of a lower one

OWN = "own, truncated"


def held_out_ratios(results: Results, backbone: str, recipe: str, inputs: int, *, inside: bool) -> Rows | None:
    """Return the mean log ratio to the own full width, by width; None without results.

    ``inside`` is of the folds, whose EERs are averaged; outside is of the corpora that were left out.
    """
    own, found = (_by_condition(results, backbone, each, inputs, inside=inside) for each in (OWN, recipe))
    if not found:
        return None
    ratios = [
        np.log(np.maximum(found[name], LEAST) / max(own[name][-1], LEAST))
        for name in own
        if own[name][-1] >= FEWEST_ERRORS and name in found
    ]
    return np.mean(ratios, axis=0)


def _by_condition(results: Results, backbone: str, recipe: str, inputs: int, *, inside: bool) -> dict[str, Rows]:
    collected: dict[str, list[list[float]]] = {}
    for fold, rates in results.of(backbone, recipe, inputs).items():
        if fold == LISTS or fold.startswith("without ") == inside:
            continue
        for each in rates:
            for name, eer in each.items():
                collected.setdefault(name, []).append(eer)
    return {name: np.mean(eers, axis=0) for name, eers in collected.items()}


def list_rates(results: Results, backbone: str, recipe: str, inputs: int) -> dict[str, Rows]:
    """Return the mean EER over seeds of each development list, by width."""
    rates: Sequence[Rates] = results.of(backbone, recipe, inputs).get(LISTS, [])
    return {name: np.mean([each[name] for each in rates], axis=0) for name in (rates[0] if rates else ())}


def list_ratios(rates: Mapping[str, Rows], own: Mapping[str, Rows], names: Sequence[str]) -> Rows:
    """Return the geometric mean over some lists of the EER relative to the own full width."""
    return np.exp(np.mean([np.log(rates[name] / own[name][-1]) for name in names], axis=0))


def choose(results: Results, recipes: Sequence[Recipe], inputs: Mapping[str, int]) -> str | None:
    """Return the recipe of the rule: the lowest mean log ratio over backbones, inside and outside, and widths.

    Only recipes that need no more than a run knows take part, and only those with all results. A recipe with training
    must be better than the best closed form by `DEARER`.
    """
    found = {}
    for recipe in recipes:
        if not recipe.is_default:
            continue
        ratios = [
            held_out_ratios(results, name, recipe.name, inputs[name], inside=inside)
            for name in inputs
            for inside in (True, False)
        ]
        if all(each is not None for each in ratios):
            found[recipe] = float(np.mean([each.mean() for each in ratios if each is not None]))
    return min(found, key=lambda each: found[each] + (DEARER if each.seeds > 1 else 0.0)).name if found else None
