"""Situations of the first hour: an index that is not there, a name that is mistyped, a filter that does not parse."""

from pathlib import Path

import pytest

from first_hour import Situation
from voice_stores import make_store


def an_index():
    make_store(Path("voices"), "anna", "bert").close()


def an_empty_index():
    make_store(Path("voices")).close()


def a_folder_of_files():
    Path("voices").mkdir()
    Path("voices/notes.txt").write_text("no index")


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
