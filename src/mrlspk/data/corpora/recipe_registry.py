"""Register corpus recipes; list the utterances of a corpus by the recipe that recognises it.

A plug-in adds a recipe with `register_recipe`, or as an entry point of the group ``mrlspk.corpora`` that names an
object with the members of `CorpusRecipe`.
"""

import logging
from functools import cache
from importlib.metadata import entry_points
from itertools import pairwise
from operator import attrgetter
from pathlib import Path

from mrlspk.data.corpora.folder_tree import FolderTree
from mrlspk.data.left_out import named
from mrlspk.data.manifest import CorpusListing, CorpusRecipe, Manifest
from mrlspk.data.problems import refuse_errors
from mrlspk.data.utterance_ids import check_name, printable
from mrlspk.errors import DataError

ENTRY_POINTS = "mrlspk.corpora"

log = logging.getLogger("mrlspk.data")

_RECIPES: list[CorpusRecipe] = []
_FOLDER_TREE = FolderTree()


def register_recipe(recipe: CorpusRecipe) -> None:
    """Add a recipe; it is asked before those that were added earlier and before the tree of folders."""
    _RECIPES.insert(0, recipe)


def find_recipe(path: Path) -> CorpusRecipe | None:
    """Return the first recipe that recognises a corpus; None if there is none."""
    recipes = (*_RECIPES, *_installed_recipes(), _FOLDER_TREE)
    return next((recipe for recipe in recipes if recipe.recognises(path)), None)


def recipe_for(path: Path) -> CorpusRecipe:
    """Return the recipe of a corpus; the tree of folders, whose errors say what is wrong, if none recognises it."""
    return find_recipe(path) or _FOLDER_TREE


def scan_corpus(path: Path) -> Manifest:
    """Return the utterances of a corpus without opening audio; warnings count and name what is left out.

    Raises:
        DataError: If the corpus is absent, cannot be read, in part or whole, or holds no utterance, if an id is there
            twice, or if a trial list cannot hold the name of an utterance.
    """
    recipe = recipe_for(path)
    listing = recipe.list_utterances(path)
    refuse_errors(listing.problems, path)
    utterances = sorted(listing.utterances, key=attrgetter("utterance_id"))
    if not utterances:
        raise DataError(f"expected {recipe.layout}, got no utterance", path, "Name a corpus with audio in it.")
    for utterance in utterances:
        check_name(utterance.utterance_id, path)
    for one, other in pairwise(utterances):
        if one.utterance_id == other.utterance_id:
            raise DataError(f"has the utterance {printable(one.utterance_id)} twice", path, "Give each one its own id.")
    _tell(listing, path, recipe.layout)
    return Manifest(path, tuple(utterances), listing.all_left_out())


def _tell(listing: CorpusListing, path: Path, layout: str) -> None:
    """Warn of what is left out."""
    if listing.left_out:
        log.warning("%s: left out %s", path, named("file", listing.left_out, f" (not {layout})"))
    for problem in listing.problems:
        log.warning("%s: %s", path, problem.message)


@cache
def _installed_recipes() -> tuple[CorpusRecipe, ...]:
    return tuple(entry.load() for entry in entry_points(group=ENTRY_POINTS))
