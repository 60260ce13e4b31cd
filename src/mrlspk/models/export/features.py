"""Log-mel front end made of convolutions: a graph then needs no Fourier transform, which some runtimes lack."""

import torch
import torchaudio
from torch import Tensor, nn
from torch.nn import functional

from mrlspk.models.redimnet.features import N_FFT, WINDOW, ConvolutionMelSpectrogram, LogMelFeatures, PreEmphasis

EDGE = (N_FFT - WINDOW) // 2  # zeros of the window at each side of a Fourier transform


class ConvolutionLogMel(nn.Module):
    """A `LogMelFeatures` that computes the same with convolutions, up to rounding.

    A spectrogram of torchaudio becomes one convolution with windowed cosines and sines, whose filters are computed in
    float64. Frequencies that no mel band reads are left out.

    Args:
        source: Front end; left as it is.
    """

    def __init__(self, source: LogMelFeatures) -> None:
        super().__init__()
        self.floor = source.floor
        _, pre_emphasis, spectrogram = source.torchfbank
        if not isinstance(pre_emphasis, PreEmphasis):
            raise TypeError(f"expected a pre-emphasis filter, got {type(pre_emphasis).__name__}")
        self.pre_emphasis = pre_emphasis
        if isinstance(spectrogram, torchaudio.transforms.MelSpectrogram):
            self.mel: nn.Module = _CentredMel(spectrogram, source.hop_length)
        elif isinstance(spectrogram, ConvolutionMelSpectrogram):
            self.mel = spectrogram
        else:
            raise TypeError(f"no convolutions are known for {type(spectrogram).__name__}")

    def forward(self, waveform: Tensor) -> Tensor:
        """Map (batch, samples) to log-mel features (batch, mels, frames)."""
        log_mels: Tensor = (self.mel(self.pre_emphasis(waveform)) + self.floor).log()
        return log_mels - log_mels.mean(-1, keepdim=True)


class _CentredMel(nn.Module):
    """Mel power spectrogram whose frames are centred on multiples of the hop, as torchaudio computes it."""

    waves: Tensor
    filters: Tensor

    def __init__(self, spectrogram: torchaudio.transforms.MelSpectrogram, hop_length: int) -> None:
        super().__init__()
        filters = spectrogram.mel_scale.fb  # (frequencies, mels)
        read = filters.any(1)
        frequencies, samples = torch.arange(len(filters))[read].double(), torch.arange(EDGE, EDGE + WINDOW).double()
        phase = 2 * torch.pi / N_FFT * torch.outer(frequencies, samples)
        window = spectrogram.spectrogram.window.double()
        self.register_buffer("waves", (torch.cat((phase.cos(), phase.sin())) * window).float().unsqueeze(1))
        self.register_buffer("filters", filters[read].T.unsqueeze(-1).contiguous())
        self.hop_length, self.n_frequencies = hop_length, int(read.sum())

    def forward(self, waveform: Tensor) -> Tensor:
        padded = functional.pad(waveform.unsqueeze(1), (N_FFT // 2, N_FFT // 2), "reflect")[..., EDGE:-EDGE]
        parts = functional.conv1d(padded, self.waves, stride=self.hop_length).square()
        power = parts[:, : self.n_frequencies] + parts[:, self.n_frequencies :]
        return functional.conv1d(power, self.filters)
