"""Write a second of sound in each format that FFmpeg can write here, and read it back as commands do."""

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import MrlspkError

RATE = 48_000  # Hz
DECODES = "decodes"
LEAST_SECONDS = 0.9  # coders add and cut a few milliseconds
BITS_PER_SECOND = 128_000
LEAST_LOUDNESS = 0.1  # of the root mean square of the tone, 0.35


@dataclass(frozen=True)
class Format:
    """A format of audio files.

    Attributes:
        name: As users know it.
        suffix: Of a file.
        encoder: FFmpeg's name of the coder that writes it.
        decoder: FFmpeg's name of the coder that reads it.
        needed: Whether everybody needs it.
        rate: Hz of the file.
    """

    name: str
    suffix: str
    encoder: str
    decoder: str
    needed: bool = True
    rate: int = RATE


FORMATS = (
    Format("WAV", ".wav", "pcm_s16le", "pcm_s16le"),
    Format("FLAC", ".flac", "flac", "flac"),
    Format("MP3", ".mp3", "libmp3lame", "mp3"),
    Format("M4A", ".m4a", "aac", "aac"),
    Format("Opus", ".opus", "libopus", "opus"),
    Format("Ogg Vorbis", ".ogg", "vorbis", "vorbis"),
    Format("WebM", ".webm", "libopus", "opus", needed=False),
    Format("WMA", ".wma", "wmav2", "wmav2", needed=False, rate=44_100),
    Format("AC-3", ".ac3", "ac3", "ac3", needed=False),
    Format("AMR", ".amr", "libopencore_amrnb", "amrnb", needed=False, rate=8_000),
)


@dataclass(frozen=True)
class DecoderCheck:
    """Whether a format is read, and what was tried."""

    format: Format
    ok: bool
    detail: str


def try_decoders() -> Iterator[DecoderCheck]:
    """Yield whether each format is read."""
    with tempfile.TemporaryDirectory() as folder:
        for each in FORMATS:
            yield _try(each, Path(folder) / f"tone{each.suffix}")


def _try(audio: Format, path: Path) -> DecoderCheck:
    try:
        _write(audio, path)
    except ImportError as error:
        return DecoderCheck(audio, ok=False, detail=f"FFmpeg does not load: {error}")
    except (OSError, ValueError):
        return _look_up(audio)
    try:
        samples = _read(path)
    except (ImportError, OSError) as error:
        return DecoderCheck(audio, ok=False, detail=f"the decoder does not load: {error}")
    except MrlspkError as error:
        return DecoderCheck(audio, ok=False, detail=error.what)
    seconds, loudness = len(samples) / RATE, float(np.sqrt(np.mean(samples**2)))
    if seconds < LEAST_SECONDS or loudness < LEAST_LOUDNESS:
        what = f"a second of sound is read as {seconds:.2f} s with a loudness of {loudness:.2f} in place of 0.35"
        return DecoderCheck(audio, ok=False, detail=what)
    return DecoderCheck(audio, ok=True, detail=DECODES)


def _look_up(audio: Format) -> DecoderCheck:
    """Return whether FFmpeg lists the decoder of a format that it cannot write."""
    from av.codec import Codec
    from av.codec.codec import UnknownCodecError

    try:
        Codec(audio.decoder, "r")
    except UnknownCodecError:
        return DecoderCheck(audio, ok=False, detail="FFmpeg has no decoder")
    return DecoderCheck(audio, ok=True, detail="FFmpeg has a decoder; not tried, because it writes no such file")


def _write(audio: Format, path: Path) -> None:
    """Write a second of a tone in two channels."""
    import av
    from av.audio.frame import AudioFrame
    from av.audio.resampler import AudioResampler
    from av.audio.stream import AudioStream

    time = np.arange(audio.rate) / audio.rate
    tone = (0.5 * np.sin(2 * np.pi * 440 * time)).astype(np.float32)
    frame = AudioFrame.from_ndarray(np.repeat(tone, 2)[None], format="flt", layout="stereo")
    frame.sample_rate, frame.pts = audio.rate, 0
    with av.open(str(path), "w") as container:
        stream = container.add_stream(audio.encoder, audio.rate, layout="stereo", options={"strict": "experimental"})
        assert isinstance(stream, AudioStream)
        stream.bit_rate = BITS_PER_SECOND
        stream.codec_context.open()
        resampler = AudioResampler(stream.format, stream.layout, audio.rate, stream.codec_context.frame_size or None)
        for part in (*resampler.resample(frame), *resampler.resample(None)):
            container.mux(stream.encode(part))
        container.mux(stream.encode(None))


def _read(path: Path) -> NDArray[np.float32]:
    from mrlspk.data.audio.reader import open_audio

    with open_audio(path, sample_rate=RATE) as reader:
        return np.concatenate(list(reader.blocks()))
