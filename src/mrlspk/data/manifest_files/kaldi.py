"""Read and write Kaldi data directories: ``wav.scp``, ``utt2spk`` and ``segments``.

Their form: https://kaldi-asr.org/doc/data_prep.html
"""

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from itertools import groupby
from pathlib import Path

from mrlspk.data.audio.source import FileSource, RangeSource
from mrlspk.data.manifest import Utterance
from mrlspk.data.manifest_files.rows import ManifestRow
from mrlspk.data.manifest_files.segments import find_base, plain_rows
from mrlspk.data.manifest_files.wav_scp import read_wav_scp
from mrlspk.data.text_tables import BadLine, BadLinesError, read_text_file
from mrlspk.errors import DataError, UsageError, shorten
from mrlspk.reading import is_file

RECORDINGS, SPEAKERS, SEGMENTS, LENGTHS, GROUPS = "wav.scp", "utt2spk", "segments", "utt2dur", "spk2utt"
FIX = "See https://kaldi-asr.org/doc/data_prep.html for the form of the file."

log = logging.getLogger("mrlspk.data")

type _Segment = tuple[str, float, float | None]  # recording, start, end


def kaldi_folder(path: Path) -> Path | None:
    """Return the data directory that ``path``, or its ``wav.scp``, is; None if it is none.

    Raises:
        DataError: If that cannot be found out.
    """
    folder = path.parent if path.name == RECORDINGS else path
    return folder if all(is_file(folder / name, DataError) for name in (RECORDINGS, SPEAKERS)) else None


def read_kaldi(folder: Path) -> Iterator[Utterance]:
    """Yield the utterances; with ``segments`` a recording is a session, else the folder of the audio file is.

    Raises:
        DataError: If a file or a line cannot be read, or an utterance has no speaker, or no recording.
    """
    recordings = {name: path for name, (path, _) in read_wav_scp(folder / RECORDINGS).items()}
    speakers = _read_speakers(folder / SPEAKERS)
    if not recordings:
        raise DataError("names no audio", folder / RECORDINGS, FIX)
    base = find_base(str(next(iter(recordings.values()))), folder / RECORDINGS)
    has_segments = is_file(folder / SEGMENTS, DataError)
    segments = _read_segments(folder / SEGMENTS, recordings) if has_segments else None
    if unknown := (recordings if segments is None else segments).keys() - speakers:
        table = folder / (RECORDINGS if segments is None else SEGMENTS)
        fix = f"Add its speaker, or remove it from {table.name}; Kaldi's utils/fix_data_dir.sh does that."
        raise DataError(f"expected {min(unknown)} of {table.name} too", folder / SPEAKERS, fix)
    for utterance_id, speaker in speakers.items():
        recording, start, end = (segments or {}).get(utterance_id, (utterance_id, 0.0, None))
        if recording not in recordings:
            missing = SEGMENTS if segments is not None else RECORDINGS
            fix = f"Add {utterance_id} to {folder / missing}, or remove it from {SPEAKERS}."
            raise DataError(f"expected {utterance_id} in {missing} too", folder / SPEAKERS, fix)
        path = Path(base, recordings[recording])
        source = FileSource(str(path))
        if segments is None:
            yield Utterance(utterance_id, speaker, str(path.parent), source)
        else:
            seconds = None if end is None else end - start
            yield Utterance(utterance_id, speaker, recording, RangeSource(source, start, seconds))


def _read_speakers(path: Path) -> dict[str, str]:
    speakers: dict[str, str] = {}
    faults: list[BadLine] = []
    lines = read_text_file(path, "'<utterance> <speaker>' a line").lines
    for number, line in enumerate(lines, start=1):
        fields = line.split()
        if not fields:
            continue
        if len(fields) != 2 or fields[0] in speakers:
            expected = "expected '<utterance> <speaker>'" if len(fields) != 2 else "expected each utterance once"
            faults.append(BadLine(f"{path}:{number}", f"{expected}, got {shorten(line.strip())!r}"))
            continue
        speakers[fields[0]] = fields[1]
    if faults:
        raise BadLinesError(faults, str(path), len(lines), FIX)
    return speakers


def _read_segments(path: Path, recordings: Mapping[str, Path]) -> dict[str, _Segment]:
    segments: dict[str, _Segment] = {}
    faults: list[BadLine] = []
    lines = read_text_file(path, "'<utterance> <recording> <start> <end>' a line").lines
    for number, line in enumerate(lines, start=1):
        if not (fields := line.split()):
            continue
        try:
            if fields[0] in segments:
                raise ValueError("expected each utterance once")
            segments[fields[0]] = _segment(fields, recordings)
        except ValueError as fault:
            faults.append(BadLine(f"{path}:{number}", f"{fault}, got {shorten(line.strip())!r}"))
    if faults:
        raise BadLinesError(faults, str(path), len(lines), FIX)
    return segments


def _segment(fields: list[str], recordings: Mapping[str, Path]) -> _Segment:
    """Return a segment; an end of -1 is that of the recording, as in Kaldi.

    Raises:
        ValueError: If it is of another form; the text says what is expected.
    """
    expected = "expected '<utterance> <recording> <start> <end>' in seconds"
    if len(fields) not in {4, 5}:  # the fifth is a channel, which Kaldi reads as a number
        raise ValueError(expected)
    if len(fields) == 5 and fields[4] != "0":
        raise ValueError("expected recordings of one channel")
    if fields[1] not in recordings:
        raise ValueError(f"expected a recording of {RECORDINGS}")
    try:
        start, end = float(fields[2]), float(fields[3])
    except ValueError as error:
        raise ValueError(expected) from error
    if end == -1 and 0 <= start < float("inf"):
        return fields[1], start, None
    if not 0 <= start < end < float("inf"):
        raise ValueError(expected)
    return fields[1], start, end


def write_kaldi(folder: Path, rows: Iterator[ManifestRow]) -> None:
    """Write a data directory into an empty folder, its lines in the order of ``LC_ALL=C``; paths are absolute.

    With a segment among the rows there is ``segments``, and the recordings are named by their paths.

    Raises:
        UsageError: If a row is a channel or a member of an archive, or has white space in its id, speaker or path.
    """
    listed = sorted(map(_checked, plain_rows(rows, "Kaldi")), key=lambda row: row.id)
    if not all(row.id.startswith(row.speaker) for row in listed):
        log.warning("%s: Kaldi's validate_data_dir.sh expects ids that begin with their speaker", folder)
    pairs = sorted((row.speaker, row.id) for row in listed)
    by_speaker = groupby(pairs, key=lambda pair: pair[0])
    _write(folder / SPEAKERS, ((row.id, row.speaker) for row in listed))
    _write(folder / GROUPS, ((speaker, *(id_ for _, id_ in group)) for speaker, group in by_speaker))
    _write(folder / LENGTHS, ((row.id, f"{row.seconds or 0:.6f}") for row in listed))
    if all(row.start is None and row.duration is None for row in listed):
        _write(folder / RECORDINGS, ((row.id, row.path) for row in listed))
        return
    names = _recording_names({row.path for row in listed})
    _write(folder / RECORDINGS, sorted((name, path) for path, name in names.items()))
    _write(folder / SEGMENTS, (_segment_line(row, names[row.path]) for row in listed))


def _recording_names(paths: set[str]) -> dict[str, str]:
    """Return a name for each path: what follows the folder that all are in."""
    common = os.path.commonpath([os.path.dirname(path) for path in paths])  # noqa: PTH120
    return {path: path[len(common) :].lstrip("/") for path in paths}


def _checked(row: ManifestRow) -> ManifestRow:
    for value in (row.id, row.speaker, row.path):
        if value.split() != [value]:
            fix = "Rename it, or write another format."
            raise UsageError(f"white space in {value!r} separates Kaldi's fields", fix=fix, parameter="format")
    return row


def _segment_line(row: ManifestRow, recording: str) -> tuple[str, ...]:
    start = row.start or 0.0
    return row.id, recording, f"{start:.6f}", f"{start + (row.seconds or 0):.6f}"


def _write(path: Path, lines: Iterable[tuple[str, ...]]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.writelines(" ".join(fields) + "\n" for fields in lines)
