"""Trees of folders with links, hidden files, pipes, and folders that cannot be read."""

import inspect
import os
import sys

import pytest

from mrlspk.data.corpora import walk
from mrlspk.data.corpora.folder_tree import FolderTree
from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.data.corpora.walk import list_audio, walk_audio
from mrlspk.data.left_out import LeftOut
from mrlspk.errors import DataError
from mrlspk.workflows.embed_inputs import find_inputs

BOTH = ("s1/a/1.wav", "s2/a/1.wav")


def add(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


@pytest.fixture
def root(tmp_path):
    add(tmp_path / "holds" / "corpus", *BOTH)
    return tmp_path / "holds" / "corpus"


def left_out(root):
    return [(each.path, each.reason) for each in walk_audio(root).left_out]


def messages(root):
    return [problem.message for problem in walk_audio(root).problems()]


@pytest.mark.parametrize("target", [".", "..", "../..", "../../..", "/", "loop"])
def test_link_that_leads_back_is_left_out_and_named(root, target):
    (root / "s1" / "loop").symlink_to(target)
    assert walk_audio(root).files == BOTH
    assert messages(root) == ["left out 1 link (leads back to a folder that it is in): s1/loop"]


def test_links_that_lead_to_each_other_are_followed_once(root):
    (root / "s1" / "two").symlink_to("../s2")
    (root / "s2" / "one").symlink_to("../s1")
    assert walk_audio(root).files == tuple(sorted([*BOTH, "s1/two/a/1.wav", "s2/one/a/1.wav"]))
    assert left_out(root) == [("s1/two/one", "loop"), ("s2/one/two", "loop")]
    assert messages(root)[1] == "2 links: s1/two (to s2), s2/one (to s1): the audio of the folder is listed twice"


def test_links_to_speakers_and_files_are_followed_and_told(root, caplog):
    (root / "s3").symlink_to("s1")
    (root / "s2" / "a" / "2.wav").symlink_to("1.wav")
    assert walk_audio(root).files == tuple(sorted([*BOTH, "s2/a/2.wav", "s3/a/1.wav"]))
    assert scan_corpus(root).speakers == ("s1", "s2", "s3")
    assert caplog.messages == [f"{root}: 1 link: s3 (to s1): the audio of the folder is listed twice"]


def test_two_links_to_a_folder_elsewhere_are_told(root, tmp_path):
    add(tmp_path / "elsewhere", "1.wav")
    for name in ("s3", "s4"):
        (root / name).symlink_to(tmp_path / "elsewhere")
    assert walk_audio(root).files == (*BOTH, "s3/1.wav", "s4/1.wav")
    assert walk_audio(root).repeated == (("s3", "s4"),)


def test_folders_that_all_link_to_each_other_are_walked_in_time(tmp_path):
    names = [f"s{number:02}" for number in range(8)]
    for name in names:
        add(tmp_path, f"{name}/1.wav")
        for other in names:
            (tmp_path / name / other).symlink_to(f"../{other}")
    tree = walk_audio(tmp_path)  # paths without a loop are 109,600
    assert len(tree.files) <= (walk.MOST_VISITS + 1) * len(names)
    assert {f"{name}/1.wav" for name in names} <= set(tree.files)
    nearest = {f"{name}/{other}/1.wav" for name in names for other in names if name != other}
    assert nearest <= set(tree.files)
    assert {each.reason for each in tree.left_out} == {"loop", "many_links"}


def test_deep_tree_takes_no_recursion(tmp_path):
    deep = "d/" * 400 + "1.wav"
    add(tmp_path, deep)
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(len(inspect.stack()) + 200)
    try:
        assert walk_audio(tmp_path).files == (deep,)
    finally:
        sys.setrecursionlimit(limit)


def test_corpus_reached_by_a_link_or_from_inside_is_the_same(root, tmp_path, monkeypatch):
    (root / "s1" / "loop").symlink_to("..")
    (tmp_path / "link").symlink_to(root)
    assert walk_audio(tmp_path / "link").files == BOTH
    monkeypatch.chdir(root)
    inside = walk_audio(root.relative_to(root))
    assert (inside.files, inside.left_out) == (BOTH, (LeftOut("s1/loop", "loop"),))


def test_hidden_files_and_folders_are_skipped_without_a_word(root):
    add(root, "s1/a/._1.wav", "s1/.a/1.wav", ".s3/a/1.wav", "s1/a/.2.raw", "__MACOSX/s1/a/._1.wav")
    assert walk_audio(root).files == BOTH
    assert messages(root) == []


def test_suffixes_in_capitals_are_audio_and_others_are_counted(root):
    add(root, "s1/a/2.WAV", "s1/a/3.Mp3", "s1/a/4.RAW", "s1/a/5.raw", "s2/a/6.pcm", "s2/a/text.txt", "s2/a/wav")
    assert walk_audio(root).files == ("s1/a/1.wav", "s1/a/2.WAV", "s1/a/3.Mp3", "s2/a/1.wav")
    assert messages(root) == ["left out 3 files (format not supported): s1/a/4.RAW, s1/a/5.raw and 1 more"]


def test_pipes_are_left_out_and_absent_files_are_reported_later(root):
    os.mkfifo(root / "s1" / "a" / "pipe.wav")
    (root / "s1" / "a" / "null.wav").symlink_to(os.devnull)
    (root / "s1" / "a" / "gone.wav").symlink_to("absent")
    (root / "s1" / "a" / "self.wav").symlink_to("self.wav")
    (root / "s1" / "a" / "unmounted").symlink_to("absent")
    assert walk_audio(root).files == tuple(sorted([*BOTH, "s1/a/gone.wav", "s1/a/self.wav"]))
    assert left_out(root) == [
        ("s1/a/null.wav", "special"),
        ("s1/a/pipe.wav", "special"),
        ("s1/a/unmounted", "dead_link"),
    ]


@pytest.fixture
def closed(root, monkeypatch):
    """Close a folder to reading, for the superuser too."""
    scan = os.scandir

    def scandir(path):
        if str(path).endswith("s1/closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    (root / "s1" / "closed").mkdir()
    monkeypatch.setattr(walk.os, "scandir", scandir)
    return root


def test_folder_that_cannot_be_read_is_an_error_of_embed_among_others(closed):
    found = find_inputs([str(closed)])
    assert tuple(found.files) == BOTH
    assert found.errors == {f"{closed}/s1/closed": "cannot be read: Permission denied"}


@pytest.mark.parametrize("look", [scan_corpus, list_audio])
def test_folder_that_cannot_be_read_stops_training_and_noise(closed, look):
    with pytest.raises(DataError, match="cannot be read: Permission denied") as caught:
        look(closed)
    assert caught.value.where == closed / "s1" / "closed"


def test_embed_finds_the_files_of_the_corpus_by_parts_of_their_paths(root, caplog):
    add(root, "s1-b/a/1.wav", "s1-b/a/2.raw")
    (root / "s3").symlink_to("s1")
    (root / "s1" / "loop").symlink_to("..")
    found = find_inputs([str(root)])
    assert list(found.files) == ["s1/a/1.wav", "s1-b/a/1.wav", "s2/a/1.wav", "s3/a/1.wav"]
    assert found.errors == {}
    assert set(found.files) == {each.utterance_id for each in FolderTree().list_utterances(root).utterances}
    assert [each.path for each in found.left_out] == [
        f"{root}/{name}" for name in ("s1-b/a/2.raw", "s1/loop", "s3/loop")
    ]
    assert f"{root}: left out 1 file (format not supported): s1-b/a/2.raw" in caplog.messages
