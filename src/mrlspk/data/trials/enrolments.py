"""Enrolment models of several utterances: Kaldi's ``spk2utt``, tables of model and segment, JSON lines."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from mrlspk.data.text_file import (
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

type Entry = tuple[int, str, tuple[str, ...]]  # number of the line; model; utterances: both empty where it is none


@dataclass(frozen=True)
class Enrolments:
    """The utterances of each model in the order of the file; ``sha256`` is of its bytes, in hex."""

    models: dict[str, tuple[str, ...]]
    path: str
    sha256: str


def read_enrolments(path: Path) -> Enrolments:
    """Return the enrolment models of a file; a model on several lines has the utterances of all of them.

    Raises:
        DataError: If it cannot be read, holds no model, has a line of another form, or repeats an utterance of a
            model.
    """
    file = read_text_file(path, f"'{EXPECTED}' a line")
    models: dict[str, tuple[str, ...]] = {}
    faults: list[BadLine] = []
    lines = file.lines
    for number, model, utterances in _entries(file):
        where, joined = f"{path}:{number}", (*models.get(model, ()), *utterances)
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
    lines = file.lines
    first = next((line for line in lines if line.strip()), "")
    if first.lstrip().startswith("{"):
        yield from (_from_json(number, line) for number, line in enumerate(lines, start=1) if line.strip())
        return
    delimiter = delimiter_of(first)
    table = split_table(file, delimiter) if delimiter else None
    if table and (places := _find_columns(table.rows[0])):
        rows = zip(table.numbers[1:], table.rows[1:], strict=True)
        yield from (_from_cells(number, cells, places) for number, cells in rows)
    else:
        split = (
            str.split if delimiter in {None, "\t"} else (lambda line: [each.strip() for each in line.split(delimiter)])
        )
        for number, line in enumerate(lines, start=1):
            if fields := split(line):
                yield number, fields[0], tuple(filter(None, fields[1:]))


def _find_columns(cells: Sequence[str]) -> tuple[int, int] | None:
    header = list(map(column_name, cells))
    model, utterance = find_column(header, MODEL), find_column(header, UTTERANCE)
    return None if model is None or utterance is None else (model, utterance)


def _from_cells(number: int, cells: Sequence[str], places: tuple[int, int]) -> Entry:
    if len(cells) <= max(places):
        return number, "", ()
    return number, cells[places[0]].strip(), tuple(cells[places[1]].split())


def _from_json(number: int, line: str) -> Entry:
    try:
        content = json.loads(line)
    except ValueError:
        return number, "", ()  # the caller names the line
    if not isinstance(content, dict):
        return number, "", ()
    values = {column_name(name): value for name, value in content.items()}
    model = next((values[name] for name in MODEL if name in values), None)
    found = next((values[name] for name in UTTERANCE if name in values), None)
    utterances = found if isinstance(found, list) else [found]
    if not isinstance(model, str | int) or not all(isinstance(each, str) for each in utterances):
        return number, "", ()
    return number, str(model), tuple(utterances)
