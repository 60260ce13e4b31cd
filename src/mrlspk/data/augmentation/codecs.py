"""Encode and decode crops in memory: telephone codecs by libsndfile, Opus and AAC by FFmpeg."""

import io
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from mrlspk.data.audio import SAMPLE_RATE
from mrlspk.data.augmentation.effects import Effects, Samples

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame

TELEPHONE_RATE = 8_000  # Hz, of G.711 and GSM
OPUS_RATES = 16, 24, 32  # kbit/s, of voice over the internet
AAC_RATES = 16, 24, 32, 64  # kbit/s, of files
OPUS_RATE, OPUS_LEAD = 48_000, 3  # Hz of what is decoded, and the samples by which it is early
AAC_DELAY = 1_024  # samples that the encoder puts in front
MOST_DELAY = 1_024  # of both
FULL_SCALE = 32_768
LARGEST = np.float32(1 - 1 / FULL_SCALE)


@dataclass(frozen=True)
class CodecStep:
    """One of some codecs, drawn evenly, at one of its bit rates.

    Attributes:
        names: Of `CODECS`.
        probability: Share of the crops.
    """

    names: tuple[str, ...]
    probability: float

    def add(self, effects: Effects, n_samples: int, rng: np.random.Generator) -> Effects:  # noqa: ARG002
        """Return the effects with the codec."""
        name = self.names[rng.integers(len(self.names))]
        rates = BIT_RATES.get(name, (0,))
        codec = Codec(name, rates[rng.integers(len(rates))])
        return replace(effects, transmissions=(*effects.transmissions, codec))


@dataclass(frozen=True)
class Codec:
    """A codec at a bit rate.

    Attributes:
        name: Of `CODECS`.
        kbps: Bit rate, kbit/s; 0 for a codec that has but one.
    """

    name: str
    kbps: int = 0

    def transmit(self, samples: Samples) -> Samples:
        """Return (samples,) as decoded, of the same length, level and alignment.

        Samples beyond full scale are scaled down before and up after: GSM would wrap them, the others clip.
        """
        scale = np.float32(max(1.0, float(np.abs(samples).max())))
        decoded = CODECS[self.name](samples / scale, self.kbps)[: len(samples)]
        return np.pad(decoded, (0, len(samples) - len(decoded))) * scale


def _telephone(subtype: str) -> Callable[[Samples, int], Samples]:
    """Return a codec of 8,000 samples a second; speech is resampled to that and back."""

    def code(samples: Samples, _kbps: int) -> Samples:
        narrow = soxr.resample(samples, SAMPLE_RATE, TELEPHONE_RATE, quality="HQ")
        narrow = np.clip(narrow, -1, LARGEST)  # the filter overshoots at edges, and GSM would wrap that
        decoded = _through_file(narrow, TELEPHONE_RATE, format="WAV", subtype=subtype)
        wide: Samples = soxr.resample(decoded, TELEPHONE_RATE, SAMPLE_RATE, quality="HQ")
        return wide

    return code


def _opus(samples: Samples, kbps: int) -> Samples:
    """Return (samples,) coded by libopus as for calls; libsndfile searches six times as long for a better sound."""
    options = {"application": "voip", "compression_level": "1"}
    decoded = _through_ffmpeg("libopus", samples, kbps, "flt", options)
    late = np.pad(decoded.astype(np.float32) / FULL_SCALE, (OPUS_LEAD, 0))
    wide: Samples = soxr.resample(late, OPUS_RATE, SAMPLE_RATE, quality="HQ")
    return wide


def _aac(samples: Samples, kbps: int) -> Samples:
    return _through_ffmpeg("aac", samples, kbps, "fltp", {})[AAC_DELAY:]


def _through_file(samples: Samples, rate: int, **options: Any) -> Samples:
    """Return (samples,) as libsndfile reads what it has written; it removes the delay of the encoder.

    Behind them it may read padding, and of GSM a burst of noise.
    """
    file = io.BytesIO()
    soundfile.write(file, samples, rate, **options)
    file.seek(0)
    decoded: Samples = soundfile.read(file, dtype="float32", frames=len(samples))[0]
    return decoded


def _through_ffmpeg(
    name: str, samples: Samples, kbps: int, sample_format: str, options: dict[str, str]
) -> NDArray[Any]:
    """Return (decoded,) as the decoder gives them: at its rate and of its type, behind the delay of the encoder."""
    from av.audio.codeccontext import AudioCodecContext
    from av.codec.context import CodecContext

    encoder, decoder = CodecContext.create(name, "w"), CodecContext.create(name, "r")
    assert isinstance(encoder, AudioCodecContext)
    assert isinstance(decoder, AudioCodecContext)
    encoder.sample_rate, encoder.bit_rate = SAMPLE_RATE, 1_000 * kbps
    encoder.layout, encoder.format, encoder.options = "mono", sample_format, options
    encoder.open()
    size = encoder.frame_size
    padded = np.pad(samples, (0, MOST_DELAY + -(len(samples) + MOST_DELAY) % size))
    packets = [packet for frame in _frames(padded, size, sample_format) for packet in encoder.encode(frame)]
    decoder.extradata = encoder.extradata
    return np.concatenate([block.to_ndarray()[0] for packet in packets for block in decoder.decode(packet)])


def _frames(samples: Samples, size: int, sample_format: str) -> Iterator["AudioFrame | None"]:
    """Yield frames of a size, and None to flush the encoder."""
    from av.audio.frame import AudioFrame

    for start in range(0, len(samples), size):
        frame = AudioFrame.from_ndarray(samples[None, start : start + size], format=sample_format, layout="mono")
        frame.sample_rate, frame.pts = SAMPLE_RATE, start
        yield frame
    yield None


CODECS: Mapping[str, Callable[[Samples, int], Samples]] = {
    "alaw": _telephone("ALAW"),
    "mulaw": _telephone("ULAW"),
    "gsm": _telephone("GSM610"),
    "opus": _opus,
    "aac": _aac,
}
BIT_RATES = {"opus": OPUS_RATES, "aac": AAC_RATES}
