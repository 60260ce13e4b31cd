import hashlib
import logging
import os

import pytest

from mrlspk.data.audio_source import FileSource
from mrlspk.data.manifest import Utterance, list_audio, scan_corpus
from mrlspk.errors import DataError


def make_tree(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def test_scan_lists_speakers_and_utterances_in_order_without_opening_audio(tmp_path):
    root = make_tree(tmp_path, "b/s/2.wav", "b/s/1.M4A", "a/1.flac", "b/s/notes.txt", "a/.hidden.wav", ".c/s/1.wav")
    manifest = scan_corpus(root)
    assert manifest.utterances == (
        Utterance("a/1.flac", "a", "a", FileSource(f"{root}/a/1.flac")),
        Utterance("b/s/1.M4A", "b", "b/s", FileSource(f"{root}/b/s/1.M4A")),
        Utterance("b/s/2.wav", "b", "b/s", FileSource(f"{root}/b/s/2.wav")),
    )
    assert manifest.speakers == ("a", "b")
    assert [u.utterance_id for u in manifest.by_speaker()["b"]] == ["b/s/1.M4A", "b/s/2.wav"]


def test_fingerprint_is_a_hash_of_the_ids_alone(tmp_path):
    one = scan_corpus(make_tree(tmp_path / "one", "a/s/1.wav", "b/s/1.wav"))
    two = scan_corpus(make_tree(tmp_path / "two", "b/s/1.wav", "a/s/1.wav"))
    assert one.fingerprint == two.fingerprint == hashlib.sha256(b"a/s/1.wav\nb/s/1.wav").hexdigest()
    assert one.only_speakers({"a"}).fingerprint != one.fingerprint


def test_manifest_splits_by_speaker(tmp_path):
    manifest = scan_corpus(make_tree(tmp_path, "a/s/1.wav", "b/s/1.wav", "c/s/1.wav"))
    assert manifest.only_speakers({"a", "c"}).speakers == ("a", "c")
    assert manifest.without_speakers({"a", "c"}).speakers == ("b",)


def test_audio_at_other_depths_is_left_out_and_counted(tmp_path, caplog):
    root = make_tree(tmp_path, "0.wav", "a/s/1.wav", "a/s/t/1.wav")
    with caplog.at_level(logging.WARNING, "mrlspk"):
        assert [u.utterance_id for u in scan_corpus(root).utterances] == ["a/s/1.wav"]
    assert "2 audio files" in caplog.text
    assert list_audio(root) == ["0.wav", "a/s/1.wav", "a/s/t/1.wav"]


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
