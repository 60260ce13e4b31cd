"""Pieces of an exact length out of audio files."""

from pathlib import Path

import numpy as np
from torch import Tensor

from mrlspk.data.audio import SAMPLE_RATE, load_audio, probe_audio
from mrlspk.data.audio_source import AudioSource
from mrlspk.errors import DataError


def random_crop(
    audio: AudioSource | Path, n_samples: int, rng: np.random.Generator, *, sample_rate: int = SAMPLE_RATE
) -> Tensor:
    """Return (n_samples,) from a random place in a file, decoding little else; a shorter file is repeated.

    The header only proposes the place: where the decoded range turns out shorter, the whole file is read.

    Raises:
        DataError: If the file cannot be read.
    """
    place = rng.random()
    seconds = n_samples / sample_rate
    spare_seconds = probe_audio(audio).seconds - seconds
    if spare_seconds > 0:
        try:
            part = load_audio(audio, sample_rate=sample_rate, start_seconds=place * spare_seconds, seconds=seconds)
        except DataError:  # a header that promises too much; the whole file tells
            part = None
        if part is not None and part.numel() == n_samples:
            return part
    whole = load_audio(audio, sample_rate=sample_rate)
    start = int(place * max(whole.numel() - n_samples + 1, 0))
    return repeat_to(whole[start:], n_samples)


def repeat_to(waveform: Tensor, n_samples: int) -> Tensor:
    """Return the first ``n_samples`` of ``waveform`` (samples,) said again and again."""
    return waveform.repeat(-(-n_samples // waveform.numel()))[:n_samples]
