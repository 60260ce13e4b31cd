"""Inspect audio files one by one: read their headers, decode some of them, and report problems."""

import os
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from mrlspk.data.audio import SAMPLE_RATE, AudioReader, open_audio
from mrlspk.data.audio.channels import CHANNELS_CANCEL, CHANNELS_DIFFER
from mrlspk.data.audio.levels import OUT_OF_RANGE, peak_of
from mrlspk.data.manifest import Utterance
from mrlspk.data.problems import Problem, error, warning
from mrlspk.errors import DataError
from mrlspk.files import OnProgress

TOO_SHORT_SAMPLES = 256  # at 16 kHz; the network needs more
SILENT_PEAK = 1e-4  # -80 dB of full scale
DURATION_TOLERANCE = 0.05  # share by which a file may be shorter than it states
DAMAGED = "damaged: "
MAX_JOBS = 8
MOST_FILES_PER_TASK = 64
TASKS_PER_JOB = 16  # so that progress is shown of a few long files too
_CHANNELS = {
    CHANNELS_DIFFER: " that differ, such as two parties of a call: averaged unless `channel` names one",
    CHANNELS_CANCEL: " that cancel each other in their average: name one with `channel`",
}


@dataclass(frozen=True)
class AudioNeeds:
    """What a model needs of its audio.

    Attributes:
        model: Its path or name.
        sample_rate: Hz.
        min_samples: The fewest samples at that rate.
    """

    model: str
    sample_rate: int
    min_samples: int


@dataclass(frozen=True)
class Inspection:
    """Total length of the readable files in seconds, and the problems of all files."""

    seconds: float
    problems: tuple[Problem, ...]


def inspect_files(
    utterances: Sequence[Utterance],
    *,
    decoded_ids: Collection[str],
    needs: AudioNeeds | None = None,
    jobs: int | None = None,
    on_progress: OnProgress | None = None,
) -> Inspection:
    """Read all headers and decode some files, on ``jobs`` threads; problems come in the order of ``utterances``.

    Args:
        utterances: The files.
        decoded_ids: Of those that are decoded.
        needs: Of the model that is to embed them.
        jobs: Threads; None: one for each processor, up to eight.
        on_progress: Called with (files done, files).
    """
    total = len(utterances)
    jobs = jobs or min(MAX_JOBS, os.cpu_count() or 1)
    per_task = max(min(total // (jobs * TASKS_PER_JOB), MOST_FILES_PER_TASK), 1)
    parts = [utterances[start : start + per_task] for start in range(0, total, per_task)]
    pool = ThreadPoolExecutor(jobs)
    try:
        futures = [pool.submit(_inspect_some, part, decoded_ids, needs) for part in parts]
        for done, future in enumerate(as_completed(futures), start=1):
            future.result()
            if on_progress:
                on_progress(min(done * per_task, total), total)
    finally:
        pool.shutdown(cancel_futures=True)
    found = [future.result() for future in futures]
    return Inspection(sum(each.seconds for each in found), tuple(p for each in found for p in each.problems))


def _inspect_some(
    utterances: Sequence[Utterance], decoded_ids: Collection[str], needs: AudioNeeds | None
) -> Inspection:
    seconds, problems = 0.0, list[Problem]()
    for utterance in utterances:
        try:
            found = _inspect(utterance, needs, is_decoded=utterance.utterance_id in decoded_ids)
        except DataError as fault:
            problems.append(error("unreadable", utterance.utterance_id, fault.what))
            continue
        seconds += found.seconds
        problems += found.problems
    return Inspection(seconds, tuple(problems))


def _inspect(utterance: Utterance, needs: AudioNeeds | None, *, is_decoded: bool) -> Inspection:
    """Inspect a file; its length is what its header or its packets say.

    Raises:
        DataError: If it cannot be read.
    """
    with open_audio(utterance.source) as reader:
        seconds = reader.seconds
        heard = _decode(reader) if is_decoded and seconds > 0 else None
        problems = list(_check_header(utterance, reader, seconds, needs))
    if heard is not None:
        problems += _check_samples(utterance.utterance_id, heard, seconds)
    return Inspection(seconds, tuple(problems))


@dataclass(frozen=True)
class _Heard:
    """Length in seconds, peak and warnings of decoded audio."""

    seconds: float
    peak: float
    warnings: tuple[str, ...]


def _decode(reader: AudioReader) -> _Heard:
    """Decode block after block: memory does not grow with the length."""
    n_samples, peak = 0, 0.0
    for block in reader.blocks():
        n_samples += block.size
        peak = max(peak, peak_of(block))
    return _Heard(n_samples / SAMPLE_RATE, peak, reader.warnings)


def _check_header(
    utterance: Utterance, reader: AudioReader, seconds: float, needs: AudioNeeds | None
) -> Iterator[Problem]:
    """Check what is known without decoding; of channels more is known after it."""
    utterance_id, rate = utterance.utterance_id, reader.original_rate
    wanted_rate = needs.sample_rate if needs else SAMPLE_RATE
    if seconds * SAMPLE_RATE <= TOO_SHORT_SAMPLES:
        expected = f"{TOO_SHORT_SAMPLES * 1000 // SAMPLE_RATE} ms ({TOO_SHORT_SAMPLES} samples at {SAMPLE_RATE} Hz)"
        yield error("too_short", utterance_id, f"expected more than {expected}, got {seconds * 1000:.1f} ms")
    elif needs and round(seconds * needs.sample_rate) < needs.min_samples:
        least = f"{needs.min_samples * 1000 / needs.sample_rate:.1f} ms, as {needs.model} needs"
        yield error("too_short", utterance_id, f"expected at least {least}, got {seconds * 1000:.1f} ms")
    if rate < wanted_rate:
        yield warning("sample_rate", utterance_id, f"expected {wanted_rate} Hz, got {rate} Hz: resampled")
    if reader.channels > 1 and utterance.source.channel == "mix":
        how = next((text for name, text in _CHANNELS.items() if name in reader.warnings), ": averaged")
        yield warning("channels", utterance_id, f"expected one channel, got {reader.channels}{how}")


def _check_samples(utterance_id: str, heard: _Heard, seconds: float) -> Iterator[Problem]:
    """Check decoded audio; ``seconds`` is its length as the file states it."""
    if heard.peak < SILENT_PEAK and CHANNELS_CANCEL not in heard.warnings:
        yield warning("silent", utterance_id, "expected speech, got silence")
    if OUT_OF_RANGE in heard.warnings:
        yield warning("out_of_range", utterance_id, f"expected samples in [-1, 1], got up to {heard.peak:,.0f}")
    damages = [each for each in heard.warnings if each.startswith(DAMAGED)]
    for damage in damages:
        yield warning("damaged", utterance_id, f"expected whole audio, got it {damage}")
    if heard.seconds < (1 - DURATION_TOLERANCE) * seconds and not damages:
        yield warning("duration", utterance_id, f"expected {seconds:.1f} s of audio, got {heard.seconds:.1f} s")
