"""Parse trial lists that are tables with a header: CSV, TSV and the keys of the NIST evaluations."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np

from mrlspk.data.text_tables import BadLine, BadLinesError, TextFile, TextTable, column_name, find_column
from mrlspk.data.trials.trials import ParsedTrials
from mrlspk.errors import DataError, shorten

TARGET_WORDS = frozenset({"target", "tgt", "tar"})
NONTARGET_WORDS = frozenset({"nontarget", "non-target", "non_target", "imposter", "impostor", "imp", "non"})
TRUE_VALUES = TARGET_WORDS | {"1", "1.0", "true", "yes"}
FALSE_VALUES = NONTARGET_WORDS | {"0", "0.0", "false", "no"}
# By role, in order of preference: if a table has two of them, the first one counts and the other is just a column.
ENROLL = (
    *("enroll", "enrol", "enroll_id", "enrol_id", "enrollment", "enrolment", "enrollment_id", "enrolment_id"),
    *("enroll_path", "enroll_utterance", "enroll_wav", "enroll_file", "modelid", "model_id", "model"),
    *("utterance1", "utt1", "file1", "path1", "wav1", "audio1", "id1", "utterance_1", "utt_1", "file_1", "path_1"),
)
TEST = (
    *("test", "test_id", "test_path", "test_utterance", "test_wav", "test_file"),
    *("segmentid", "segment_id", "segment"),
    *("utterance2", "utt2", "file2", "path2", "wav2", "audio2", "id2", "utterance_2", "utt_2", "file_2", "path_2"),
)
LABEL = (
    *("is_target", "target", "targettype", "target_type", "trial_type", "label", "key"),
    *("same_speaker", "same", "is_same", "match"),
)
ENROLL_SPEAKER = (
    *("enroll_speaker", "enrol_speaker", "enroll_speaker_id", "enroll_spk", "speaker1", "spk1", "speaker_1", "spk_1"),
)
TEST_SPEAKER = ("test_speaker", "test_speaker_id", "test_spk", "speaker2", "spk2", "speaker_2", "spk_2")
MODEL = ("modelid", "model_id", "model", "enroll", "enrol", "enroll_id", "enrol_id", "enrollment", "enrolment")
UTTERANCE = (
    *("utterances", "utterance", "utterance_id", "utterance_ids", "segmentid", "segment_id", "segment", "segments"),
    *("utt", "utt_id", "file", "files", "path", "paths", "wav"),
)
ROLES = {
    "enrolment": ENROLL,
    "test": TEST,
    "label": LABEL,
    "enrolment speaker": ENROLL_SPEAKER,
    "test speaker": TEST_SPEAKER,
}
NEEDED = "enrolment", "test", "label"
LABEL_FIX = "Write target, 1 or true for one speaker, nontarget, 0 or false for two."


def is_header(cells: Sequence[str]) -> bool:
    """Return whether ``cells`` are column names: at least two for enrolment, test and label are among them."""
    header = list(map(column_name, cells))  # one is not enough: "target" is a label too
    return sum(find_column(header, ROLES[role]) is not None for role in NEEDED) > 1


def parse_table(table: TextTable, file: TextFile) -> ParsedTrials:
    """Return the trials of a table whose first row names the columns.

    Raises:
        DataError: If a required column is absent, a row has another number of cells or lacks an utterance or a label,
            or an utterance has two speakers.
    """
    header = list(map(column_name, table.rows[0]))
    places = _find_roles(header, f"{file.path}:{table.numbers[0]}")
    trials = TextTable(table.rows[1:], table.numbers[1:])
    if set(map(len, trials.rows)) - {len(header)}:
        raise _bad_rows(trials, len(header), places, file)
    columns = trials.columns() or [()] * len(header)
    enroll_ids, test_ids, label = (columns[places[role]] for role in NEEDED)
    meaning = {text: parse_label(text) for text in set(label)}
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
        numbers=trials.numbers,
    )


def parse_label(text: str) -> bool | None:
    """Return whether ``text`` means target; None if it means neither target nor non-target."""
    word = text.strip().lower()
    if word in TRUE_VALUES:
        return True
    return False if word in FALSE_VALUES else None


def side_speakers(sides: Iterable[tuple[Sequence[str], Sequence[str]]], path: Path) -> dict[str, str]:
    """Return the speaker of each id as the list names it; empty names are ignored.

    Args:
        sides: Ids and their speakers, in parallel.
        path: The list, for messages.

    Raises:
        DataError: If an id has two speakers.
    """
    speaker_by_id: dict[str, str] = {}
    for ids, speakers in sides:
        for id_, speaker in set(zip(ids, speakers, strict=True)) if any(speakers) else ():
            if speaker and speaker_by_id.setdefault(id_, speaker) != speaker:
                both = " and ".join(sorted({speaker, speaker_by_id[id_]}))
                raise DataError(f"{id_} has two speakers, {both}", path, "Give each utterance one speaker.")
    return speaker_by_id


def _find_roles(header: list[str], where: str) -> dict[str, int]:
    """Return the index of the column of each role in the table.

    Raises:
        DataError: If a required column is absent, or two columns have the same name.
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
    """Return the error that names every bad row."""
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
    if parse_label(cells[places["label"]]) is None:
        return f"expected target or nontarget, got {shorten(cells[places['label']])!r}"
    return None
