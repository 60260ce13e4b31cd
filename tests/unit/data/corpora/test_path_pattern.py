"""Paths and what patterns read from them, worked out by hand."""

import pytest

from mrlspk.data.corpora.path_pattern import PathPattern
from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.errors import DataError, UsageError


@pytest.mark.parametrize(
    ("pattern", "path", "expected"),
    [
        ("{speaker}/{session}/{utterance}.wav", "anna/mon/1.wav", ("anna", "anna/mon")),
        ("{speaker}/{session}/{utterance}.wav", "anna/mon/1.flac", None),
        ("{speaker}/{session}/{utterance}.wav", "anna/1.wav", None),
        ("{speaker}/{session}/{utterance}", "anna/mon/1.FLAC", ("anna", "anna/mon")),
        ("{speaker}/{utterance}", "anna/1.txt", None),
        ("{speaker}_{session}_*", "anna_mon_1_b.wav", ("anna", "anna/mon")),
        ("{speaker}_*.wav", "anna_1.wav", ("anna", "anna")),
        ("{speaker}_*.wav", "anna_x/1.wav", None),
        ("*/{speaker}/{session}-*.wav", "part1/anna/mon-1.wav", ("anna", "anna/mon")),
        ("**/{speaker}-{utterance}.wav", "a/b/anna-1.wav", ("anna", "anna")),
        ("**/{speaker}-{utterance}.wav", "anna-1.wav", ("anna", "anna")),
        ("{session}/{speaker}.wav", "call1/anna.wav", ("anna", "anna/call1")),
        ("{speaker}/{session}/{speaker}-{session}-*.wav", "19/198/19-198-0.wav", ("19", "19/198")),
        ("{speaker}/{session}/{speaker}-{session}-*.wav", "19/198/26-198-0.wav", None),
        ("spk.{speaker}/(1)/*.wav", "spk.anna/(1)/x.wav", ("anna", "anna")),
        ("spk.{speaker}/(1)/*.wav", "spk_anna/(1)/x.wav", None),
    ],
)
def test_pattern_reads_speaker_and_session(pattern, path, expected):
    assert PathPattern(pattern).match(path) == expected


@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        ("{session}/*.wav", "with {speaker}"),
        ("{speaker}/{sesion}/*.wav", "the fields speaker, session, utterance and no sesion"),
        ("{speaker}/{}.wav", "no empty one"),
        ("{speaker/*.wav", "{ and } around the name"),
        ("{speaker}{utterance}.wav", "characters between two fields"),
        ("/data/{speaker}/*.wav", "below the folder of the corpus"),
        ("../{speaker}/*.wav", "below the folder of the corpus"),
    ],
)
def test_malformed_pattern_is_refused_with_an_example(tmp_path, pattern, fault):
    with pytest.raises(UsageError) as caught:
        scan_corpus(tmp_path, pattern)
    assert fault in caught.value.what
    assert pattern in caught.value.what
    assert "{speaker}/{session}/{utterance}.wav" in caught.value.fix


def test_files_that_do_not_fit_the_pattern_are_left_out(tmp_path, caplog):
    for name in ("anna_mon_1.wav", "anna_tue_1.WAV", "berta_mon_1.flac", "notes.wav"):
        (tmp_path / name).touch()
    manifest = scan_corpus(tmp_path, "{speaker}_{session}_*")
    assert [(each.utterance_id, each.speaker_id, each.session_id) for each in manifest.utterances] == [
        ("anna_mon_1.wav", "anna", "anna/mon"),
        ("anna_tue_1.WAV", "anna", "anna/tue"),
        ("berta_mon_1.flac", "berta", "berta/mon"),
    ]
    assert [each.path for each in manifest.left_out] == ["notes.wav"]
    assert "left out 1 file (not {speaker}_{session}_*): notes.wav" in caplog.text


def test_pattern_that_nothing_fits_shows_a_file(tmp_path):
    (tmp_path / "anna-1.wav").touch()
    with pytest.raises(DataError, match=r"expected \{speaker\}_\*, got 'anna-1.wav'") as caught:
        scan_corpus(tmp_path, "{speaker}_*")
    assert caught.value.where == tmp_path
    assert caught.value.fix
