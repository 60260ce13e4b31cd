import logging
import os
from importlib.metadata import EntryPoint

import pytest

from mrlspk.data.audio.source import FileSource
from mrlspk.data.choices import CORPUS_NAMES
from mrlspk.data.corpora import recipe_registry
from mrlspk.data.corpora.folder_tree import FolderTree
from mrlspk.data.corpora.recipe_registry import find_recipe, published_corpora, recipe_for, register_recipe, scan_corpus
from mrlspk.data.corpora.walk import list_audio
from mrlspk.data.manifest import CorpusListing, Utterance
from mrlspk.data.manifest_files.recipes import MANIFEST_FILES
from mrlspk.errors import DataError, UsageError


class ListedCorpus:
    """Reads a file with a speaker and an id on each line."""

    name = "listed"
    layout = "speaker and id on each line"

    def recognises(self, path):
        return path.suffix == ".listed"

    def list_utterances(self, path):
        rows = [line.split() for line in path.read_text().splitlines()]
        return CorpusListing(tuple(Utterance(id_, speaker, speaker, FileSource(id_)) for speaker, id_ in rows))


LISTED = ListedCorpus()


@pytest.fixture(autouse=True)
def no_other_recipes(monkeypatch):
    monkeypatch.setattr(recipe_registry, "_RECIPES", [])


def make_tree(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def test_recipes_are_asked_from_the_newest_to_the_tree_of_folders(tmp_path):
    path = tmp_path / "a.listed"
    assert find_recipe(path) is None
    assert isinstance(find_recipe(tmp_path), FolderTree)
    register_recipe(LISTED)
    register_recipe(newer := ListedCorpus())
    assert find_recipe(path) is newer
    assert isinstance(find_recipe(tmp_path), FolderTree)


def test_installed_recipe_is_found_by_its_entry_point(tmp_path, monkeypatch):
    entry = EntryPoint("listed", f"{__name__}:LISTED", recipe_registry.ENTRY_POINTS)
    monkeypatch.setattr(recipe_registry, "entry_points", lambda group: [entry] if group == "mrlspk.corpora" else [])
    recipe_registry._installed_recipes.cache_clear()
    try:
        assert find_recipe(tmp_path / "a.listed") is LISTED
    finally:
        recipe_registry._installed_recipes.cache_clear()


def test_utterances_of_a_recipe_are_sorted_by_id(tmp_path):
    register_recipe(LISTED)
    path = tmp_path / "a.listed"
    path.write_text("b 2.wav\na 3.wav\nc 1.wav\n")
    manifest = scan_corpus(path)
    assert [(each.utterance_id, each.speaker_id) for each in manifest.utterances] == [
        ("1.wav", "c"),
        ("2.wav", "b"),
        ("3.wav", "a"),
    ]
    assert (manifest.root, manifest.speakers) == (path, ("a", "b", "c"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected speaker and id on each line, got no utterance"),
        ("a 1.wav\nb 1.wav\n", "has the utterance 1.wav twice"),
    ],
)
def test_corpus_without_utterances_or_with_a_repeated_id_is_an_error(tmp_path, text, message):
    register_recipe(LISTED)
    (tmp_path / "a.listed").write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        scan_corpus(tmp_path / "a.listed")
    assert caught.value.where == tmp_path / "a.listed"
    assert caught.value.fix


def test_audio_at_other_depths_is_left_out_and_counted(tmp_path, caplog):
    root = make_tree(tmp_path, "0.wav", "a/s/1.wav", "a/s/t/1.wav")
    with caplog.at_level(logging.WARNING, "mrlspk"):
        assert [u.utterance_id for u in scan_corpus(root).utterances] == ["a/s/1.wav"]
    assert f"{root}: left out 2 files (not speaker/session/file or speaker/file): 0.wav, a/s/t/1.wav" in caplog.text
    assert list_audio(root) == ("0.wav", "a/s/1.wav", "a/s/t/1.wav")


@pytest.mark.parametrize(
    ("name", "message", "shown"),
    [
        ("a/s/one two.wav", "holds white space", "a/s/one two.wav"),
        ("a b/s/1.wav", "holds white space", "a b/s/1.wav"),
        (os.fsdecode(b"a/s/caf\xe9.wav"), "is not UTF-8", "a/s/caf\\xe9.wav"),
    ],
)
def test_a_name_that_no_trial_list_can_hold_is_an_error_that_shows_it(tmp_path, name, message, shown):
    make_tree(tmp_path, "a/s/1.wav", "b/s/caf\u00e9.wav")
    assert len(scan_corpus(tmp_path).utterances) == 2
    make_tree(tmp_path, name)
    with pytest.raises(DataError, match=message) as caught:
        scan_corpus(tmp_path)
    assert str(caught.value.where) == f"{tmp_path}/{shown}"
    assert caught.value.fix


@pytest.mark.parametrize(
    ("paths", "folder", "message"),
    [
        ((), "absent", "no such folder"),
        (("a/s/1.wav",), "a/s/1.wav", "expected a folder, got a file"),
        (("a/s/1.txt",), ".", "got no audio at all"),
        (("dev/wav/a/s/1.wav",), ".", "got 'dev/wav/a/s/1.wav'"),
    ],
)
def test_absent_or_empty_corpus_is_an_error_with_a_remedy(tmp_path, paths, folder, message):
    make_tree(tmp_path, *paths)
    with pytest.raises(DataError, match=message) as caught:
        scan_corpus(tmp_path / folder)
    assert caught.value.fix


def test_recipe_is_chosen_by_name_pattern_or_recognition(tmp_path):
    register_recipe(LISTED)
    assert recipe_for(tmp_path, "listed") is LISTED
    assert isinstance(recipe_for(tmp_path, "auto"), FolderTree)
    assert recipe_for(tmp_path, "{speaker}/{utterance}").layout == "{speaker}/{utterance}"
    with pytest.raises(
        UsageError, match="expected auto, one of .*folders, .*librispeech, listed.*, got 'liste'"
    ) as caught:
        scan_corpus(tmp_path, "liste")
    assert caught.value.fix == "Did you mean listed?"


def test_names_of_the_option_are_those_of_the_recipes():
    own = {recipe.name for recipe in recipe_registry._recipes()}
    without_counts = {"folders", "shards", *(recipe.name for recipe in MANIFEST_FILES)}
    assert {*CORPUS_NAMES} == own
    assert [facts.name for facts in published_corpora()] == [
        name for name in CORPUS_NAMES if name not in without_counts
    ]
