"""Trees of folders with links, pipes and files that are absent."""

import os

import pytest

from mrlspk.data.corpora.folder_tree import FolderTree, list_audio
from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.workflows.embed_inputs import find_inputs


@pytest.fixture
def root(tmp_path):
    root = tmp_path / "holds" / "corpus"
    for name in ("s1/a/1.wav", "s2/a/1.wav"):
        path = root / name
        path.parent.mkdir(parents=True)
        path.touch()
    return root


BOTH = ["s1/a/1.wav", "s2/a/1.wav"]


@pytest.mark.parametrize("target", [".", "..", "../..", "../../..", "/", "loop"])
def test_link_that_leads_back_is_left_out_with_one_warning(root, caplog, target):
    (root / "s1" / "loop").symlink_to(target)
    assert list_audio(root) == BOTH
    assert [record.getMessage() for record in caplog.records] == [
        f"{root}/s1/loop is left out: the link leads back to a folder that it is in"
    ]


def test_links_that_lead_to_each_other_are_followed_once(root, caplog):
    (root / "s1" / "two").symlink_to("../s2")
    (root / "s2" / "one").symlink_to("../s1")
    assert list_audio(root) == sorted([*BOTH, "s1/two/a/1.wav", "s2/one/a/1.wav"])
    assert [record.getMessage() for record in caplog.records] == [
        f"{root}/s1/two/one (and 1 more links) is left out: the link leads back to a folder that it is in"
    ]


def test_links_to_speakers_and_files_are_followed(root, caplog):
    (root / "s3").symlink_to("s1")
    (root / "s2" / "a" / "2.wav").symlink_to("1.wav")
    assert list_audio(root) == sorted([*BOTH, "s2/a/2.wav", "s3/a/1.wav"])
    assert scan_corpus(root).speakers == ("s1", "s2", "s3")
    assert not caplog.records


def test_corpus_reached_by_a_link_or_from_inside_is_the_same(root, tmp_path, monkeypatch, caplog):
    (root / "s1" / "loop").symlink_to("..")
    (tmp_path / "link").symlink_to(root)
    assert list_audio(tmp_path / "link") == BOTH
    monkeypatch.chdir(root)
    assert list_audio(root.relative_to(root)) == BOTH
    assert len(caplog.records) == 2


def test_pipes_are_not_audio_and_absent_files_are_reported_later(root):
    os.mkfifo(root / "s1" / "a" / "pipe.wav")
    (root / "s1" / "a" / "null.wav").symlink_to(os.devnull)
    (root / "s1" / "a" / "gone.wav").symlink_to("absent")
    assert list_audio(root) == sorted([*BOTH, "s1/a/gone.wav"])


def test_embed_finds_the_files_of_the_corpus_by_parts_of_their_paths(root):
    (root / "s1-b" / "a").mkdir(parents=True)
    (root / "s1-b" / "a" / "1.wav").touch()
    (root / "s3").symlink_to("s1")
    (root / "s1" / "loop").symlink_to("..")
    (root / ".hidden").mkdir()
    (root / ".hidden" / "1.wav").touch()
    files, errors = find_inputs([str(root)])
    assert list(files) == ["s1/a/1.wav", "s1-b/a/1.wav", "s2/a/1.wav", "s3/a/1.wav"]
    assert errors == {}
    assert set(files) == {each.utterance_id for each in FolderTree().list_utterances(root).utterances}
