"""Situations of the first hour: an index that is not there, a name that is mistyped, a filter that does not parse."""

from pathlib import Path

import pytest

import mrlspk
from factories import write_tiny_model, write_voices
from first_hour import Situation
from voice_stores import make_store


def an_index():
    make_store(Path("voices"), "anna", "bert").close()


def an_empty_index():
    make_store(Path("voices")).close()


def a_folder_of_files():
    Path("voices").mkdir()
    Path("voices/notes.txt").write_text("no index")


def an_index_and_a_recording():
    an_index()
    root = write_voices(Path("speech"), 1, sessions=("a",), files=("1",), seconds=1.5, syllables=True)
    return {"audio": root / "speaker0/a/1.wav"}


def an_index_and_its_sources():
    """An index whose only recording is deleted after its enrolment."""
    audio = an_index_and_a_recording()["audio"]
    path = write_tiny_model(Path("model.pt"))
    with mrlspk.VoiceIndex.create("team", path) as index:
        index.add("anna", audio)
    audio.unlink()


SITUATIONS = [
    Situation("index without a command shows its help", ("index",), 0, ("Usage: mrlspk index", "Voices:", "Upkeep:")),
    Situation(
        "folder that is not there",
        ("index", "list", "nowhere"),
        1,
        ("error: nowhere: no such folder", "To make an index: mrlspk index create nowhere"),
    ),
    Situation(
        "folder that holds something else",
        ("index", "stats", "voices"),
        1,
        ("error: voices: is not a voice index",),
        prepare=a_folder_of_files,
    ),
    Situation(
        "mistyped name names the near one",
        ("index", "show", "voices", "ana"),
        2,
        ("there is no voice 'ana' Did you mean anna?",),
        prepare=an_index,
    ),
    Situation(
        "filter without quotes says where to put them",
        ("index", "list", "voices", "--where", "site = north"),
        2,
        ("--where: expected a text in quotes", 'Put texts in quotes: "north"'),
        prepare=an_index,
    ),
    Situation(
        "filter that fits no voice",
        ("index", "list", "voices", "--where", 'site = "south"'),
        0,
        ("no voice fits the filter",),
        prepare=an_index,
    ),
    Situation(
        "filter that fits no voice removes none",
        ("index", "remove", "voices", "--where", 'site = "south"', "--yes"),
        0,
        ("no voice fits the filter: none is removed",),
        prepare=an_index,
    ),
    Situation(
        "folder that is an index is not made again, before a model is looked for",
        ("index", "create", "voices", "--model", "nowhere.pt"),
        1,
        ("voices: exists", "Give the path of a new folder."),
        prepare=an_index,
    ),
    Situation(
        "recording for an index of vectors",
        ("index", "add", "voices", "carl", "{audio}"),
        2,
        ("--model: the index names no model to embed audio with", "Give --model: the path or the name of the model"),
        prepare=an_index_and_a_recording,
    ),
    Situation(
        "recording before the name",
        ("index", "add", "voices", "{audio}"),
        2,
        ("its NAME goes before it", "Give NAME and AUDIO, or one of --from-folder, --from-csv and --vectors."),
        prepare=an_index_and_a_recording,
    ),
    Situation(
        "identify without a recording",
        ("index", "identify", "voices"),
        2,
        ("expected recordings or vectors", "Give AUDIO or --vectors."),
    ),
    Situation(
        "recording that is not there",
        ("index", "identify", "voices", "call.wav"),
        3,
        ("call.wav: no such file or folder",),
        prepare=an_index,
    ),
    Situation(
        "voice whose recording is deleted stays",
        ("index", "show", "team", "anna"),
        0,
        ("speech/speaker0/a/1.wav",),
        prepare=an_index_and_its_sources,
    ),
    Situation(
        "calibration of too few voices",
        ("index", "calibrate", "voices"),
        3,
        ("a calibration needs 20 voices", "got 0 of 2 voices", "--folder of further recordings"),
        prepare=an_index,
    ),
    Situation(
        "evaluation of a folder that is not there",
        ("index", "evaluate", "voices", "nowhere"),
        3,
        ("nowhere: no such folder or table", "Check the path."),
        prepare=an_index,
    ),
    Situation(
        "misspelt command of an index",
        ("index", "identfy", "voices"),
        2,
        ("no command mrlspk index identfy; did you mean mrlspk index identify?",),
    ),
    Situation(
        "search of nothing",
        ("index", "search", "voices"),
        2,
        ("expected recordings or vectors", "Give AUDIO or --vectors."),
        prepare=an_index,
    ),
    Situation(
        "list of an empty index",
        ("index", "list", "voices"),
        0,
        ("the index is empty", "To enrol a voice: mrlspk index add voices NAME AUDIO"),
        prepare=an_empty_index,
    ),
    Situation(
        "remove of nothing",
        ("index", "remove", "voices"),
        2,
        ("expected names of voices, or a filter", "Give NAME or --where."),
        prepare=an_index,
    ),
]


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda each: each.name)
def test_first_hour(situation, meet):
    meet(situation)
