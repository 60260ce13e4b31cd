"""Enrolment models of several utterances: Kaldi's ``spk2utt``, tables of model and segment, JSON lines."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mrlspk.data.text_file import (
    Row,
    TextFile,
    column_name,
    delimiter_of,
    find_column,
    read_text_file,
    shorten,
    split_table,
)
from mrlspk.data.trials.faults import BadLine, BadLinesError
from mrlspk.data.trials.labels import MODEL, UTTERANCE
from mrlspk.errors import DataError

EXPECTED = "<model> <utterance> …"
FIX = "Write a model and its utterances on each line, or a table with the columns modelid and segmentid."

type Entry = tuple[int, str, tuple[str, ...] | None]  # number of the line; model; utterances, None where it has no form


@dataclass(frozen=True)
class Enrolments:
    """The utterances of each model in the order of the file; ``sha256`` is of its bytes, in hex."""

    models: dict[str, tuple[str, ...]]
    path: str
    sha256: str


def read_enrolments(path: Path) -> Enrolments:
    """Return the enrolment models of a file; a model on several lines has the utterances of all of them.

    Raises:
        DataError: If it cannot be read, holds no model, has a line of another form, or has one utterance of a model twice.
    """
    file = read_text_file(path, f"'{EXPECTED}' a line")
    models: dict[str, tuple[str, ...]] = {}
    faults: list[BadLine] = []
    lines = file.text.splitlines()
    for number, model, utterances in _entries(file):
        where, joined = f"{path}:{number}", (*models.get(model, ()), *(utterances or ()))
        if not (model and utterances):
            faults.append(BadLine(where, f"expected '{EXPECTED}', got {shorten(lines[number - 1].strip())!r}"))
        elif len(set(joined)) < len(joined):
            faults.append(BadLine(where, f"expected each utterance of {model} once, got one again"))
        else:
            models[model] = joined
    if faults:
        raise BadLinesError(faults, str(path), len(lines), FIX)
    if not models:
        raise DataError(f"expected '{EXPECTED}' a line, got an empty file", path, FIX)
    return Enrolments(models, str(path), file.sha256)


def _entries(file: TextFile) -> Iterator[Entry]:
    lines = file.text.splitlines()
    first = next((line for line in lines if line.strip()), "")
    if first.lstrip().startswith("{"):
        yield from (_from_json(number, line) for number, line in enumerate(lines, start=1) if line.strip())
        return
    delimiter = delimiter_of(first)
    rows = split_table(file, delimiter) if delimiter else []
    if rows and (places := _find_columns(rows[0].cells)):
        yield from (_from_cells(row, places) for row in rows[1:])
    elif rows and delimiter != "\t":
        yield from ((row.number, row.cells[0], tuple(filter(None, row.cells[1:]))) for row in rows)
    else:
        for number, line in enumerate(lines, start=1):
            if fields := line.split():
                yield number, fields[0], tuple(fields[1:])


def _find_columns(cells: Sequence[str]) -> tuple[int, int] | None:
    header = list(map(column_name, cells))
    model, utterance = find_column(header, MODEL), find_column(header, UTTERANCE)
    return None if model is None or utterance is None else (model, utterance)


def _from_cells(row: Row, places: tuple[int, int]) -> Entry:
    if len(row.cells) <= max(places) or not row.cells[places[1]]:
        return row.number, row.cells[0], None
    return row.number, row.cells[places[0]], tuple(row.cells[places[1]].split())


def _from_json(number: int, line: str) -> Entry:
    try:
        content = json.loads(line)
    except ValueError:
        return number, "", None  # the caller names the line
    if not isinstance(content, dict):
        return number, "", None
    values = {column_name(name): value for name, value in content.items()}
    model = next((values[name] for name in MODEL if name in values), None)
    found = next((values[name] for name in UTTERANCE if name in values), None)
    utterances = found if isinstance(found, list) else [found]
    if not isinstance(model, str | int) or not all(isinstance(each, str) for each in utterances):
        return number, "", None
    return number, str(model), tuple(utterances)
