"""The page on recordings lists the suffixes, warnings and errors of the code."""

import re
from pathlib import Path

from audio_encodings import NOT_MADE
from mrlspk.data.audio import AUDIO_SUFFIXES
from mrlspk.data.audio.channels import CHANNELS_CANCEL, CHANNELS_DIFFER
from mrlspk.data.audio.levels import OUT_OF_RANGE

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "recordings.md").read_text()


def test_suffixes_are_those_that_a_folder_is_searched_for():
    listed = PAGE.partition("searched for these suffixes:")[2].partition(".\n")[0]
    assert listed.split() == sorted(suffix.removeprefix(".") for suffix in AUDIO_SUFFIXES)


def test_every_warning_is_explained():
    table = PAGE.partition("## What is warned of")[2].partition("## ")[0]
    explained = {*re.findall(r"^\| `([^`]+)`", table, re.MULTILINE)}
    assert explained >= {CHANNELS_CANCEL, CHANNELS_DIFFER, OUT_OF_RANGE, "short", "silent"}


def test_messages_of_errors_are_those_of_the_code():
    table = PAGE.partition("## What is an error")[2].partition("## ")[0]
    messages = re.findall(r"^\| `([^`…]+)", table, re.MULTILINE)
    source = "\n".join(path.read_text() for path in (ROOT / "src").rglob("*.py"))
    assert len(messages) > 4
    assert [message for message in messages if message.strip() not in source] == []


def test_formats_without_an_encoder_are_named():
    assert [name for name in NOT_MADE if name not in PAGE] == []
