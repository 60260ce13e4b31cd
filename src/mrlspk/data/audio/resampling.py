"""Resample waveforms with soxr: whole ones, and streams from any sample on."""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import soxr
from numpy.typing import NDArray

from mrlspk.errors import DataError

LOWEST_RATE, HIGHEST_RATE = 1_000, 1_000_000
QUALITY = "HQ"  # 20 bits; -125 dB of leakage
FILTER_SAMPLES = 256  # of the lower rate, more than soxr's filter takes on either side


def check_rate(sample_rate: int, where: str | None = None) -> None:
    """Refuse a sample rate that no recording of speech has.

    Raises:
        DataError: If it is below 1,000 or above 1,000,000 Hz.
    """
    if not LOWEST_RATE <= sample_rate <= HIGHEST_RATE:
        what = f"expected a sample rate of {LOWEST_RATE} to {HIGHEST_RATE} Hz, got {sample_rate}"
        raise DataError(what, where, "Correct the header, or record it again.")


def resample(waveform: NDArray[np.float32], rate: int, target_rate: int) -> NDArray[np.float32]:
    """Return ``waveform`` (samples,) of ``rate`` Hz at ``target_rate`` Hz.

    Raises:
        DataError: If a rate is out of bounds.
    """
    return np.concatenate([np.empty(0, np.float32), *resample_blocks([waveform], rate, target_rate)])


def resample_blocks(
    blocks: Iterable[NDArray[np.float32]], rate: int, target_rate: int
) -> Iterator[NDArray[np.float32]]:
    """Yield blocks (samples,) of one waveform at ``target_rate`` Hz, none of them empty.

    Raises:
        DataError: If a rate is out of bounds.
    """
    if rate == target_rate:
        yield from blocks
        return
    check_rate(rate)
    check_rate(target_rate)
    stream = soxr.ResampleStream(rate, target_rate, 1, dtype="float32", quality=QUALITY)
    for block in blocks:
        if len(resampled := stream.resample_chunk(block)):
            yield resampled
    if len(resampled := stream.resample_chunk(np.empty(0, np.float32), last=True)):
        yield resampled


@dataclass(frozen=True)
class Span:
    """A range of a waveform that is to be resampled, and what has to be decoded for it.

    Attributes:
        start: First frame to decode; it falls together with a resampled sample.
        stop: Frame behind the last to decode; None: to the end.
        n_skipped: Resampled samples in front of the range.
        n_samples: Resampled samples of the range; None: to the end.
    """

    start: int
    stop: int | None
    n_skipped: int
    n_samples: int | None


def find_span(start: int, n_samples: int | None, rate: int, target_rate: int) -> Span:
    """Return what to decode at ``rate`` for ``n_samples`` from ``start`` on, both counted at ``target_rate``."""
    common = math.gcd(rate, target_rate)
    n_in, n_out = rate // common, target_rate // common  # so many frames become so many samples
    if n_in == n_out:
        return Span(start, None if n_samples is None else start + n_samples, 0, n_samples)
    margin = math.ceil(FILTER_SAMPLES * max(1, target_rate / rate))
    first = max(start - margin, 0) // n_out
    stop = None if n_samples is None else -(-(start + n_samples + margin) * n_in // n_out)
    return Span(first * n_in, stop, start - first * n_out, n_samples)
