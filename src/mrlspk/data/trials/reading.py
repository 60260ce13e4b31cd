"""Read trial lists, whose format is detected from their content, and enrolment models of several utterances."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.text_tables import (
    BadLine,
    BadLinesError,
    TextFile,
    column_name,
    delimiter_of,
    find_column,
    read_text_file,
    split_table,
)
from mrlspk.data.trials.json_lines import parse_json_lines
from mrlspk.data.trials.lines import KALDI, VOXCELEB, parse_lines, parse_rows
from mrlspk.data.trials.tables import MODEL, UTTERANCE, is_header, parse_table
from mrlspk.data.trials.trials import ParsedTrials, Trials
from mrlspk.errors import DataError, shorten
from mrlspk.reading import load_json

TABLE_SUFFIXES = {".csv", ".tsv"}
SHOWN = 10
EXPECTED = "<model> <utterance> …"
FIX = "Write a model and its utterances on each line, or a table with the columns modelid and segmentid."
type Entry = tuple[
    int, str, tuple[str, ...]
]  # line number, model, utterances; model and utterances are empty for a bad line


def read_trials(path: Path, enrolments: Path | None = None) -> Trials:
    """Return the trials of a file in its order, repeats included; blank lines are allowed.

    The format may be VoxCeleb's (``1 a b``), Kaldi's (``a b target``, or 1 and 0 if all lines have them), a table with
    a header (commas, tabs or semicolons, as in the keys of NIST's evaluations), or JSON objects, one per line.

    Args:
        path: The list.
        enrolments: File of enrolment models of several utterances, as `read_enrolments` takes it.

    Raises:
        DataError: If a file cannot be read, holds no trial, has lines in another format, labels a pair both target and
            non-target, or has no model that a trial names.
    """
    file = read_text_file(path, "a trial on each line")
    parsed = _parse(file)
    if not len(parsed.enroll_ids):
        raise DataError(f"{VOXCELEB.expected} on each line, got an empty file", path, "Name a list with trials in it.")
    ids = tuple({*parsed.enroll_ids, *parsed.test_ids})
    index = {id_: number for number, id_ in enumerate(ids)}
    sides = (parsed.enroll_ids, parsed.test_ids)
    enroll, test = (np.fromiter(map(index.__getitem__, side), dtype=np.int64, count=len(side)) for side in sides)
    one = np.array(ids, dtype=object)  # string per utterance instead of one per trial: a quarter of the memory
    enroll_ids, test_ids = tuple(one[enroll].tolist()), tuple(one[test].tolist())
    models, sha256 = _join_models(parsed.enrolments, set(enroll_ids), path, enrolments)
    _check_labels(enroll, test, np.array([id_ in models for id_ in ids]), parsed, file)
    about = parsed.columns, parsed.speaker_by_id, sha256
    return Trials(enroll_ids, test_ids, parsed.is_target, str(path), file.sha256, models, *about)


@dataclass(frozen=True)
class Enrolments:
    """The utterances of each model in the order of the file, and the SHA-256 of the file in hex."""

    models: dict[str, tuple[str, ...]]
    path: str
    sha256: str


def read_enrolments(path: Path) -> Enrolments:
    """Return the enrolment models of a file: Kaldi's ``spk2utt``, a table of model and segment, or JSON lines.

    A model on several lines has the utterances of all of them.

    Raises:
        DataError: If the file cannot be read, holds no model, has a line in another format, or repeats an utterance of
            a model.
    """
    file = read_text_file(path, f"'{EXPECTED}' on each line")
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
        raise DataError(f"expected '{EXPECTED}' on each line, got an empty file", path, FIX)
    return Enrolments(models, str(path), file.sha256)


def _parse(file: TextFile) -> ParsedTrials:
    first = file.text.lstrip().partition("\n")[0]
    if first.startswith("{"):
        return parse_json_lines(file)
    if first.startswith("["):
        raise DataError("expected one JSON object a line, got a list", file.path, "Write it as JSON lines.")
    delimiter = delimiter_of(first)
    if delimiter is None or VOXCELEB.fits(first.split()):
        return parse_lines(file)
    table = split_table(file, delimiter)
    cells = table.rows[0]
    if is_header(cells):
        return parse_table(table, file)
    is_line = KALDI.fits(first.split())
    if (VOXCELEB.fits(cells) or KALDI.fits(cells)) and not (is_line and delimiter == "\t"):
        return parse_rows(table, delimiter, file)
    if is_line:
        return parse_lines(file)
    is_table = delimiter != "\t" or file.path.suffix.lower() in TABLE_SUFFIXES
    return parse_table(table, file) if is_table else parse_lines(file)


def _join_models(
    own: Mapping[str, tuple[str, ...]], enroll_ids: set[str], path: Path, enrolments: Path | None
) -> tuple[Mapping[str, tuple[str, ...]], str | None]:
    """Return the models that the trials name, from the list and from a file, and the SHA-256 of the file.

    Raises:
        DataError: If the file has none of them, or disagrees with the list about one.
    """
    if enrolments is None:
        return own, None
    found = read_enrolments(enrolments)
    given = {model: utterances for model, utterances in found.models.items() if model in enroll_ids}
    if not given:
        example = f"{min(enroll_ids)} in the list, {next(iter(found.models))} in the models"
        what = f"none of its {len(found.models)} models is enrolled in {path}: {example}"
        raise DataError(what, enrolments, "Give the file of enrolment models that belongs to the list.")
    if differing := [model for model in own if given.get(model, own[model]) != own[model]]:
        raise DataError(f"has other utterances of {differing[0]} than {path}", enrolments, "Keep one of the two.")
    return {**own, **given}, found.sha256


def _check_labels(
    enroll: NDArray[np.int64],
    test: NDArray[np.int64],
    is_model: NDArray[np.bool_],
    parsed: ParsedTrials,
    file: TextFile,
) -> None:
    """Refuse a list that labels one pair both target and non-target.

    Two utterances are the same pair in either order; a model and an utterance are not.

    Args:
        enroll: (trials,) indices of ids.
        test: Likewise.
        is_model: (ids,) whether an id is an enrolment model of several utterances.
        parsed: The trials.
        file: The list.

    Raises:
        DataError: If there is such a pair; it names the lines of the first ones.
    """
    is_swapped = (enroll > test) & ~is_model[enroll] & ~is_model[test]
    pairs = np.where(is_swapped, test, enroll) * is_model.size + np.where(is_swapped, enroll, test)
    both = np.intersect1d(pairs[parsed.is_target], pairs[~parsed.is_target])
    if both.size:
        trials = np.flatnonzero(np.isin(pairs, both))
        shown = ", ".join(_contradictions(trials, pairs[trials], parsed, file))
        more = f" and {both.size - SHOWN} more" if both.size > SHOWN else ""
        what = f"{both.size} pairs are target in one line and non-target in another: {shown}{more}"
        raise DataError(what, file.path, "Keep the right line of each pair.")


def _contradictions(
    trials: NDArray[np.int64], pairs: NDArray[np.int64], parsed: ParsedTrials, file: TextFile
) -> Iterator[str]:
    """Yield the first contradictions of a list with two lines of each; the arrays are those of all, (trials,)."""
    lines = parsed.numbers or [number for number, line in enumerate(file.lines, start=1) if line.strip()]
    for place in np.sort(np.unique(pairs, return_index=True)[1])[:SHOWN]:
        alike, one = trials[pairs == pairs[place]], trials[place]
        other = alike[parsed.is_target[alike] != parsed.is_target[one]][0]
        yield f"{parsed.enroll_ids[one]} {parsed.test_ids[one]} (lines {lines[one]} and {lines[other]})"


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
        content = load_json(line)
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
