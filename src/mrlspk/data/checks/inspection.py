"""Inspect audio files one by one, in processes: read their headers, decode some of them, and report problems."""

import hashlib
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.audio.channels import check_channel
from mrlspk.data.audio.headers import AudioHeader, read_header
from mrlspk.data.audio.open_file import Bytes, Descriptor, OpenFile
from mrlspk.data.audio.source import AudioSource
from mrlspk.data.checks.contents import Contents, Format
from mrlspk.data.checks.fingerprint import N_VALUES
from mrlspk.data.checks.headers import (
    AudioNeeds,
    check_channels,
    check_decoded,
    check_length,
    check_rate,
    check_segment,
)
from mrlspk.data.checks.hearing import check_heard, hear
from mrlspk.data.checks.same_audio import Traces
from mrlspk.data.manifest import Utterance
from mrlspk.data.problems import Problem, error
from mrlspk.data.processes import default_jobs, in_processes
from mrlspk.errors import DataError
from mrlspk.files import OnProgress
from mrlspk.reading import reading

MOST_FILES_PER_TASK = 64
TASKS_PER_JOB = 16  # so that progress is shown of a few long files too
FILES_PER_JOB = 200  # to start a process takes as long as to decode so many
MPEG4_SUFFIXES = frozenset({".m4a", ".mp4"})  # whose decoder does not know the length that the header states
DIGEST_BYTES = 4096  # from the middle of a file


class Task(NamedTuple):
    """Some files to inspect, the place of the first in the corpus, and which of them to decode."""

    start: int
    utterances: Sequence[Utterance]
    is_decoded: NDArray[np.bool_]
    needs: AudioNeeds | None


class Found(NamedTuple):
    """What is kept of some files: their length in all, their problems, and a value of each file."""

    start: int
    seconds: float
    problems: list[Problem]
    rates: NDArray[np.int32]
    traces: Traces
    contents: Contents
    n_decoded: int


@dataclass(frozen=True)
class Inspection:
    """What a pass over all files found.

    Attributes:
        seconds: Length of the readable files.
        problems: Of all files, in their order.
        rates: Sample rate of each file in Hz; 0 if it cannot be read.
        traces: Of each file, to find those that sound the same.
        contents: Lengths and formats.
        n_decoded: Number of files that were decoded.
    """

    seconds: float
    problems: tuple[Problem, ...]
    rates: NDArray[np.int32]
    traces: Traces
    contents: Contents
    n_decoded: int


def inspect_files(
    utterances: Sequence[Utterance],
    *,
    is_decoded: NDArray[np.bool_],
    needs: AudioNeeds | None = None,
    jobs: int | None = None,
    on_progress: OnProgress | None = None,
) -> Inspection:
    """Read all headers and decode some files; a file takes some 80 bytes of memory.

    Args:
        utterances: The files.
        is_decoded: Of each, whether it is decoded.
        needs: Of the model that is to embed them.
        jobs: Processes; None: one for each core, up to eight. Few files are read by this process.
        on_progress: Called with (files done, files).
    """
    total = len(utterances)
    jobs = min(jobs or default_jobs(), 1 + total // FILES_PER_JOB)
    per_task = max(min(total // (jobs * TASKS_PER_JOB), MOST_FILES_PER_TASK), 1)
    places = (slice(start, start + per_task) for start in range(0, total, per_task))
    tasks = (Task(each.start, tuple(utterances[each]), is_decoded[each], needs) for each in places)
    rates, traces, seconds, n_decoded = np.zeros(total, np.int32), empty_traces(total), 0.0, 0
    problems: dict[int, list[Problem]] = {}
    contents = list[Contents]()
    for done, found in enumerate(in_processes(inspect_some, tasks, jobs=jobs), start=1):
        place = slice(found.start, found.start + per_task)
        rates[place], seconds, n_decoded = found.rates, seconds + found.seconds, n_decoded + found.n_decoded
        traces.put(place, found.traces)
        contents.append(found.contents)
        if found.problems:
            problems[found.start] = found.problems
        if on_progress:
            on_progress(min(done * per_task, total), total)
    in_order = tuple(problem for start in sorted(problems) for problem in problems[start])
    return Inspection(seconds, in_order, rates, traces, Contents.joined(contents), n_decoded)


def empty_traces(n_files: int) -> Traces:
    """Return the traces of files that nothing is known about."""
    prints = np.full((n_files, N_VALUES), np.nan, np.float32)
    return Traces(np.zeros(n_files, np.int64), np.full(n_files, np.nan, np.float32), prints)


def inspect_some(task: Task) -> Found:
    """Inspect the files of a task."""
    n_files = len(task.utterances)
    rates, traces, total, problems = np.zeros(n_files, np.int32), empty_traces(n_files), 0.0, list[Problem]()
    lengths, formats, n_decoded = list[float](), Counter[Format](), 0
    for index, utterance in enumerate(task.utterances):
        try:
            found = _inspect(utterance, task.needs, is_decoded=bool(task.is_decoded[index]))
        except DataError as fault:
            problems.append(_unread(utterance, fault))
            continue
        n_decoded += bool(task.is_decoded[index])
        total += found.seconds
        problems += found.problems
        rates[index] = found.format.sample_rate
        lengths.append(found.seconds)
        formats[found.format] += 1
        traces.digests[index] = found.digest
        if found.print is not None:
            traces.seconds[index], traces.prints[index] = found.seconds, found.print
    contents = Contents(np.array(lengths, np.float32), formats)
    return Found(task.start, total, problems, rates, traces, contents, n_decoded)


def _unread(utterance: Utterance, fault: DataError) -> Problem:
    path = utterance.source.path
    if path is not None and path.is_symlink() and not path.exists():
        return error("broken_link", utterance.utterance_id, fault.what)
    return error("unreadable", utterance.utterance_id, fault.what)


class _One(NamedTuple):
    """What is found out about one file."""

    seconds: float
    format: Format
    digest: int
    print: NDArray[np.float32] | None
    problems: list[Problem]


def _inspect(utterance: Utterance, needs: AudioNeeds | None, *, is_decoded: bool) -> _One:
    """Inspect a file.

    Raises:
        DataError: If it cannot be read.
    """
    id_, source = utterance.utterance_id, utterance.source
    heard, is_part = None, bool(source.start_seconds or source.seconds is not None)
    header = read_header(source, counts=not is_decoded) if is_part or not is_decoded else None
    if header and (problems := list(check_segment(utterance, header))):
        stated = Format(header.codec, header.sample_rate, header.channels)
        return _One(_seconds_of(source, header), stated, 0, None, problems)
    if header is None or is_decoded:
        exact = _seconds_of(source, read_header(source)) if source.suffix in MPEG4_SUFFIXES else None
        heard = hear(source)
        seconds, stated = heard.seconds, Format(heard.codec, heard.sample_rate, heard.channels)
    else:
        check_channel(source.channel, header.channels, str(source))
        seconds, stated = _seconds_of(source, header), Format(header.codec, header.sample_rate, header.channels)
    problems = list(check_length(id_, seconds, needs))
    if heard and not problems:
        problems += check_heard(id_, heard, source.size())
        problems += check_decoded(id_, exact or heard.stated_seconds, seconds)
    problems += check_rate(id_, stated.sample_rate, needs)
    problems += check_channels(utterance, stated.channels, heard.warnings if heard else ())
    is_sound = not (heard and heard.levels.is_silent) and all(each.severity == "warning" for each in problems)
    digest, trace = (_digest(source), heard.print if heard else None) if is_sound else (0, None)
    return _One(seconds, stated, digest, trace, problems)


def _seconds_of(source: AudioSource, header: AudioHeader) -> float:
    """Return the exact length of a source, which may be a part of the recording; 0 if the header does not know it."""
    left = max((header.seconds or 0.0) - source.start_seconds, 0.0) if header.is_exact else 0.0
    return left if source.seconds is None else min(source.seconds, left)


def _digest(source: AudioSource) -> int:
    """Return a number for the size and some bytes of a whole recording; 0 for a part of one.

    Raises:
        DataError: If it cannot be read.
    """
    if source.start_seconds or source.seconds is not None:
        return 0
    path = source.path
    with reading(str(source), DataError):
        if path is None:
            with source.open() as file:
                return _digest_of(OpenFile(file, source.size()))
        descriptor = os.open(path, os.O_RDONLY)
        try:
            return _digest_of(Descriptor(descriptor, os.fstat(descriptor).st_size))
        finally:
            os.close(descriptor)


def _digest_of(file: Bytes) -> int:
    content = file.at(max((file.size - DIGEST_BYTES) // 2, 0), DIGEST_BYTES)
    digest = hashlib.blake2b(content, digest_size=8, key=file.size.to_bytes(8)).digest()
    return int.from_bytes(digest, signed=True) or 1
