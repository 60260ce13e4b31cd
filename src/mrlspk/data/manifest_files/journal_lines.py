"""Write lines of the journal of a scan; the processes that read headers do it."""

import json
from dataclasses import dataclass
from typing import Any

from mrlspk.data.manifest_files.facts import Facts


@dataclass(frozen=True, slots=True)
class Entry:
    """What a scan has found out of an utterance.

    Attributes:
        id: Of the utterance.
        place: Its source as text, with range and channel: an id may come to name another part of a file.
        facts: Of its audio.
    """

    id: str
    place: str
    facts: Facts


def line_of(value: list[Any]) -> bytes:
    """Return a line: its head, or a list of id, place and facts of each utterance."""
    return json.dumps(value, separators=(",", ":")).encode() + b"\n"
