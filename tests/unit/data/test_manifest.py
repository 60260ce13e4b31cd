import hashlib

from mrlspk.data.audio.source import FileSource
from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.data.manifest import Utterance


def make_tree(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def test_scan_lists_speakers_and_utterances_without_opening_audio(tmp_path):
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
