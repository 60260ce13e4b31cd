"""Corpora of empty files: what matters is their names."""

import tarfile
from pathlib import Path

import pytest

from mrlspk.data.corpora.joined import JoinedLookup, label_corpora, names_in_corpora, scan_corpora

CN2 = "id10270/singing-01-001.flac", "id10271/vlog-02-001.flac"
VOX1 = "id10270/5r0dWxy17C8/00001.wav", "id10271/1gtz-CUIygI/00001.wav"


def corpus_at(root, *paths):
    for path in paths:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).touch()
    return root


def parts_of(*entries):
    return label_corpora([(path, corpus, 1.0) for path, corpus in entries])


def test_labels_are_names_of_corpora_and_folders_and_differ(tmp_path):
    cn = corpus_at(tmp_path / "cn/data", *CN2)
    own, copy = (corpus_at(tmp_path / name / "train/wav", "a/1.wav") for name in ("calls", "calls-2"))
    odd = corpus_at(tmp_path / "my speech/b", "a/1.wav").parent
    entries = [(cn, "auto"), (own, "auto"), (own, "{speaker}/*"), (copy, "auto"), (copy, "auto"), (odd, "folders")]
    parts = parts_of(*entries)
    assert [part.label for part in parts] == ["cn-celeb", "calls", "calls-2", "calls-2-2", "calls-2-3", "my-speech"]
    assert [part.label for part in parts_of((own, "auto"))] == [""]


def test_speakers_of_one_name_stay_apart(tmp_path):
    one, other = (corpus_at(tmp_path / name, "a/s/1.wav", "b/s/1.wav", "x.wav") for name in ("two", "one"))
    parts = label_corpora([(one, "auto", 2.0), (other, "auto", 0.5)])
    joined = scan_corpora(parts)
    assert joined.utterances.weights.tolist() == [0.5, 0.5, 2, 2]
    assert [(each.utterance_id, each.speaker_id, each.session_id, each.source.path) for each in joined.utterances] == [
        ("one/a/s/1.wav", "one/a", "one/a/s", other / "a/s/1.wav"),
        ("one/b/s/1.wav", "one/b", "one/b/s", other / "b/s/1.wav"),
        ("two/a/s/1.wav", "two/a", "two/a/s", one / "a/s/1.wav"),
        ("two/b/s/1.wav", "two/b", "two/b/s", one / "b/s/1.wav"),
    ]
    assert joined.root == Path("two + one")
    assert [each.within(joined.root).path for each in joined.left_out] == [str(other / "x.wav"), str(one / "x.wav")]
    find = JoinedLookup(parts).find
    assert find("two/a/s/1.wav").path == one / "a/s/1.wav"
    assert find("two/a/s/2.wav") is find("three/a/s/1.wav") is None


def test_single_corpus_keeps_its_ids(tmp_path):
    root = corpus_at(tmp_path / "one", "a_1.wav")
    (part,) = parts = parts_of((root, "{speaker}_*"))
    (utterance,) = scan_corpora(parts).utterances
    assert (utterance.utterance_id, utterance.speaker_id, part.path) == ("a_1.wav", "a", root)
    assert JoinedLookup(parts).find("a_1.wav").path == root / "a_1.wav"


@pytest.mark.parametrize(
    ("paths", "others", "expected"),
    [
        (CN2, VOX1, set()),  # other people
        (CN2, ["test/id10270-singing-01-001.flac"], {"id10270", "id10271"}),
        (CN2, ["id10270/1.wav"], {"id10270", "id10271"}),  # of a corpus that may be this one
        (VOX1, ["id00012/21Uxsk56VDQ/00001"], {"id10270", "id10271"}),  # VoxCeleb2 continues the numbers
        (["id10270/1.wav"], VOX1, {"id10270"}),
    ],
)
def test_layouts_tell_speakers_of_different_corpora_apart(tmp_path, paths, others, expected):
    root, calls = corpus_at(tmp_path / "a", *paths), corpus_at(tmp_path / "calls", "anna/1.wav")
    alone, joined = parts_of((root, "auto")), parts_of((root, "auto"), (calls, "auto"))
    assert names_in_corpora(scan_corpora(alone).speakers, alone, others) == expected
    assert names_in_corpora(scan_corpora(joined).speakers, joined, others) == {*expected, "anna"}


def test_audio_is_looked_up_by_the_recipe_that_was_named(tmp_path):
    files = corpus_at(tmp_path / "files", "id000000/DwgYRqnQZHM/00000.wav", "notes.wav")
    (tmp_path / "tars").mkdir()
    with tarfile.open(tmp_path / "tars/0.tar", "w") as tar:
        for name in ("notes.wav", "id000000/DwgYRqnQZHM/00000.wav"):
            tar.add(files / name, name)
    parts = parts_of((tmp_path / "tars", "voxblink2"), (files, "auto"))
    assert [part.label for part in parts] == ["voxblink2", "files"]
    assert JoinedLookup(parts).find("voxblink2/id000000/DwgYRqnQZHM/00000.wav").offset
