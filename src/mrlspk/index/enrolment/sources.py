"""List the recordings to enrol: files of one name, a folder of speakers, or a CSV table."""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path

from mrlspk.data.corpora.walk import walk_audio
from mrlspk.data.text_tables import (
    BadLine,
    BadLinesError,
    column_name,
    delimiter_of,
    read_text_file,
    split_table,
)
from mrlspk.data.utterance_ids import printable, speaker_of
from mrlspk.errors import DataError, UsageError, shorten
from mrlspk.index.enrolment.metadata import MetadataValue, VoiceMetadata, check_metadata, read_value
from mrlspk.reading import is_file

log = logging.getLogger("mrlspk.index")

LAYOUT = "speaker/file, with any folders between them"
COLUMNS = "a table whose first line names the columns name and path, and any columns of metadata"
LONGEST_NAME = 500


@dataclass(frozen=True)
class AudioOfVoice:
    """A recording to enrol.

    Attributes:
        name: Of the voice.
        path: Of the recording.
    """

    name: str
    path: str


@dataclass(frozen=True)
class AudioToEnrol:
    """Recordings to enrol.

    Attributes:
        recordings: In the order given, each once.
        metadata: Of voices, by name.
    """

    recordings: tuple[AudioOfVoice, ...]
    metadata: Mapping[str, VoiceMetadata] = field(default_factory=dict)


def audio_of_name(
    name: str, paths: Iterable[str | PathLike[str]], metadata: VoiceMetadata | None = None
) -> AudioToEnrol:
    """Return files of one voice.

    Raises:
        UsageError: If no voice can have the name, or a key or value of the metadata.
    """
    checked = check_voice_name(name)
    recordings = dict.fromkeys(AudioOfVoice(checked, str(path)) for path in paths)
    return AudioToEnrol(tuple(recordings), {checked: check_metadata(metadata)} if metadata else {})


def audio_of_folder(root: Path) -> AudioToEnrol:
    """Return the audio of a folder whose subfolders are named as the speakers; warnings tell what is left out.

    Raises:
        DataError: If it cannot be listed or holds no audio in subfolders.
    """
    tree = walk_audio(root)
    for problem in tree.problems():
        log.warning("%s: %s", root, problem.message)
    inside = [each for each in tree.files if "/" in each]
    if not inside:
        found = f"got {printable(tree.files[0])}" if tree.files else "got no audio"
        raise DataError(f"expected {LAYOUT}, {found}", root, "Name the folder whose subfolders are the speakers.")
    if alone := [each for each in tree.files if "/" not in each]:
        log.warning("%s: files in no folder of a speaker: %d, such as %s", root, len(alone), printable(alone[0]))
    return AudioToEnrol(tuple(AudioOfVoice(check_voice_name(speaker_of(each)), str(root / each)) for each in inside))


def audio_of_table(path: Path) -> AudioToEnrol:
    """Return the recordings that a CSV or TSV table names: columns ``name`` and ``path``, the others are metadata.

    A relative path starts at the working directory or, if no such file is there, at the folder of the table. Numbers
    and true and false are metadata of that type, an empty cell is none. Rows of one name must agree.

    Raises:
        DataError: If it is no such table; the message lists the lines.
    """
    recordings: dict[AudioOfVoice, None] = {}
    metadata: dict[str, dict[str, MetadataValue]] = {}
    bad: list[BadLine] = []
    n_rows = 0
    for number, cells in _rows(path):
        n_rows += 1
        where = f"{path}:{number}"
        try:
            name, file, values = _read_row(cells)
        except UsageError as error:
            bad.append(BadLine(where, error.what))
            continue
        if metadata.setdefault(name, values) != values:
            bad.append(BadLine(where, f"has other metadata of {shorten(name)} than a line before"))
        recordings[AudioOfVoice(name, _locate(file, path))] = None
    if bad:
        raise BadLinesError(bad, str(path), n_rows, f"Write {COLUMNS}.")
    if not recordings:
        raise DataError("expected a line for each recording, got none", path, f"Write {COLUMNS}.")
    return AudioToEnrol(tuple(recordings), {name: values for name, values in metadata.items() if values})


def check_voice_name(name: str) -> str:
    """Return a name without white space around it.

    Raises:
        UsageError: If it is empty, too long, not UTF-8, or not on one line.
    """
    stripped = name.strip()
    if not stripped or len(stripped) > LONGEST_NAME or not stripped.isprintable():
        what = f"expected a name of 1 to {LONGEST_NAME} printable characters, got {shorten(repr(name), 60)}"
        raise UsageError(what)
    return stripped


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield line and cells by column of each row; those of ``name`` and ``path`` under these names."""
    file = read_text_file(path, COLUMNS)
    first = file.text.partition("\n")[0]
    table = split_table(file, delimiter_of(first) or ",")
    header = [_column(each) for each in table.rows[0]]
    _check_columns(header, path)
    for number, cells in zip(table.numbers[1:], table.rows[1:], strict=True):
        if len(cells) != len(header):
            what = f"expected {len(header)} cells, as in the first line, got {len(cells)}"
            raise DataError(what, f"{path}:{number}", f"Write {COLUMNS}.")
        yield number, dict(zip(header, map(str.strip, cells), strict=True))


def _check_columns(header: Sequence[str], path: Path) -> None:
    found = f"got the columns {shorten(', '.join(header))}"
    if missing := [each for each in ("name", "path") if each not in header]:
        columns = "column" if len(missing) == 1 else "columns"
        raise DataError(f"expected the {columns} {' and '.join(missing)}, {found}", path, f"Write {COLUMNS}.")
    if repeated := next((each for each in header if header.count(each) > 1), None):
        raise DataError(f"expected the column {repeated} once, {found}", path, f"Write {COLUMNS}.")


def _column(text: str) -> str:
    name = column_name(text)
    return name if name in {"name", "path"} else text.strip()


def _read_row(cells: Mapping[str, str]) -> tuple[str, str, dict[str, MetadataValue]]:
    """Return name, path and metadata of a row.

    Raises:
        UsageError: If it has no path, or no voice can have the name or the metadata.
    """
    if not cells["path"]:
        raise UsageError("expected a path, got an empty cell")
    values = {key: read_value(cell) for key, cell in cells.items() if key not in {"name", "path"} and cell}
    return check_voice_name(cells["name"]), cells["path"], check_metadata(values)


def _locate(file: str, table: Path) -> str:
    beside = table.parent / file
    return str(beside) if not is_file(Path(file), DataError) and is_file(beside, DataError) else file
