"""Parse trial lists of three fields per line: VoxCeleb's and Kaldi's formats."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mrlspk.data.text_tables import BadLine, BadLinesError, TextFile, TextTable
from mrlspk.data.trials.tables import NONTARGET_WORDS, TARGET_WORDS
from mrlspk.data.trials.trials import ParsedTrials
from mrlspk.errors import DataError, shorten

DIGITS = {"1": True, "0": False}
WORDS = dict.fromkeys(TARGET_WORDS, True) | dict.fromkeys(NONTARGET_WORDS, False)


@dataclass(frozen=True, eq=False)
class LineFormat:
    """Order of the three fields of a line, and its labels.

    Args:
        expected: The format, for messages.
        label: Index of the label; the other fields are enrolment and test, in this order.
        is_target: Meaning of each label.
        fix: How to fix a line.
    """

    expected: str
    label: int
    is_target: Mapping[str, bool]
    fix: str

    def fits(self, fields: Sequence[str]) -> bool:
        """Return whether ``fields`` are a line of this format."""
        return len(fields) == 3 and self.is_label(fields[self.label])

    def is_label(self, text: str) -> bool:
        """Return whether ``text`` is a label, in any case."""
        return text.lower().strip() in self.is_target

    def are_labels(self, column: Sequence[str]) -> bool:
        """Return whether all of ``column`` are labels."""
        return all(map(self.is_label, column[:1])) and all(map(self.is_label, set(column)))


VOXCELEB = LineFormat(
    "expected '<0|1> <enroll> <test>'",
    0,
    DIGITS,
    "Write 1 for one speaker or 0 for two, then two paths relative to the audio folder, without spaces.",
)
KALDI = LineFormat(
    "expected '<enroll> <test> <target|nontarget>'",
    2,
    DIGITS | WORDS,
    "Write two utterances without spaces, then target (or 1) for one speaker, nontarget (or 0) for two.",
)


def parse_lines(file: TextFile) -> ParsedTrials:
    """Return the trials in lines of three fields separated by white space.

    Raises:
        DataError: If a line has another format, or the list is ambiguous.
    """
    lines = file.lines
    if set(map(len, map(str.split, lines))) <= {0, 3}:
        fields = file.text.split()  # without a list per line: three times as fast
        columns = fields[0::3], fields[1::3], fields[2::3]
        if not fields:
            return _parse(columns, VOXCELEB)
        if line_format := _format_of(columns, file):
            return _parse(columns, line_format)
    rows = [(number, line.split(), line.strip()) for number, line in enumerate(lines, start=1) if line.strip()]
    raise _bad_lines(rows, file)


def parse_rows(table: TextTable, delimiter: str, file: TextFile) -> ParsedTrials:
    """Return the trials of a table of three columns without a header.

    Raises:
        DataError: If a line has another format, or the list is ambiguous.
    """
    if set(map(len, table.rows)) == {3}:
        columns = table.columns()
        if line_format := _format_of(columns, file):
            return replace(_parse(columns, line_format), numbers=table.numbers)
    rows = zip(table.numbers, table.rows, strict=True)
    raise _bad_lines([(number, cells, delimiter.join(cells)) for number, cells in rows], file)


def _format_of(columns: Sequence[Sequence[str]], file: TextFile) -> LineFormat | None:
    """Return the format of all lines; None if they have no common one."""
    is_voxceleb, is_kaldi = (each.are_labels(columns[each.label]) for each in (VOXCELEB, KALDI))
    if is_voxceleb and is_kaldi and set(columns[KALDI.label]) <= DIGITS.keys():
        what = "the list is ambiguous: lines have digits both first and last"
        raise DataError(what, file.path, "Write target and nontarget as the last field of each line.")
    if is_kaldi:
        return KALDI
    return VOXCELEB if is_voxceleb else None


def _parse(columns: Sequence[Sequence[str]], line_format: LineFormat) -> ParsedTrials:
    enroll_ids, test_ids = (column for index, column in enumerate(columns) if index != line_format.label)
    labels = columns[line_format.label]
    meaning = {label: line_format.is_target[label.lower()] for label in set(labels)}
    is_target = np.fromiter(map(meaning.__getitem__, labels), dtype=bool, count=len(labels))
    return ParsedTrials(enroll_ids, test_ids, is_target)


def _bad_lines(rows: Sequence[tuple[int, Sequence[str], str]], file: TextFile) -> BadLinesError:
    """Return the error that names every line that is not in the format of the majority.

    Args:
        rows: Number, fields and text of each line.
        file: The list.
    """
    n_fitting = {each: sum(each.fits(fields) for _, fields, _ in rows) for each in (VOXCELEB, KALDI)}
    line_format = KALDI if n_fitting[KALDI] > n_fitting[VOXCELEB] else VOXCELEB
    faults = [
        BadLine(f"{file.path}:{number}", f"{line_format.expected}, got {shorten(text)!r}")
        for number, fields, text in rows
        if not line_format.fits(fields)
    ]
    return BadLinesError(faults, str(file.path), len(rows), line_format.fix)
