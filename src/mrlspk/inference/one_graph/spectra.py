"""Compute the convolutions that are a mel front end: windowed cosines and sines of a frame, then mel filters.

Everything a toolkit does to a frame before its Fourier transform is linear, so one matrix in float64 holds it.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.inference.speaker_models.front_ends import PREEMPHASIS, KaldiFbank, NemoMel, slaney_filters

WINDOW_MS, STEP_MS = 25, 10  # of Kaldi's filter banks
POVEY_POWER = 0.85
KALDI_FLOOR = float(np.finfo(np.float32).eps)  # the least power that Kaldi takes the logarithm of
NEMO_FLOOR = 2.0**-24  # added to the power

type Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Spectrum:
    """Mel power of frames as two linear maps with squares between them.

    Attributes:
        waves: (2 * frequencies, values of a frame): real parts, then imaginary ones.
        filters: (bins, 2 * frequencies) of the squares.
        step: Samples between frames.
        before: Samples that the first frame begins before the recording.
        after: Samples that are added at its end.
    """

    waves: Array
    filters: Array
    step: int
    before: int
    after: int


def kaldi_spectrum(front_end: KaldiFbank, sample_rate: int) -> Spectrum:
    """Return the mel power of Kaldi's filter banks: mean and pre-emphasis of each frame by itself, then its window.

    It reads the differences of neighbouring samples. The mean that is taken away makes all else of no account, and an
    offset or a low hum would cost the high bins their digits in float32.
    """
    length, step = (milliseconds * sample_rate // 1000 for milliseconds in (WINDOW_MS, STEP_MS))
    n_fft = 1 << (length - 1).bit_length()
    centring = np.eye(length) - 1 / length
    emphasis = np.eye(length) - PREEMPHASIS * np.eye(length, k=-1)
    emphasis[0, 0] = 1 - PREEMPHASIS  # the first sample stands in for the one before it
    from_differences = np.tril(np.ones((length, length - 1)), -1)  # but for the first sample
    to_frame = kaldi_window(front_end.window, length)[:, None] * emphasis @ centring @ from_differences
    filters = kaldi_filters(front_end, n_fft, sample_rate)
    before = 0 if front_end.snip_edges else (length - step) // 2
    to_frame *= front_end.sample_scale
    return _spectrum(to_frame, filters, n_fft, step=step, before=before, after=0 if before == 0 else length // 2)


def kaldi_window(name: str, length: int) -> Array:
    """Return a window of Kaldi (length,)."""
    hanning = np.hanning(length)
    windows = {"povey": hanning**POVEY_POWER, "hanning": hanning, "hamming": np.hamming(length)}
    return windows.get(name, np.ones(length))


def kaldi_filters(front_end: KaldiFbank, n_fft: int, sample_rate: int) -> Array:
    """Return Kaldi's mel filters (bins, n_fft // 2): triangles in mel, all of height 1."""
    low, high = (kaldi_mel(hz) for hz in (front_end.low_hz, front_end.high_hz or sample_rate / 2))
    edges = low + (high - low) / (front_end.bins + 1) * np.arange(front_end.bins + 2)
    places = kaldi_mel(np.arange(n_fft // 2) * sample_rate / n_fft)
    rising = (places - edges[:-2, None]) / np.diff(edges)[:-1, None]
    falling = (edges[2:, None] - places) / np.diff(edges)[1:, None]
    filters: Array = np.maximum(0.0, np.minimum(rising, falling))
    return filters


def kaldi_mel(hz: float | Array) -> Array:
    """Return mels on Kaldi's scale."""
    mels: Array = 1127 * np.log(1 + np.asarray(hz) / 700)
    return mels


def nemo_spectrum(front_end: NemoMel, sample_rate: int) -> Spectrum:
    """Return the mel power of NeMo's features: frames around multiples of the step, of a signal that is emphasised."""
    length, step = (milliseconds * sample_rate // 1000 for milliseconds in (front_end.window_ms, front_end.stride_ms))
    n_fft = 1 << (length - 1).bit_length()
    before = n_fft // 2 - (n_fft - length) // 2
    filters = slaney_filters(front_end.bins, n_fft, sample_rate)
    return _spectrum(np.diag(np.hanning(length)), filters, n_fft, step=step, before=before, after=length - before)


def _spectrum(to_frame: Array, filters: Array, n_fft: int, *, step: int, before: int, after: int) -> Spectrum:
    """Return the convolutions of what is done to a frame and of mel filters; unread frequencies are left out."""
    read = filters.any(0)
    phases = 2 * np.pi / n_fft * np.outer(np.flatnonzero(read), np.arange(len(to_frame)))
    waves = np.concatenate((np.cos(phases), np.sin(phases))) @ to_frame
    return Spectrum(waves, np.tile(filters[:, read], 2), step, before, after)
