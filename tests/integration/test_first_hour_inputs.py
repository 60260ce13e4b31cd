"""Situations of the first hour with recordings and lists that are not what they seem."""

from pathlib import Path

import pytest

from first_hour import Situation
from predecessor_file import TEXT


def write_text_named_wav():
    Path("note.wav").write_text("not audio\n")


def write_old_configuration():
    Path("old.yaml").write_text(TEXT)


def write_key_twice():
    Path("run.yaml").write_text("training:\n  batch_size: 8\n  num_epochs: 1\n  batch_size: 16\n")


SITUATIONS = [
    Situation(
        "old configuration",
        ("train", "--config", "old.yaml"),
        1,
        ("old.yaml: is a configuration of redimnet-mrl", "mrlspk config migrate old.yaml --output old.mrlspk.yaml"),
        prepare=write_old_configuration,
    ),
    Situation(
        "value of another type",
        ("train", "--set", "training.batch_size=many"),
        1,
        ("training.batch_size (--set): expected a whole number or 'auto', got 'many'",),
    ),
    Situation(
        "key of redimnet-mrl",
        ("train", "--set", "data.test_dataset=x"),
        1,
        ("data.test_dataset (--set): unknown key, of redimnet-mrl.", "a name in evaluation.test_datasets."),
    ),
    Situation(
        "key given twice",
        ("train", "--config", "run.yaml"),
        1,
        ("run.yaml", "line 4, column 3: batch_size is given in line 2 already"),
        prepare=write_key_twice,
    ),
    Situation(
        "default corpus absent",
        ("train",),
        3,
        (
            "data.train_dataset (default): data/voxceleb2/dev/aac: no such folder",
            "Set it with --set data.train_dataset=DIR",
        ),
    ),
    Situation(
        "text named wav", ("embed", "note.wav", "--model", "{model}"), 3, ("note.wav",), prepare=write_text_named_wav
    ),
]


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda each: each.name)
def test_first_hour(situation, meet):
    meet(situation)
