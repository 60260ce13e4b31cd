"""Compare Matryoshka heads on the vectors of any backbone: closed forms, training, and what either needs.

    scripts/study_any_backbone.py --name campplus --train train.npz train-crops.npz more.npz more-crops.npz
        --inside trials.txt test.npz --outside trials.txt other.npz --results study.jsonl
    scripts/study_any_backbone.py … --score-lists

Recipes are fitted on training speakers: five times without a fifth of each corpus, scored on these speakers (inside),
and once without each corpus, scored on that (outside). Results are JSON lines, by backbone, recipe, seed and fold; a
second start computes only what is missing. With ``--score-lists`` recipes are fitted to all speakers, and
the development lists are scored, which no choice reads. docs/studies/any-backbone.md says what was found.
"""

import argparse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from any_backbone.recipes import Recipe, all_recipes
from any_backbone.results import LISTS, Job, Results
from any_backbone.scoring import DevelopmentList, error_rates
from any_backbone.speech import N_FOLDS, Speech, Trials, draw_folds, held_out_trials, load_speech
from any_backbone.summary import choose
from any_backbone.tables import print_claims, print_held_out, print_lists

type Conditions = dict[str, Trials]
type Fold = tuple[str, Speech, Callable[[], Conditions]]


def main() -> None:
    """Compute what is missing, and print the tables."""
    given = _arguments()
    speech = load_speech(given.train, given.noisy)
    inputs, results = speech.checksum(), Results(given.results)
    recipes = [
        each for each in all_recipes() if _is_wanted(each, given) and (given.noisy or "augmented" not in each.name)
    ]
    lists = [
        DevelopmentList.load(*map(Path, pair), is_inside=place == "inside")
        for place in ("inside", "outside")
        for pair in getattr(given, place)
    ]
    folds = [(LISTS, speech, dict)] if given.score_lists else [*_folds(speech)]
    for recipe in recipes:
        for seed in range(min(recipe.seeds, given.seeds)):
            for fold, fitted_to, conditions in folds:
                job = Job(given.name, recipe.name, seed, fold, inputs)
                if job in results:
                    continue
                if given.score_lists:
                    results.add(job, _score_lists(recipe, seed, speech, lists))
                else:
                    results.add(job, _score_held_out(recipe, seed, speech, fitted_to, conditions()))
        print(recipe.name, flush=True)
    backbones = results.backbones()
    print_held_out(results, recipes, backbones)
    print(f"chosen by the rule: {choose(results, recipes, backbones)}")
    if given.score_lists:
        print_lists(results, recipes, given.name, inputs, lists)
        print_claims({each.name: each for each in recipes}, given.claim, speech, lists)


def _folds(speech: Speech) -> Iterator[Fold]:
    """Yield the name of each fold, the speech to fit to, and what returns its trials."""
    folds = draw_folds(speech)
    for number in range(N_FOLDS):
        held_out = folds == number
        yield str(number), speech.of_speakers(~held_out), _once(speech, held_out, number)
    corpora = np.unique(speech.corpus_of)
    for corpus in corpora if len(corpora) > 1 else []:
        held_out = speech.corpus_of == corpus
        yield f"without {corpus}", speech.of_speakers(~held_out), _once(speech, held_out, 0)


def _once(speech: Speech, speakers: np.ndarray, seed: int) -> Callable[[], Conditions]:
    """Return what draws the trials at its first call, and keeps them."""
    drawn: list[Conditions] = []

    def trials() -> Conditions:
        if not drawn:
            drawn.append(held_out_trials(speech, speakers, seed=seed))
        return drawn[0]

    return trials


def _score_held_out(
    recipe: Recipe, seed: int, speech: Speech, fitted_to: Speech, conditions: Conditions
) -> dict[str, list[float]]:
    embed = recipe.fit(fitted_to, seed)
    return error_rates(embed, speech.directions, conditions, fitted_to if recipe.centred_scores else None)


def _score_lists(recipe: Recipe, seed: int, speech: Speech, lists: Sequence[DevelopmentList]) -> dict[str, list[float]]:
    embed, cohort = recipe.fit(speech, seed), speech if recipe.centred_scores else None
    rates: dict[str, list[float]] = {}
    for each in lists:
        rates |= error_rates(embed, each.directions, {each.name: each.trials}, cohort)
    return rates


def _is_wanted(recipe: Recipe, given: argparse.Namespace) -> bool:
    return (
        not given.only
        or any(each in f"{recipe.question}: {recipe.name}" for each in given.only)
        or (recipe.question == "What there was")
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--name", required=True, help="name of the backbone in the results")
    parser.add_argument("--train", nargs="+", type=Path, required=True, help="vector files to fit on")
    parser.add_argument("--noisy", nargs="+", type=Path, default=[], help="files of augmented crops, for training")
    for place in ("inside", "outside"):
        metavar = "TRIALS", "VECTORS"
        parser.add_argument(f"--{place}", nargs=2, action="append", default=[], metavar=metavar)
    parser.add_argument("--results", type=Path, required=True, help="JSON lines, continued if they exist")
    parser.add_argument("--only", nargs="+", default=[], help="recipes or questions whose name contains one of these")
    parser.add_argument("--seeds", type=int, default=3, help="of recipes in which something is random")
    parser.add_argument(
        "--claim",
        nargs=2,
        action="append",
        default=[],
        metavar=("BETTER", "THAN"),
        help="recipes to compare on the lists",
    )
    parser.add_argument("--score-lists", action="store_true", help="score the development lists in place of folds")
    return parser.parse_args()


if __name__ == "__main__":
    main()
