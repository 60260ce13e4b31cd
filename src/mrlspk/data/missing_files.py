"""Say why a file that a list names is not there: Windows backslashes, another form of Unicode, another folder."""

import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from mrlspk.errors import DataError
from mrlspk.reading import is_file

FORMS: tuple[Literal["NFC", "NFD"], ...] = ("NFC", "NFD")


def missing_cause(path: Path, *, listed_in: Path | None = None) -> str | None:
    """Return the probable cause why a file is not there, and what to do; None if there is no hint.

    Args:
        path: That is not there.
        listed_in: The list that names it, relative to the working directory.
    """
    return next(_causes(path, listed_in), None)


def _causes(path: Path, listed_in: Path | None) -> Iterator[str]:
    if "\\" in str(path):
        yield "the list has Windows backslashes: write / between folders"
    for form in FORMS:
        other = Path(unicodedata.normalize(form, str(path)))
        if other != path and is_file(other, DataError):
            yield f"a file of that name is there in another form of Unicode: write the list in {form}"
    if listed_in and not path.is_absolute() and is_file(listed_in.parent / path, DataError):
        yield f"it is beside the list, and paths start at the working directory: change to {listed_in.parent} first"
