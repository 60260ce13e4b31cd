"""The study's tables, as Markdown on standard output."""

from collections.abc import Iterator, Mapping, Sequence

import numpy as np

from any_backbone.intervals import list_differences, ratio_intervals
from any_backbone.recipes import Recipe
from any_backbone.results import Results
from any_backbone.scoring import DevelopmentList, widths_of
from any_backbone.speech import Rows, Speech
from any_backbone.summary import OWN, held_out_ratios, list_rates, list_ratios


def print_held_out(results: Results, recipes: Sequence[Recipe], backbones: Mapping[str, int]) -> None:
    """Print a table for each question: the mean log ratio of each backbone, inside / outside, and their mean."""
    print("\nMean log EER relative to the own full width, over widths: inside / outside\n")
    for question in dict.fromkeys(recipe.question for recipe in recipes):
        print(f"| {question} | {' | '.join(backbones)} | mean |\n{'|---' * (len(backbones) + 2)}|")
        for recipe in recipes:
            if recipe.question == question:
                ratios = [
                    [held_out_ratios(results, name, recipe.name, backbones[name], inside=place) for name in backbones]
                    for place in (True, False)
                ]
                print(f"| {recipe.name} | {' | '.join(_cells(ratios))} |")
        print()


def _cells(ratios: Sequence[Sequence[Rows | None]]) -> Iterator[str]:
    means = [[None if each is None else float(each.mean()) for each in place] for place in ratios]
    for inside, outside in zip(*means, strict=True):
        yield f"{_number(inside)} / {_number(outside)}"
    known = [[each for each in place if each is not None] for place in means]
    every = [float(np.mean(each)) if len(each) == len(means[0]) else None for each in known]
    both = None if None in every else float(np.mean([each for each in every if each is not None]))
    yield f"{_number(every[0])} / {_number(every[1])}: {_number(both)}"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:+.3f}"


def print_lists(
    results: Results, recipes: Sequence[Recipe], backbone: str, inputs: int, lists: Sequence[DevelopmentList]
) -> None:
    """Print the EERs of the development lists: the own in percent, and all relative to it."""
    own = list_rates(results, backbone, OWN, inputs)
    if not own:
        return
    widths = widths_of(lists[0].directions.shape[1])
    places = [[each.name for each in lists if each.is_inside == place] for place in (True, False)]
    print(f"\n{backbone}, own EER in %: " + ", ".join(f"{each.name} {100 * own[each.name][-1]:.2f}" for each in lists))
    print(f"\n| {backbone} | {' | '.join(f'{width}: in / out' for width in widths)} | all |")
    print("|---" * (len(widths) + 2) + "|")
    for recipe in recipes:
        rates = list_rates(results, backbone, recipe.name, inputs)
        if not rates:
            continue
        inside, outside = (list_ratios(rates, own, names) if names else [np.nan] * len(widths) for names in places)
        cells = (f"{each:.2f} / {other:.2f}" for each, other in zip(inside, outside, strict=True))
        everywhere = " / ".join(f"{each:.2f}" for each in list_ratios(rates, own, [*own]))
        print(f"| {recipe.name} | {' | '.join(cells)} | {everywhere} |")


def print_claims(
    recipes: Mapping[str, Recipe], claims: Sequence[tuple[str, str]], speech: Speech, lists: Sequence[DevelopmentList]
) -> None:
    """Print intervals: of each claimed recipe's geometric mean, and of its difference to the other on each list."""
    for second, first in claims:
        embeds = [recipes[name].fit(speech, 0) for name in (first, second)]
        print(f"\n{second}: geometric mean over the lists, relative to the own full width, with 95 % interval:")
        print(", ".join(f"{width}: {each:.2f} [{low:.2f}, {high:.2f}]" for width, each, low, high in
                        ratio_intervals(lists, embeds[1])))  # fmt: skip
        print(f"\nEER of {second} minus that of {first}, in points:\n")
        for listed in lists:
            cells = []
            for width, delta, reach in list_differences(listed, *embeds):
                within = "" if reach is None else f" [{100 * reach[0]:+.2f}, {100 * reach[1]:+.2f}]"
                cells.append(f"{width}: {100 * delta:+.2f}{within}")
            print(f"- {listed.name}: {', '.join(cells)}")
