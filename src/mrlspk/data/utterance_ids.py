"""Check the names of utterances, and read speaker and session from the ids of a tree of folders."""

import os
from pathlib import Path

from mrlspk.errors import DataError

NOT_UTF8 = "its name is not UTF-8"
WHITE_SPACE = "its path holds white space, which separates the fields of a trial list"
RENAME = "Rename the file or folder."


def is_utf8(name: str) -> bool:
    """Return whether ``name``, as the file system returned it, is UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def printable(name: str | os.PathLike[str]) -> str:
    r"""Return ``name`` with bytes that are not UTF-8 as ``\xff``, so that it can be written anywhere."""
    return os.fsencode(name).decode(errors="backslashreplace")


def name_fault(utterance_id: str) -> str | None:
    """Return why a trial list cannot hold ``utterance_id``; None if it can."""
    if not is_utf8(utterance_id):
        return NOT_UTF8
    return WHITE_SPACE if utterance_id.split() != [utterance_id] else None


def check_name(utterance_id: str, root: Path | None = None) -> None:
    """Refuse an utterance that a trial list cannot name; ``root`` is its corpus, for the message.

    Raises:
        DataError: If a trial list cannot hold the name.
    """
    if fault := name_fault(utterance_id):
        raise DataError(fault, printable(root / utterance_id if root else utterance_id), RENAME)


def speaker_of(utterance_id: str) -> str:
    """Return the speaker id: the first part of an utterance id."""
    return utterance_id.partition("/")[0]


def session_of(utterance_id: str) -> str:
    """Return the folder of an utterance id, speaker included."""
    return utterance_id.rpartition("/")[0]
