"""Compute what the speaker models of other toolkits read: Kaldi filter banks, NeMo's log-mel features, or samples."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from mrlspk.config.base import StrictModel
from mrlspk.errors import MissingDependencyError

if TYPE_CHECKING:
    import kaldi_native_fbank

INSTALL = "Type: pip install 'mrlspk[onnx]'"
PREEMPHASIS = 0.97
STD_FLOOR = 1e-5  # added to a standard deviation, as NeMo does

type Values = NDArray[np.float32]
type Compute = Callable[[Values], Values]  # (samples,) in [-1, 1] to (frames, bins), or to (samples,)
type Bins = Annotated[int, Field(gt=0, le=1024)]


class KaldiFbank(StrictModel):
    """Kaldi's log filter banks: 25 ms every 10 ms, pre-emphasis 0.97, no dither, as kaldi-native-fbank computes them.

    Attributes:
        bins: Mel bins.
        window: Of a frame. WeSpeaker uses ``hamming``; Kaldi's default is ``povey``.
        sample_scale: Factor of samples in [-1, 1]. It moves all values by a constant, which the mean takes away again,
            except those at the floor of the logarithm.
        mean: Subtract the mean of each bin over the ``utterance``, or ``none``.
        low_hz: Lower edge of the first bin.
        high_hz: Upper edge of the last bin; None for half the sample rate.
        snip_edges: Frames lie within the recording; otherwise its ends are mirrored.
    """

    type: Literal["kaldi-fbank"] = "kaldi-fbank"
    bins: Bins = 80
    window: Literal["hamming", "povey", "hanning", "rectangular"] = "povey"
    sample_scale: Literal[1, 32768] = 1
    mean: Literal["utterance", "none"] = "utterance"
    low_hz: Annotated[float, Field(ge=0, le=1000)] = 20.0
    high_hz: Annotated[float, Field(ge=2000, le=8000)] | None = None
    snip_edges: bool = True


class NemoMel(StrictModel):
    """NeMo's log-mel features, as its `AudioToMelSpectrogramPreprocessor` computes them outside training.

    It follows NeMo's source and was not compared with a real TitaNet.

    Attributes:
        bins: Mel bins.
        window_ms: Length of a frame.
        stride_ms: Step between frames.
        normalise: Bring each bin to mean 0 and standard deviation 1 over the recording, or ``none``.
        pad_to: Append zero frames up to a multiple of this; the graph is told how many frames are real.
    """

    type: Literal["nemo-mel"] = "nemo-mel"
    bins: Bins = 80
    window_ms: Annotated[int, Field(ge=5, le=32)] = 25
    stride_ms: Annotated[int, Field(ge=1, le=32)] = 10
    normalise: Literal["per_feature", "none"] = "per_feature"
    pad_to: Annotated[int, Field(ge=1, le=1024)] = 16


class Waveform(StrictModel):
    """Samples, for a graph with its own front end.

    Attributes:
        sample_scale: Factor of samples in [-1, 1].
    """

    type: Literal["waveform"] = "waveform"
    sample_scale: Literal[1, 32768] = 1


type FrontEnd = Annotated[KaldiFbank | NemoMel | Waveform, Field(discriminator="type")]


def build_front_end(front_end: KaldiFbank | NemoMel | Waveform, sample_rate: int) -> Compute:
    """Return the function that computes a front end of samples (samples,) at ``sample_rate``.

    Raises:
        MissingDependencyError: If kaldi-native-fbank is needed and not installed.
    """
    if isinstance(front_end, KaldiFbank):
        return _kaldi_fbank(front_end, sample_rate)
    if isinstance(front_end, NemoMel):
        return _nemo_mel(front_end, sample_rate)
    scale = np.float32(front_end.sample_scale)
    return lambda waveform: waveform * scale


def samples_for(front_end: KaldiFbank | NemoMel | Waveform, n_frames: int, sample_rate: int) -> int:
    """Return how many samples give ``n_frames`` frames; of a waveform, as many as 10 ms frames would take."""
    if isinstance(front_end, NemoMel):
        return max(1, n_frames - 1) * front_end.stride_ms * sample_rate // 1000
    return (25 + 10 * (n_frames - 1)) * sample_rate // 1000


def front_end_version(front_end: KaldiFbank | NemoMel | Waveform) -> dict[str, str]:
    """Return the library that computes a front end, and its version; empty for NumPy alone."""
    return {"kaldi-native-fbank": _import_fbank().__version__} if isinstance(front_end, KaldiFbank) else {}


def _import_fbank() -> Any:
    try:
        import kaldi_native_fbank
    except ModuleNotFoundError as error:
        raise MissingDependencyError("Kaldi's filter banks need kaldi-native-fbank", fix=INSTALL) from error
    return kaldi_native_fbank


def _kaldi_fbank(front_end: KaldiFbank, sample_rate: int) -> Compute:
    library = _import_fbank()
    options: kaldi_native_fbank.FbankOptions = library.FbankOptions()
    options.frame_opts.samp_freq = sample_rate
    options.frame_opts.dither = 0.0  # its default is not 0
    options.frame_opts.window_type = front_end.window
    options.frame_opts.snip_edges = front_end.snip_edges
    options.mel_opts.num_bins = front_end.bins
    options.mel_opts.low_freq = front_end.low_hz
    options.mel_opts.high_freq = front_end.high_hz or 0.0  # 0: half the sample rate
    scale = np.float32(front_end.sample_scale)

    def compute(waveform: Values) -> Values:
        computer = library.OnlineFbank(options)
        computer.accept_waveform(sample_rate, (waveform * scale).tolist())  # a list is read faster than an array
        computer.input_finished()
        frames = [computer.get_frame(index) for index in range(computer.num_frames_ready)]
        features = np.stack(frames) if frames else np.empty((0, front_end.bins), np.float32)
        if front_end.mean == "utterance" and len(features):
            features -= features.mean(0, dtype=np.float64).astype(np.float32)
        return features

    return compute


def _nemo_mel(front_end: NemoMel, sample_rate: int) -> Compute:
    length, step = (milliseconds * sample_rate // 1000 for milliseconds in (front_end.window_ms, front_end.stride_ms))
    n_fft = 1 << (length - 1).bit_length()
    before = (n_fft - length) // 2
    window = np.zeros(n_fft)
    window[before : before + length] = np.hanning(length)
    filters = slaney_filters(front_end.bins, n_fft, sample_rate)

    def compute(waveform: Values) -> Values:
        emphasised = np.append(waveform[:1], waveform[1:] - np.float32(PREEMPHASIS) * waveform[:-1])
        padded = np.pad(emphasised, n_fft // 2)
        frames = np.lib.stride_tricks.sliding_window_view(padded, n_fft)[::step]
        power = np.abs(np.fft.rfft(frames * window)) ** 2
        features = np.log(power @ filters.T + 2.0**-24)
        if front_end.normalise == "per_feature":
            features = (features - features.mean(0)) / (features.std(0, ddof=1) + STD_FLOOR)
        return features.astype(np.float32)

    return compute


def slaney_filters(bins: int, n_fft: int, sample_rate: int) -> NDArray[np.float64]:
    """Return the mel filters (bins, n_fft // 2 + 1) of librosa's default: Slaney's scale, each of area 1."""
    edges = _slaney_hz(np.linspace(0.0, _slaney_mel(sample_rate / 2), bins + 2))
    frequencies = np.arange(n_fft // 2 + 1) * sample_rate / n_fft
    slopes = edges[:, None] - frequencies
    widths = np.diff(edges)
    rising, falling = -slopes[:-2] / widths[:-1, None], slopes[2:] / widths[1:, None]
    triangles: NDArray[np.float64] = np.maximum(0.0, np.minimum(rising, falling))
    return triangles * (2.0 / (edges[2:] - edges[:-2]))[:, None]


def _slaney_mel(hz: float) -> float:
    """Return mels: linear up to 1,000 Hz, then 27 for each factor of 6.4."""
    return float(hz / (200 / 3) if hz < 1000 else 15 + np.log(hz / 1000) / (np.log(6.4) / 27))


def _slaney_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    hz: NDArray[np.float64] = np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))
    return hz
