"""Situations of the first hour with recordings and lists that are not what they seem."""

from pathlib import Path

import pytest

from first_hour import Situation


def write_text_named_wav():
    Path("note.wav").write_text("not audio\n")


SITUATIONS = [
    Situation(
        "text named wav", ("embed", "note.wav", "--model", "{model}"), 3, ("note.wav",), prepare=write_text_named_wav
    ),
]


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda each: each.name)
def test_first_hour(situation, meet):
    meet(situation)
