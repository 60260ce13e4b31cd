"""Read a table of speakers or utterances, such as their gender or language."""

import difflib
import json
import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from mrlspk.data.manifest import Manifest
from mrlspk.data.text_tables import TextFile, column_name, delimiter_of, find_column, read_text_file, split_table
from mrlspk.errors import DataError, UsageError, shorten
from mrlspk.reading import load_json

log = logging.getLogger("mrlspk.data")

KEYS = "utterance_id", "speaker_id", "utterance", "speaker", "utt", "spk", "id"  # or else the first column
EXPECTED = "a table with a header, or JSON lines"
FIX = "Write a table whose first column names utterances or speakers, and whose first line names the columns."

type Record = tuple[str, dict[str, str]]  # file and line; values by column


@dataclass(frozen=True)
class Metadata:
    """Values of named columns for utterances or speakers.

    Args:
        path: The file.
        columns: Names of the columns except the key, in lower case with underscores.
        rows: Values by column for each utterance or speaker, without empty values.
    """

    path: Path
    columns: tuple[str, ...]
    rows: Mapping[str, Mapping[str, str]]

    def check_column(self, column: str) -> str:
        """Return the name of a column as in `columns`; case, blanks and hyphens do not matter.

        Raises:
            UsageError: If there is no such column; the message names the nearest.
        """
        name = column_name(column)
        if name not in self.columns:
            nearest = difflib.get_close_matches(name, self.columns, 1)
            fix = f"Did you mean {nearest[0]}?" if nearest else None
            raise UsageError(f"expected one of the columns {', '.join(self.columns)}, got {column!r}", self.path, fix)
        return name

    def value(self, column: str, utterance_id: str, speaker: str) -> str | None:
        """Return the value of an utterance in ``column``, or else that of its speaker; None if there is neither.

        An utterance is looked up with and without the suffix of its file.

        Raises:
            UsageError: If there is no such column.
        """
        name = self.check_column(column)
        keys = (utterance_id, str(PurePosixPath(utterance_id).with_suffix("")) if utterance_id else "", speaker)
        return next((self.rows[key][name] for key in keys if name in self.rows.get(key, ())), None)


def read_metadata(path: Path) -> Metadata:
    """Return the metadata in a CSV or TSV file with a header, or in a file of one JSON object per line.

    The key is the column utterance_id, speaker_id, utterance, speaker, utt, spk or id, or else the first.

    Raises:
        DataError: If the file cannot be read, is not such a table, or has two different rows for one key.
    """
    file = read_text_file(path, EXPECTED)
    first = file.text.lstrip().partition("\n")[0]
    header, records = _read_json(file) if first.startswith("{") else _read_table(file, first)
    place = find_column(header, KEYS) or 0
    key, columns = header[place], tuple(name for index, name in enumerate(header) if index != place and name)
    rows: dict[str, dict[str, str]] = {}
    for where, record in records:
        if not (id_ := record.get(key, "")):
            raise DataError(f"expected a name in column {key}, got none", where, FIX)
        values = {name: record[name] for name in columns if record.get(name)}
        if rows.setdefault(id_, values) != values:
            raise DataError(f"has {id_} a second time, with other values", where, "Keep one line of each.")
    return Metadata(path, columns, rows)


def _read_table(file: TextFile, first: str) -> tuple[list[str], Iterator[Record]]:
    delimiter = delimiter_of(first)
    if delimiter is None:
        raise DataError(f"expected {EXPECTED}, got {shorten(first)!r}", file.path, FIX)
    table = split_table(file, delimiter)
    header = list(map(column_name, table.rows[0]))
    return header, _table_records(file, header, zip(table.numbers[1:], table.rows[1:], strict=True))


def _table_records(file: TextFile, header: Sequence[str], rows: Iterator[tuple[int, list[str]]]) -> Iterator[Record]:
    for number, cells in rows:
        where = f"{file.path}:{number}"
        if len(cells) != len(header):
            raise DataError(f"expected {len(header)} cells, as in the first line, got {len(cells)}", where, FIX)
        yield where, dict(zip(header, map(str.strip, cells), strict=True))


def _read_json(file: TextFile) -> tuple[list[str], Iterator[Record]]:
    records: list[Record] = []
    for number, line in enumerate(file.lines, start=1):
        if not line.strip():
            continue
        where = f"{file.path}:{number}"
        try:
            content = load_json(line)
        except ValueError as error:
            raise DataError(f"expected a JSON object, got {shorten(line)!r}", where, FIX) from error
        if not isinstance(content, dict):
            raise DataError(f"expected a JSON object, got {shorten(line)!r}", where, FIX)
        records.append((where, {column_name(name): _text(value) for name, value in content.items()}))
    return list(dict.fromkeys(name for _, record in records for name in record)), iter(records)


def _text(value: object) -> str:
    if value is None:
        return ""
    return value.strip() if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def speaker_values(manifest: Manifest, metadata: Metadata, column: str) -> Mapping[str, str]:
    """Return the value of each speaker in a column; a warning counts the speakers without one."""
    found = {
        speaker: metadata.value(column, group[0].utterance_id, speaker)
        for speaker, group in manifest.by_speaker().items()
    }
    values = {speaker: value for speaker, value in found.items() if value is not None}
    if len(values) < len(found):
        n_without = len(found) - len(values)
        message = "%s: %d of %d speakers have no %s in %s: they have target trials only"
        log.warning(message, manifest.root, n_without, len(found), column, metadata.path)
    return values
