"""Inspect audio files one by one: read their headers, decode some of them, and report problems."""

import os
from collections.abc import Collection, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass

from torch import Tensor

from mrlspk.data.audio import SAMPLE_RATE, AudioInfo, load_audio, probe_audio
from mrlspk.data.manifest import Utterance
from mrlspk.data.problems import Problem, error, warning
from mrlspk.errors import DataError
from mrlspk.files import OnProgress

TOO_SHORT_SAMPLES = 256  # at 16 kHz; the network needs more
SILENT_PEAK = 1e-4  # -80 dB of full scale
DURATION_TOLERANCE = 0.1  # share by which a lossy file's header may be wrong
MAX_JOBS = 8
FILES_PER_TASK = 64


@dataclass(frozen=True)
class Inspection:
    """Total length of the readable files in seconds, and the problems of all files."""

    seconds: float
    problems: tuple[Problem, ...]


def inspect_files(
    utterances: Sequence[Utterance],
    *,
    decoded_ids: Collection[str],
    jobs: int | None = None,
    on_progress: OnProgress | None = None,
) -> Inspection:
    """Read the headers of all files and decode some, on ``jobs`` threads; problems come in the order of ``utterances``.

    Raises:
        MissingDependencyError: If a format needs FFmpeg's libraries and they are absent.
    """
    total = len(utterances)
    parts = [utterances[start : start + FILES_PER_TASK] for start in range(0, total, FILES_PER_TASK)]
    pool = ThreadPoolExecutor(jobs or min(MAX_JOBS, os.cpu_count() or 1))
    try:
        futures = [pool.submit(_inspect_some, part, decoded_ids) for part in parts]
        for done, future in enumerate(as_completed(futures), start=1):
            future.result()
            if on_progress:
                on_progress(min(done * FILES_PER_TASK, total), total)
    finally:
        pool.shutdown(cancel_futures=True)
    found = [future.result() for future in futures]
    return Inspection(sum(each.seconds for each in found), tuple(p for each in found for p in each.problems))


def _inspect_some(utterances: Sequence[Utterance], decoded_ids: Collection[str]) -> Inspection:
    seconds, problems = 0.0, list[Problem]()
    for utterance in utterances:
        utterance_id, source = utterance.utterance_id, utterance.source
        try:
            info = probe_audio(source)
            found = [*_check_header(utterance_id, info), *_check_channels(utterance, info)]
            if utterance_id in decoded_ids and info.seconds > 0 and not any(each.kind == "channel" for each in found):
                found += _check_samples(utterance_id, load_audio(source), info)
        except DataError as fault:
            problems.append(error("unreadable", utterance_id, fault.what))
            continue
        seconds += info.seconds
        problems += found
    return Inspection(seconds, tuple(problems))


def _check_header(utterance_id: str, info: AudioInfo) -> Iterator[Problem]:
    if info.seconds * SAMPLE_RATE <= TOO_SHORT_SAMPLES:
        found = f"{info.seconds * 1000:.1f} ms"
        expected = f"{TOO_SHORT_SAMPLES * 1000 // SAMPLE_RATE} ms ({TOO_SHORT_SAMPLES} samples at {SAMPLE_RATE} Hz)"
        yield error("too_short", utterance_id, f"expected more than {expected}, got {found}")
    if info.sample_rate < SAMPLE_RATE:
        yield warning("sample_rate", utterance_id, f"expected {SAMPLE_RATE} Hz, got {info.sample_rate} Hz: resampled")


def _check_channels(utterance: Utterance, info: AudioInfo) -> Iterator[Problem]:
    channel = utterance.source.channel
    if channel == "mix" and info.channels > 1:
        yield warning("channels", utterance.utterance_id, f"expected one channel, got {info.channels}: averaged")
    elif channel != "mix" and channel >= info.channels:
        yield error("channel", utterance.utterance_id, f"expected channel {channel}, got {info.channels} channels")


def _check_samples(utterance_id: str, waveform: Tensor, info: AudioInfo) -> Iterator[Problem]:
    """Check a decoded waveform (samples,)."""
    if waveform.abs().max() < SILENT_PEAK:
        yield warning("silent", utterance_id, "expected speech, got silence")
    seconds = waveform.numel() / SAMPLE_RATE
    if seconds < (1 - DURATION_TOLERANCE) * info.seconds:
        yield warning("duration", utterance_id, f"expected {info.seconds:.1f} s of audio, got {seconds:.1f} s")
