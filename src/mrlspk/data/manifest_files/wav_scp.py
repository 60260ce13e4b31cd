"""Read Kaldi's ``wav.scp``: the audio file of each utterance or recording."""

import re
from collections.abc import Container
from pathlib import Path

from mrlspk.data.text_tables import BadLine, BadLinesError, read_text_file
from mrlspk.errors import shorten

ENTRY = "<utterance> <path>"
FIX = "Write an utterance and the path of its audio file on each line; commands and archives are not supported."
IN_ARCHIVE = re.compile(r"\.ark:\d+$")


def read_wav_scp(path: Path) -> dict[str, tuple[Path, int]]:
    """Return the audio file of each utterance of a Kaldi ``wav.scp``, with the number of its line.

    Raises:
        DataError: If it cannot be read, or has a line of another form, a command, or a place in an archive.
    """
    lines = read_text_file(path, f"'{ENTRY}' a line").lines
    entries: dict[str, tuple[Path, int]] = {}
    faults: list[BadLine] = []
    for number, line in enumerate(lines, start=1):
        name, *rest = line.split(maxsplit=1) or [""]
        if not name:
            continue
        location = "".join(rest).rstrip()
        if what := _fault_of(name, location, entries):
            faults.append(BadLine(f"{path}:{number}", f"{what}, got {shorten(line.strip())!r}"))
        entries[name] = Path(location), number
    if faults:
        raise BadLinesError(faults, str(path), len(lines), FIX)
    return entries


def _fault_of(name: str, location: str, entries: Container[str]) -> str | None:
    if not location:
        return f"expected '{ENTRY}'"
    if location.endswith("|"):
        return "expected the path of a file, not a command"
    if IN_ARCHIVE.search(location):
        return "expected the path of a file, not a place in an archive"
    return "expected each utterance once" if name in entries else None
