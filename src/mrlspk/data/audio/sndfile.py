"""Read audio block by block with libsndfile."""

import os
from collections.abc import Iterator

import numpy as np
import soundfile
from numpy.typing import NDArray

from mrlspk.data.audio.completeness import COPY_AGAIN
from mrlspk.data.audio.source import AudioSource
from mrlspk.data.audio.stream import UndecodableError, block_frames
from mrlspk.errors import DataError
from mrlspk.reading import reading

SAMPLE_BYTES = {"PCM_S8": 1, "PCM_16": 2, "PCM_24": 3}
CODECS = {  # FFmpeg's names
    "PCM_16": "pcm_s16",
    "PCM_24": "pcm_s24",
    "PCM_32": "pcm_s32",
    "FLOAT": "pcm_f32",
    "DOUBLE": "pcm_f64",
    "ALAW": "pcm_alaw",
    "ULAW": "pcm_mulaw",
    "IMA_ADPCM": "adpcm_ima_wav",
    "MS_ADPCM": "adpcm_ms",
    "GSM610": "gsm",
    "MPEG_LAYER_I": "mp1",
    "MPEG_LAYER_II": "mp2",
    "MPEG_LAYER_III": "mp3",
}
GSM_BLOCK_BYTES, GSM_BLOCK_FRAMES = 65, 320  # of two frames of GSM 6.10 in WAV
SHORT_STEP = np.float32(1 / 32768)
LARGEST_COUNT = 1 << 48  # frames; libsndfile says 2^63 - 1 where a FLAC header does not know, and estimates MPEG audio


def open_sndfile(source: AudioSource) -> "SndfileStream":
    """Open audio with libsndfile, whatever its suffix.

    Raises:
        DataError: If libsndfile cannot read it.
    """
    return SndfileStream(source)


class SndfileStream:
    """Audio that libsndfile decodes; an `AudioStream`."""

    def __init__(self, source: AudioSource) -> None:
        self._source, self._file = source, _open(source)
        self.sample_rate: int = self._file.samplerate
        self.channels: int = self._file.channels
        self.container: str = self._file.format
        subtype: str = self._file.subtype
        self.codec = "flac" if self.container == "FLAC" else CODECS.get(subtype, subtype.lower())
        counted: int = self._file.frames
        self._is_short = subtype == "PCM_16"
        is_counted = 0 < counted < LARGEST_COUNT and not self._file.subtype.startswith("MPEG")
        self.n_frames: int | None = counted if is_counted else None
        self.damage: str | None = None

    def cut_padding(self, n_bytes: int) -> None:
        """Count only what the ``n_bytes`` of a WAV file hold: libsndfile takes a byte of padding for a block of GSM."""
        if self.codec == "gsm" and self.n_frames is not None:
            self.n_frames = min(self.n_frames, n_bytes // GSM_BLOCK_BYTES * GSM_BLOCK_FRAMES)

    def blocks(self, start: int = 0, stop: int | None = None) -> Iterator[NDArray[np.float32]]:
        """Yield (frames, channels) from frame ``start`` to the end, or to ``stop``.

        Raises:
            DataError: If there are fewer samples than the header counts, or they cannot be decoded.
        """
        if self.n_frames is not None and start >= self.n_frames:
            return
        position = self._go_to(start)
        count = block_frames(position, stop, self.channels)
        while len(block := self._read(position, count)):
            position += len(block)
            if position > start:
                yield block[max(start - (position - len(block)), 0) :]
            if stop is not None and position >= stop:
                return
        if self.n_frames is not None and position < self.n_frames:
            raise self._cut_short(position)

    @property
    def pcm_bytes(self) -> int | None:
        """Bytes of the counted samples without compression; None if they are not integers, or not counted."""
        width = SAMPLE_BYTES.get(self._file.subtype)
        return None if width is None or self.n_frames is None else self.n_frames * self.channels * width

    def count_frames(self) -> int:
        """Return the number of frames, by decoding if the header does not state it."""
        return sum(map(len, self.blocks())) if self.n_frames is None else self.n_frames

    def close(self) -> None:
        """Close the audio."""
        self._file.close()

    def _go_to(self, start: int) -> int:
        """Return the frame that is read next: ``start``, or the first of a coding that has no `seek`."""
        try:
            if self._file.seekable():
                return start if self._file.tell() == start else int(self._file.seek(start))
        except soundfile.LibsndfileError as error:
            raise self._cut_short(start, error) from error
        self._file.close()
        self._file = _open(self._source)
        return 0

    def _read(self, position: int, count: int) -> NDArray[np.float32]:
        """Return the next frames, none at the end."""
        if self.n_frames is not None:
            count = min(count, self.n_frames - position)
        try:
            if self._is_short:  # half the time of asking libsndfile for the same floats
                shorts: NDArray[np.int16] = self._file.read(count, dtype="int16", always_2d=True)
                return shorts * SHORT_STEP
            block: NDArray[np.float32] = self._file.read(count, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise self._cut_short(position, error) from error
        return block

    def _cut_short(self, found: int, error: soundfile.LibsndfileError | None = None) -> DataError:
        reason = f" ({error.error_string.rstrip('.')})" if error else ""
        expected = "more" if self.n_frames is None else str(self.n_frames)
        what = f"cut short: expected {expected} samples, got {found}{reason}"
        return DataError(what, str(self._source), COPY_AGAIN)


def _open(source: AudioSource) -> soundfile.SoundFile:
    """Open audio without its name: libsndfile takes text named ``.gsm`` for headerless audio."""
    with reading(str(source), DataError):
        encoded = source.open() if source.path is None else os.open(source.path, os.O_RDONLY)
    try:
        return soundfile.SoundFile(encoded)
    except soundfile.LibsndfileError as error:
        reason = error.error_string.rstrip(".")
        if "resource fork" in reason:  # of a Macintosh: the last format that it tries
            reason = "Format not recognised"
        raise UndecodableError(source, f"libsndfile: {reason}") from error
