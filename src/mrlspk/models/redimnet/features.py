"""Log-mel front ends of the published checkpoints."""

import numpy as np
import torch
import torchaudio
from torch import Tensor, nn
from torch.nn import functional

SAMPLE_RATE, N_FFT, WINDOW, F_MIN, F_MAX = 16_000, 512, 400, 20.0, 7_600.0


class PreEmphasis(nn.Module):
    """Subtract 0.97 times the previous sample; the first sample is reflected."""

    flipped_filter: Tensor

    def __init__(self, coefficient: float = 0.97) -> None:
        super().__init__()
        self.register_buffer("flipped_filter", torch.tensor([[[-coefficient, 1.0]]]))

    def forward(self, waveform: Tensor) -> Tensor:
        """Map (batch, samples) to (batch, samples)."""
        padded = functional.pad(waveform.unsqueeze(1), (1, 0), "reflect")
        return functional.conv1d(padded, self.flipped_filter).squeeze(1)


class ConvolutionMelSpectrogram(nn.Module):
    """Mel power spectrogram by convolution with windowed cosines and sines, as in models from TensorFlow."""

    real_kernel_pt: Tensor
    image_kernel_pt: Tensor
    melbanks_pt: Tensor

    def __init__(self, n_mels: int, hop_length: int, eps: float = 1e-8) -> None:
        super().__init__()
        self.hop_length, self.eps = hop_length, eps
        phase = 2 * np.pi * np.outer(np.arange(N_FFT // 2), np.arange(WINDOW)) / N_FFT
        window = np.hamming(WINDOW).astype(np.float32)
        self.register_buffer("real_kernel_pt", _kernel(np.cos(phase), window))
        self.register_buffer("image_kernel_pt", _kernel(np.sin(phase), window))
        self.register_buffer("melbanks_pt", torch.from_numpy(_mel_filters(n_mels)).unsqueeze(-1))

    def forward(self, waveform: Tensor) -> Tensor:
        """Map (batch, samples) to (batch, mels, frames)."""
        waveform = waveform.unsqueeze(1)
        padding = self.hop_length // 2
        real = functional.conv1d(waveform, self.real_kernel_pt, stride=self.hop_length, padding=padding)
        imaginary = functional.conv1d(waveform, self.image_kernel_pt, stride=self.hop_length, padding=padding)
        power = (real.square() + imaginary.square()).clip(self.eps, 1 / self.eps)
        return functional.conv1d(power, self.melbanks_pt).clip(self.eps, 1 / self.eps)


def _kernel(wave: np.ndarray, window: np.ndarray) -> Tensor:
    return torch.from_numpy(wave.astype(np.float32) * window).unsqueeze(1)


def _mel_filters(n_mels: int) -> np.ndarray:
    """Return triangular filters (mels, N_FFT / 2) over bins spread evenly up to the Nyquist frequency."""

    def mel(hertz: np.ndarray) -> np.ndarray:
        return 2595 * np.log10(1 + hertz / 700)

    edges = np.linspace(mel(np.array(F_MIN)), mel(np.array(F_MAX)), n_mels + 2)[:, None]
    lower, centre, upper = edges[:-2], edges[1:-1], edges[2:]
    bins = mel(np.linspace(0, SAMPLE_RATE // 2, N_FFT // 2))[None]
    filters: np.ndarray = np.maximum(
        0, np.minimum((bins - lower) / (centre - lower), (upper - bins) / (upper - centre))
    )
    filters[:, 0] = 0
    as_float: np.ndarray = filters.astype(np.float32)
    return as_float


class LogMelFeatures(nn.Module):
    """Log-mel energies without the mean of each band over time.

    Args:
        n_mels: Bands.
        hop_length: Samples between frames.
        kind: ``pt`` for torchaudio's spectrogram, ``tf`` for the convolutional one.
    """

    def __init__(self, n_mels: int, hop_length: int, kind: str = "pt") -> None:
        super().__init__()
        self.hop_length = hop_length
        spectrogram: nn.Module
        if kind.startswith("tf"):
            spectrogram, self.floor = ConvolutionMelSpectrogram(n_mels, hop_length), 1e-8
            self.min_samples, self._first_frame = WINDOW + 1, WINDOW - 2 * (hop_length // 2)
        else:
            spectrogram = torchaudio.transforms.MelSpectrogram(
                sample_rate=SAMPLE_RATE,
                n_fft=N_FFT,
                win_length=WINDOW,
                hop_length=hop_length,
                f_min=F_MIN,
                f_max=F_MAX,
                n_mels=n_mels,
                window_fn=torch.hamming_window,
            )
            self.floor = 1e-6
            self.min_samples, self._first_frame = N_FFT // 2 + 1, 0
        # Names of published state dicts; entry 0 would normalise the signal, which no published model does.
        self.torchfbank = nn.Sequential(nn.Identity(), PreEmphasis(), spectrogram)

    def samples_for(self, frames: int) -> int:
        """Return the fewest samples that give at least ``frames`` frames."""
        return max(self.min_samples, self._first_frame + (frames - 1) * self.hop_length)

    @torch.no_grad()
    def forward(self, waveform: Tensor) -> Tensor:
        """Map (batch, samples) to (batch, mels, frames), in float32 even under autocast."""
        with torch.autocast(waveform.device.type, enabled=False):
            log_mels: Tensor = (self.torchfbank(waveform.float()) + self.floor).log()
            return log_mels - log_mels.mean(-1, keepdim=True)
