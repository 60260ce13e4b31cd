"""Trials of three fields a line: VoxCeleb's, Kaldi's, and Kaldi's with digits."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from mrlspk.data.text_file import Row, TextFile, shorten
from mrlspk.data.trials.faults import BadLine, BadLinesError
from mrlspk.data.trials.labels import NONTARGET_WORDS, TARGET_WORDS
from mrlspk.data.trials.parsed import ParsedTrials
from mrlspk.errors import DataError

DIGITS = {"1": True, "0": False}
WORDS = dict.fromkeys(TARGET_WORDS, True) | dict.fromkeys(NONTARGET_WORDS, False)


@dataclass(frozen=True, eq=False)
class LineFormat:
    """Where the three fields of a line stand, and the labels that it may have.

    Args:
        expected: The form, as messages show it.
        label: Index of the label; the other fields are enrolment and test, in this order.
        is_target: What each label means.
        fix: How to mend a line.
    """

    expected: str
    label: int
    is_target: Mapping[str, bool]
    fix: str

    def fits(self, fields: Sequence[str]) -> bool:
        """Return whether ``fields`` are such a line."""
        return len(fields) == 3 and fields[self.label].lower() in self.is_target


VOXCELEB = LineFormat(
    "<0|1> <enroll> <test>",
    0,
    DIGITS,
    "Write 1 for one speaker or 0 for two, then two paths relative to the audio folder, without spaces.",
)
KALDI = LineFormat(
    "<enroll> <test> <target|nontarget>",
    2,
    DIGITS | WORDS,
    "Write two utterances without spaces, then target (or 1) for one speaker, nontarget (or 0) for two.",
)


def parse_lines(file: TextFile) -> ParsedTrials:
    """Return the trials of lines of three fields with white space between.

    Raises:
        DataError: If a line has another form, or all of them could be read two ways.
    """
    lines = file.text.splitlines()
    if set(map(len, map(str.split, lines))) <= {0, 3}:
        fields = file.text.split()  # no list a line is kept: three times as fast
        columns = fields[0::3], fields[1::3], fields[2::3]
        if line_format := _format_of(columns, file):
            return _parse(columns, line_format)
    numbered = [Row(number, line.split()) for number, line in enumerate(lines, start=1)]
    rows = [row for row in numbered if row.cells]
    raise _bad_lines(rows, {row.number: lines[row.number - 1].strip() for row in rows}, file)


def parse_rows(rows: Sequence[Row], delimiter: str, file: TextFile) -> ParsedTrials:
    """Return the trials of a table of three columns without a header.

    Raises:
        DataError: If a line has another form, or all of them could be read two ways.
    """
    if {len(row.cells) for row in rows} == {3}:
        first, second, third = zip(*(row.cells for row in rows), strict=True)
        if line_format := _format_of((first, second, third), file):
            return _parse((first, second, third), line_format)
    raise _bad_lines(rows, {row.number: delimiter.join(row.cells) for row in rows}, file)


def _format_of(columns: tuple[Sequence[str], ...], file: TextFile) -> LineFormat | None:
    """Return the format that all lines have; None where there is none."""
    labels = [{label.lower() for label in set(columns[each.label])} for each in (VOXCELEB, KALDI)]
    is_voxceleb, is_kaldi = labels[0] <= VOXCELEB.is_target.keys(), labels[1] <= KALDI.is_target.keys()
    if is_voxceleb and is_kaldi and labels[1] <= DIGITS.keys():
        what = f"every line can be read as '{VOXCELEB.expected}' and as '{KALDI.expected}'"
        raise DataError(what, file.path, "Write target and nontarget as the last field of each line.")
    if is_kaldi:
        return KALDI
    return VOXCELEB if is_voxceleb else None


def _parse(columns: tuple[Sequence[str], ...], line_format: LineFormat) -> ParsedTrials:
    enroll_ids, test_ids = (column for index, column in enumerate(columns) if index != line_format.label)
    labels = columns[line_format.label]
    meaning = {label: line_format.is_target[label.lower()] for label in set(labels)}
    is_target = np.fromiter(map(meaning.__getitem__, labels), dtype=bool, count=len(labels))
    return ParsedTrials(enroll_ids, test_ids, is_target)


def _bad_lines(rows: Sequence[Row], shown: Mapping[int, str], file: TextFile) -> BadLinesError:
    """Return the error that names every line that is not of the format that most lines have."""
    n_fitting = {each: sum(each.fits(row.cells) for row in rows) for each in (VOXCELEB, KALDI)}
    line_format = KALDI if n_fitting[KALDI] > n_fitting[VOXCELEB] else VOXCELEB
    faults = [
        BadLine(f"{file.path}:{row.number}", f"expected '{line_format.expected}', got {shorten(shown[row.number])!r}")
        for row in rows
        if not line_format.fits(row.cells)
    ]
    return BadLinesError(faults, str(file.path), len(rows), line_format.fix)
