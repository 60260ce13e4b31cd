"""Register corpus recipes; list the utterances of a corpus by the recipe that recognises it.

A plug-in adds a recipe with `register_recipe`, or as an entry point of the group ``mrlspk.corpora`` that names an
object with the members of `CorpusRecipe`.
"""

import difflib
import logging
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from importlib.metadata import entry_points
from itertools import islice
from pathlib import Path

from mrlspk.data.choices import AUTO
from mrlspk.data.corpora.cn_celeb import CnCeleb
from mrlspk.data.corpora.common_voice import CommonVoice
from mrlspk.data.corpora.facts import CorpusFacts, PublishedCounts
from mrlspk.data.corpora.folder_tree import FolderTree
from mrlspk.data.corpora.librispeech import LibriSpeech
from mrlspk.data.corpora.path_pattern import is_pattern
from mrlspk.data.corpora.pattern_tree import PatternTree
from mrlspk.data.corpora.shards import Shards
from mrlspk.data.corpora.speechocean762 import SpeechOcean762
from mrlspk.data.corpora.voxblink2 import VoxBlink2
from mrlspk.data.corpora.voxceleb import VOXCELEB1, VOXCELEB2, VoxCeleb
from mrlspk.data.left_out import named
from mrlspk.data.manifest import CorpusListing, CorpusRecipe, Manifest
from mrlspk.data.manifest_files.recipes import MANIFEST_FILES, is_named_manifest
from mrlspk.data.problems import refuse_errors
from mrlspk.data.utterance_ids import printable
from mrlspk.errors import DataError, UsageError, shorten

ENTRY_POINTS = "mrlspk.corpora"
MOST_IDS = 1000  # that are looked at to tell a layout

log = logging.getLogger("mrlspk.data")

_RECIPES: list[CorpusRecipe] = []
_FOLDER_TREE = FolderTree()
_SHARDS = Shards()
_PUBLISHED = (  # the first that recognises a corpus reads it
    CnCeleb(),
    CommonVoice(),
    LibriSpeech(),
    SpeechOcean762(),
    VoxBlink2(),
    VoxCeleb(VOXCELEB1),
    VoxCeleb(VOXCELEB2),
)


def register_recipe(recipe: CorpusRecipe) -> None:
    """Add a recipe; it is asked before those that were added earlier, those of mrlspk, and the tree of folders."""
    _RECIPES.insert(0, recipe)


def published_corpora() -> tuple[CorpusFacts, ...]:
    """Return what is published about the corpora that have a recipe here."""
    return tuple(recipe.facts for recipe in _PUBLISHED)


def published_counts() -> Mapping[str, PublishedCounts]:
    """Return the published counts of each part of a corpus, by the name for ``--expect``."""
    return {name: counts for facts in published_corpora() for name, counts in facts.counts.items()}


def find_published(recipe: CorpusRecipe) -> str | None:
    """Return the layout of the published corpus that a recipe reads; None if it reads others."""
    return next((each.facts.family for each in _PUBLISHED if each is recipe), None)


def published_layout(utterance_ids: Collection[str]) -> str | None:
    """Return the layout of published corpora that all utterance ids have; None if there is none."""
    ids = list(islice(utterance_ids, MOST_IDS))
    fitting = (each.facts.family for each in _PUBLISHED if ids and all(map(each.fits, ids)))
    return next(fitting, None)


def find_recipe(path: Path) -> CorpusRecipe | None:
    """Return the first recipe that recognises a corpus; None if there is none."""
    return next((recipe for recipe in _recipes() if recipe.recognises(path)), None)


def recipe_for(path: Path, corpus: str = AUTO) -> CorpusRecipe:
    """Return the recipe of a corpus; if none recognises it, one whose error says what is wrong.

    Args:
        path: Of the corpus.
        corpus: ``auto``, the name of a recipe, or a pattern of paths such as ``{speaker}/{session}/{utterance}.wav``.

    Raises:
        UsageError: If there is no such recipe, or the pattern is malformed.
    """
    if corpus == AUTO:
        return find_recipe(path) or (MANIFEST_FILES[0] if is_named_manifest(path) else _FOLDER_TREE)
    if is_pattern(corpus):
        return PatternTree(corpus)
    by_name = {recipe.name: recipe for recipe in reversed(list(_recipes()))}
    if corpus not in by_name:
        nearest = difflib.get_close_matches(corpus, by_name, 1)
        fix = f"Did you mean {nearest[0]}?" if nearest else None
        what = f"expected auto, one of {', '.join(sorted(by_name))}, or a pattern with {{speaker}}"
        raise UsageError(f"{what}, got {shorten(corpus)!r}", fix=fix, parameter="corpus")
    return by_name[corpus]


def _recipes() -> Iterator[CorpusRecipe]:
    """Yield all recipes in the order in which they are asked."""
    yield from _RECIPES
    yield from _installed_recipes()
    yield _SHARDS  # a folder of tars too
    yield from _PUBLISHED
    yield from MANIFEST_FILES
    yield _FOLDER_TREE


def scan_corpus(path: Path, corpus: str = AUTO) -> Manifest:
    """Return the utterances of a corpus as `list_corpus` does; a trial list can hold all of their names.

    Raises:
        DataError: If it cannot hold a name, or as `list_corpus` raises it.
        UsageError: If there is no such recipe.
    """
    manifest = list_corpus(path, corpus)
    manifest.check_names()
    return manifest


def list_corpus(path: Path, corpus: str = AUTO) -> Manifest:
    """Return the utterances of a corpus without opening audio; warnings count and name what is left out.

    Args:
        path: Of the corpus.
        corpus: Its recipe, as `recipe_for` takes it.

    Raises:
        UsageError: If there is no such recipe.
        DataError: If the corpus is absent, cannot be read, in part or whole, or holds no utterance, or if an id is
            there twice.
    """
    recipe = recipe_for(path, corpus)
    listing = recipe.list_utterances(path)
    refuse_errors(listing.problems, path)
    utterances = listing.utterances.in_order()
    if not utterances:
        raise DataError(f"expected {recipe.layout}, got no utterance", path, "Name a corpus with audio in it.")
    if (repeated := utterances.ids.first_disorder()) is not None:
        what = f"has the utterance {printable(utterances.ids[repeated])} twice"
        raise DataError(what, path, "Give each one its own id.")
    _tell(listing, path, recipe.layout)
    return Manifest(path, utterances, listing.all_left_out())


def _tell(listing: CorpusListing, path: Path, layout: str) -> None:
    """Warn of what is left out."""
    if listing.left_out:
        log.warning("%s: left out %s", path, named("file", listing.left_out, f" (not {layout})"))
    for problem in listing.problems:
        log.warning("%s: %s", path, problem.message)


@cache
def _installed_recipes() -> tuple[CorpusRecipe, ...]:
    return tuple(entry.load() for entry in entry_points(group=ENTRY_POINTS))
