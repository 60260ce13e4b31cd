"""Trial lists read; their format is told from what is in them."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.text_file import TextFile, delimiter_of, read_text_file, split_table
from mrlspk.data.trials.enrolments import read_enrolments
from mrlspk.data.trials.json_lines import parse_json_lines
from mrlspk.data.trials.lines import KALDI, VOXCELEB, parse_lines, parse_rows
from mrlspk.data.trials.parsed import ParsedTrials
from mrlspk.data.trials.tables import is_header, parse_table
from mrlspk.data.trials.trials import Trials
from mrlspk.errors import DataError

TABLE_SUFFIXES = {".csv", ".tsv"}
SHOWN = 10


def read_trials(path: Path, enrolments: Path | None = None) -> Trials:
    """Return the trials of a file, in the order and as often as they stand there; blank lines are allowed.

    It may be VoxCeleb's (``1 a b``), Kaldi's (``a b target``; 1 and 0 will do where all lines have them there), a table
    with a header (commas, tabs or semicolons; the keys of NIST's evaluations are such), or JSON objects, one a line.

    Args:
        path: The list.
        enrolments: File of enrolment models of several utterances, as `read_enrolments` takes it.

    Raises:
        DataError: If a file cannot be read, holds no trial, has lines of another form (all are found, ten are named),
            calls one pair target here and non-target there, or has models that no trial names.
    """
    file = read_text_file(path, "a trial on each line")
    parsed = _parse(file)
    if not len(parsed.enroll_ids):
        raise DataError(f"{VOXCELEB.expected} a line, got an empty file", path, "Name a list with trials in it.")
    ids = tuple({*parsed.enroll_ids, *parsed.test_ids})
    index = {id_: number for number, id_ in enumerate(ids)}
    sides = (parsed.enroll_ids, parsed.test_ids)
    enroll, test = (np.fromiter(map(index.__getitem__, side), dtype=np.int64, count=len(side)) for side in sides)
    _check_labels(enroll, test, ids, parsed.is_target, path)
    one = np.array(ids, dtype=object)  # string for an utterance, rather than one a trial: a quarter of the memory
    enroll_ids, test_ids = tuple(one[enroll].tolist()), tuple(one[test].tolist())
    models, sha256 = _join_models(parsed.enrolments, set(enroll_ids), path, enrolments)
    about = parsed.columns, parsed.speaker_by_id, sha256
    return Trials(enroll_ids, test_ids, parsed.is_target, str(path), file.sha256, models, *about)


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
    """Return the models that the list names, its own and those of a file, and the SHA-256 of the file.

    Raises:
        DataError: If the file has none of them, or has one otherwise than the list.
    """
    if enrolments is None:
        return own, None
    found = read_enrolments(enrolments)
    given = {model: utterances for model, utterances in found.models.items() if model in enroll_ids}
    if not given:
        example = f"{min(enroll_ids)} in the list, {next(iter(found.models))} in the models"
        what = f"none of its {len(found.models)} models is enrolled in {path}: {example}"
        raise DataError(what, enrolments, "Give the file of the models that belongs to the list.")
    if differing := [model for model in own if given.get(model, own[model]) != own[model]]:
        raise DataError(f"has other utterances of {differing[0]} than {path}", enrolments, "Keep one of the two.")
    return {**own, **given}, found.sha256


def _check_labels(
    enroll: NDArray[np.int64], test: NDArray[np.int64], ids: Sequence[str], is_target: NDArray[np.bool_], path: Path
) -> None:
    """Refuse a list that calls one pair both target and non-target; the sides (trials,) are indices into ``ids``."""
    pairs = enroll * len(ids) + test
    both = np.intersect1d(pairs[is_target], pairs[~is_target])
    if both.size:
        shown = ", ".join(sorted(f"{ids[pair // len(ids)]} {ids[pair % len(ids)]}" for pair in both)[:SHOWN])
        more = f" and {both.size - SHOWN} more" if both.size > SHOWN else ""
        what = f"{both.size} pairs are target in one line and non-target in another: {shown}{more}"
        raise DataError(what, path, "Keep the right line of each pair.")
