"""Check that each utterance is listed once."""

from collections.abc import Iterator
from itertools import groupby

from mrlspk.data.audio.formats import AUDIO_SUFFIXES
from mrlspk.data.checks.repeats import find_repeats
from mrlspk.data.problems import Problem, error, warning
from mrlspk.data.utterances.table import UtteranceTable


def check_duplicates(utterances: UtteranceTable) -> Iterator[Problem]:
    """Find ids that are there twice, and utterances that are there in two formats.

    Args:
        utterances: In the order of their ids.
    """
    ids = utterances.ids
    for first, other in find_repeats(ids, _stem):
        if ids[first] != ids[other]:
            yield warning("duplicate", ids[other], f"expected one file of an utterance, got {ids[first]} too")
    for id_, equal in groupby(ids):
        if (count := sum(1 for _ in equal)) > 1:
            yield error("repeated_id", id_, f"expected each id once, got it {count} times")


def _stem(utterance_id: str) -> str:
    """Return an id without the suffix of an audio file."""
    stem, point, suffix = utterance_id.rpartition(".")
    return stem if f"{point}{suffix}".lower() in AUDIO_SUFFIXES else utterance_id
