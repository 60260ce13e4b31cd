"""Decode audio once and find what is wrong with its samples: level, offset, clipping, band."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.audio import AudioReader
from mrlspk.data.audio.channels import CHANNELS_CANCEL
from mrlspk.data.audio.levels import OUT_OF_RANGE
from mrlspk.data.audio.source import AudioSource
from mrlspk.data.checks.band import Band, is_cut_by_codec
from mrlspk.data.checks.clipping import clipped_samples
from mrlspk.data.checks.fingerprint import fingerprint
from mrlspk.data.checks.levels import Levels
from mrlspk.data.checks.stated import stated_frames
from mrlspk.data.problems import Problem, warning
from mrlspk.errors import DataError

PART_SECONDS = 60  # analysed at once
DAMAGED = "damaged: "


@dataclass(frozen=True)
class Heard:
    """What decoding found.

    Attributes:
        sample_rate: Of the audio, in Hz.
        channels: Of the audio.
        codec: FFmpeg's name.
        stated_seconds: Length as the header states it; None if it does not.
        levels: Of the whole.
        n_clipped: Samples at the limits.
        is_narrow: Whether nothing is beyond 4 kHz.
        print: Fingerprint of the first part, if there is enough of it.
        warnings: Of the reader.
    """

    sample_rate: int
    channels: int
    codec: str
    stated_seconds: float | None
    levels: Levels
    n_clipped: int
    is_narrow: bool
    print: NDArray[np.float32] | None
    warnings: tuple[str, ...]

    @property
    def seconds(self) -> float:
        """Length of what was decoded."""
        return self.levels.n_samples / self.sample_rate


def hear(source: AudioSource) -> Heard:
    """Decode audio at its own rate; memory does not grow with its length.

    Raises:
        DataError: If it cannot be decoded.
    """
    with AudioReader(source, sample_rate=None) as reader:
        rate = reader.original_rate
        levels, band, n_clipped, trace = Levels(rate), Band(rate), 0, None
        try:
            for part in _parts(reader.blocks(), PART_SECONDS * rate):
                is_first = not levels.n_samples
                found = levels.add(part)
                n_clipped += clipped_samples(part, found.highest, found.lowest, found.rms)
                band.add(part)
                if is_first:
                    trace = fingerprint(found.variances, levels.frame / rate)
        except DataError:
            if levels.n_samples or reader.seconds > 0:
                raise
        stated = reader.stated_seconds if _is_part(source) else _stated(source, reader)
        return Heard(
            rate, reader.channels, reader.codec, stated, levels, n_clipped, band.is_narrow, trace, reader.warnings
        )


def _is_part(source: AudioSource) -> bool:
    return source.start_seconds > 0 or source.seconds is not None


def _stated(source: AudioSource, reader: AudioReader) -> float | None:
    if (seconds := reader.stated_seconds) is not None:
        return seconds
    frames = stated_frames(source, reader.codec, reader.original_rate)
    return None if frames is None else frames / reader.original_rate


def _parts(blocks: Iterable[NDArray[np.float32]], n_samples: int) -> Iterator[NDArray[np.float32]]:
    held: list[NDArray[np.float32]] = []
    n_held = 0
    for block in blocks:
        held.append(block)
        n_held += len(block)
        if n_held >= n_samples:
            yield np.concatenate(held)
            held, n_held = [], 0
    if held:
        yield held[0] if len(held) == 1 else np.concatenate(held)


def check_heard(utterance_id: str, heard: Heard, n_bytes: int) -> Iterator[Problem]:
    """Report what is wrong with decoded audio.

    Args:
        utterance_id: Of the audio.
        heard: What decoding found.
        n_bytes: Of the encoded audio.
    """
    levels = heard.levels
    if levels.is_silent:
        if levels.n_samples and CHANNELS_CANCEL not in heard.warnings:
            yield warning("silent", utterance_id, f"expected speech, got silence: peak {_db(levels.peak)}")
    elif OUT_OF_RANGE in heard.warnings:
        yield warning("out_of_range", utterance_id, f"expected samples in [-1, 1], got up to {levels.peak:,.0f}")
    else:
        yield from _check_sound(utterance_id, heard, n_bytes)
    for damage in heard.warnings:
        if damage.startswith(DAMAGED):
            yield warning("damaged", utterance_id, f"expected whole audio, got it {damage}")


def _check_sound(utterance_id: str, heard: Heard, n_bytes: int) -> Iterator[Problem]:
    levels = heard.levels
    if heard.n_clipped:
        share = heard.n_clipped / levels.n_samples
        what = f"{heard.n_clipped:,} samples ({share:.1%}) at its limits; peak {_db(levels.peak)}"
        yield warning("clipped", utterance_id, f"expected sound within its limits, got {what}")
    elif levels.has_offset:  # clipping moves the mean
        what = f"{levels.mean:+.3f} at a level of {_db(levels.rms)}"
        yield warning("dc_offset", utterance_id, f"expected samples around zero, got a mean of {what}")
    if heard.is_narrow and not is_cut_by_codec(heard.codec, 8 * n_bytes / heard.seconds / heard.channels):
        what = f"nothing beyond 4 kHz at {heard.sample_rate} Hz"
        yield warning("band_limited", utterance_id, f"expected sound up to 8 kHz, got {what}")


def _db(level: float) -> str:
    return f"{20 * np.log10(max(level, 1e-10)):.1f} dB"
