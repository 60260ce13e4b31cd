"""Situations of the first hour: what a new user types before knowing the commands."""

import pytest

from first_hour import Situation

SITUATIONS = [
    Situation("no command", (), 0, ("Usage: mrlspk", "Train a Matryoshka encoder", "mrlspk embed call.m4a")),
    Situation("group alone", ("data",), 0, ("Usage: mrlspk data", "check", "demo", "trials")),
    Situation("short flag of help", ("verify", "-h"), 0, ("Usage: mrlspk verify A B", "Example:")),
    Situation("misspelt command", ("trian",), 2, ("error: no command mrlspk trian; did you mean mrlspk train?",)),
    Situation("command of a group", ("fetch", "b2"), 2, ("did you mean mrlspk pretrained fetch?",)),
    Situation(
        "misspelt option", ("eval", "--trails", "t.txt"), 2, ("no option --trails; did you mean --trials?", "--help")
    ),
    Situation(
        "widths to embed", ("embed", "a.wav", "--dims", "64,128"), 2, ("takes one width: --dim <dim>", "--dim 64")
    ),
    Situation("one width to eval", ("eval", "--dim", "64"), 2, ("takes several widths: --dims <dims>",)),
    Situation("configuration key as an option", ("train", "--epochs", "5"), 2, ("--set training.num_epochs=VALUE",)),
    Situation("word for a number", ("embed", "a.wav", "--dim", "all"), 2, ("expected a whole number", "got all")),
    Situation("no input", ("embed",), 2, ("error: expected INPUT", "Example: mrlspk embed call.m4a")),
]


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda each: each.name)
def test_first_hour(situation, meet):
    meet(situation)
