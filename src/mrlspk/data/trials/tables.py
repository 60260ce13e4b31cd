"""Trials of a table with a header: CSV, TSV, and the keys of the NIST speaker recognition evaluations."""

from collections.abc import Mapping, Sequence

import numpy as np

from mrlspk.data.text_file import TextFile, TextTable, column_name, find_column, shorten
from mrlspk.data.trials import labels
from mrlspk.data.trials.faults import BadLine, BadLinesError
from mrlspk.data.trials.parsed import ParsedTrials
from mrlspk.data.trials.side_speakers import side_speakers
from mrlspk.errors import DataError

ROLES = {
    "enrolment": labels.ENROLL,
    "test": labels.TEST,
    "label": labels.LABEL,
    "enrolment speaker": labels.ENROLL_SPEAKER,
    "test speaker": labels.TEST_SPEAKER,
}
NEEDED = "enrolment", "test", "label"
LABEL_FIX = "Write target, 1 or true for one speaker, nontarget, 0 or false for two."


def is_header(cells: Sequence[str]) -> bool:
    """Return whether ``cells`` are names of columns: two of those for enrolment, test and label are among them."""
    header = list(map(column_name, cells))  # one is not enough: "target" is a label too
    return sum(find_column(header, ROLES[role]) is not None for role in NEEDED) > 1


def parse_table(table: TextTable, file: TextFile) -> ParsedTrials:
    """Return the trials of a table whose first row names the columns.

    Raises:
        DataError: If a needed column is absent, a row has another number of cells, lacks an utterance or a label, or if
            an utterance has two speakers.
    """
    header = list(map(column_name, table.rows[0]))
    places = _find_roles(header, f"{file.path}:{table.numbers[0]}")
    trials = TextTable(table.rows[1:], table.numbers[1:])
    if set(map(len, trials.rows)) - {len(header)}:
        raise _bad_rows(trials, len(header), places, file)
    columns = trials.columns() or [()] * len(header)
    enroll_ids, test_ids, label = (columns[places[role]] for role in NEEDED)
    meaning = {text: labels.parse_label(text) for text in set(label)}
    if None in meaning.values() or not (all(enroll_ids) and all(test_ids)):
        raise _bad_rows(trials, len(header), places, file)
    named = [
        (columns[places[f"{side} speaker"]], ids)
        for side, ids in zip(NEEDED[:2], (enroll_ids, test_ids), strict=True)
        if f"{side} speaker" in places
    ]
    return ParsedTrials(
        enroll_ids,
        test_ids,
        np.fromiter(map(meaning.__getitem__, label), dtype=bool, count=len(label)),
        columns={name: columns[place] for place, name in enumerate(header) if place not in places.values()},
        speaker_by_id=side_speakers([(ids, speakers) for speakers, ids in named], file.path),
    )


def _find_roles(header: list[str], where: str) -> dict[str, int]:
    """Return the index of the column of each role that the table has.

    Raises:
        DataError: If one that is needed is absent, or two columns have one name.
    """
    if repeated := {name for name in header if name and header.count(name) > 1}:
        raise DataError(f"two columns are named {min(repeated)}", where, "Rename one of them.")
    found = {role: place for role, names in ROLES.items() if (place := find_column(header, names)) is not None}
    absent = [role for role in NEEDED if role not in found]
    if absent:
        fix = "; ".join(f"name a column for the {role} {', '.join(ROLES[role][:3])} or the like" for role in absent)
        got = shorten(", ".join(header))
        what = f"expected columns for enrolment, test and label, got {got}"
        raise DataError(
            what,
            where,
            f"{fix[0].upper()}{fix[1:]}."
            + ("" if "label" not in absent else " A list without labels has no error rate."),
        )
    return found


def _bad_rows(trials: TextTable, n_cells: int, places: Mapping[str, int], file: TextFile) -> BadLinesError:
    """Return the error that names every row at fault."""
    faults = [
        BadLine(f"{file.path}:{number}", what)
        for number, cells in zip(trials.numbers, trials.rows, strict=True)
        if (what := _fault_of(cells, n_cells, places))
    ]
    return BadLinesError(faults, str(file.path), len(trials.rows), LABEL_FIX)


def _fault_of(cells: Sequence[str], n_cells: int, places: Mapping[str, int]) -> str | None:
    if len(cells) != n_cells:
        return f"expected {n_cells} cells, as in the first line, got {len(cells)}"
    for role in ("enrolment", "test"):
        if not cells[places[role]].strip():
            return f"expected the {role} utterance, got an empty cell"
    if labels.parse_label(cells[places["label"]]) is None:
        return f"expected target or nontarget, got {shorten(cells[places['label']])!r}"
    return None
