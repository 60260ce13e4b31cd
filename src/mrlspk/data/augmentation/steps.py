"""Augment training crops; every random choice comes from the generator that is passed in."""

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
import torchaudio
from torch import Tensor

from mrlspk.config.data import MAX_SPEED_DENOMINATOR
from mrlspk.data.audio import load_audio, random_crop
from mrlspk.data.corpora.walk import list_audio
from mrlspk.errors import DataError


class AugmentationStep(Protocol):
    """One kind of augmentation, applied to a share of the crops."""

    @property
    def probability(self) -> float:
        """Share of the crops, in [0, 1]."""

    def apply(self, waveform: Tensor, rng: np.random.Generator) -> Tensor:
        """Return the augmented waveform (samples,), of the same length."""


@dataclass(frozen=True)
class Augmentation:
    """Steps applied one after another, each with its probability."""

    steps: tuple[AugmentationStep, ...]

    def __call__(self, waveform: Tensor, rng: np.random.Generator) -> Tensor:
        """Return the augmented waveform (samples,)."""
        for step in self.steps:
            if rng.random() < step.probability:
                waveform = step.apply(waveform, rng)
        return waveform

    def prepare(self, waveform: Tensor, rng: np.random.Generator) -> tuple[Tensor, ...]:
        """Return (samples,) as far as a decoding process augments it, and what `finish` needs beside it.

        Tensors have the same shapes for every crop: a batch stacks them.
        """
        return (self(waveform, rng),)

    def finish(self, waveforms: Tensor, *_extras: Tensor) -> Tensor:
        """Return (batch, samples) augmented to the end, on their device; ``extras`` are stacked by `prepare`."""
        return waveforms


@dataclass(frozen=True)
class GaussianNoise:
    """White noise at a signal-to-noise ratio drawn uniformly from ``snr_range``, dB."""

    probability: float
    snr_range: tuple[float, float]

    def apply(self, waveform: Tensor, rng: np.random.Generator) -> Tensor:
        """Return (samples,) with noise."""
        noise = torch.from_numpy(rng.standard_normal(waveform.numel(), dtype=np.float32))
        return mix_at_snr(waveform, noise, rng.uniform(*self.snr_range))


@dataclass(frozen=True)
class Volume:
    """A gain drawn uniformly from ``gain_range``, dB."""

    probability: float
    gain_range: tuple[float, float]

    def apply(self, waveform: Tensor, rng: np.random.Generator) -> Tensor:
        """Return (samples,) louder or softer."""
        return waveform * 10 ** (rng.uniform(*self.gain_range) / 20)


@dataclass(frozen=True)
class RecordedNoise:
    """A random part of a random recording, at a signal-to-noise ratio drawn uniformly from ``snr_range``, dB."""

    paths: tuple[Path, ...]
    probability: float
    snr_range: tuple[float, float]

    def apply(self, waveform: Tensor, rng: np.random.Generator) -> Tensor:
        """Return (samples,) with noise; a recording that is too short is repeated."""
        noise = random_crop(self.paths[rng.integers(len(self.paths))], waveform.numel(), rng)
        return mix_at_snr(waveform, noise, rng.uniform(*self.snr_range))


@dataclass(frozen=True)
class RoomResponse:
    """Convolution with a random room impulse response."""

    paths: tuple[Path, ...]
    probability: float

    def apply(self, waveform: Tensor, rng: np.random.Generator) -> Tensor:
        """Return (samples,) with the reverberation of the room."""
        return reverberate(waveform, load_audio(self.paths[rng.integers(len(self.paths))]))


def mix_at_snr(waveform: Tensor, noise: Tensor, snr_db: float) -> Tensor:
    """Return ``waveform`` plus ``noise``, both (samples,), at a ratio of mean powers of ``snr_db``.

    If either is silent there is no ratio, and ``waveform`` is returned unchanged.
    """
    signal_power, noise_power = waveform.square().mean().item(), noise.square().mean().item()
    if signal_power == 0 or noise_power == 0:
        return waveform
    gain: float = (signal_power / (noise_power * 10 ** (snr_db / 10))) ** 0.5
    return waveform + gain * noise


def reverberate(waveform: Tensor, response: Tensor) -> Tensor:
    """Return ``waveform`` (samples,) convolved with ``response``: same length, alignment and energy."""
    direct = int(response.abs().argmax())
    wet: Tensor = torchaudio.functional.fftconvolve(waveform, response)[direct : direct + waveform.numel()]
    energy = wet.square().sum()
    return wet * (waveform.square().sum() / energy).sqrt() if energy > 0 else waveform


def change_speed(waveform: Tensor, speed: float) -> Tensor:
    """Return (samples / speed,) with tempo and pitch multiplied by ``speed``."""
    ratio = speed_ratio(speed)
    faster: Tensor = torchaudio.functional.resample(waveform, ratio.numerator, ratio.denominator)
    return faster


def samples_before_speed(n_samples: int, speed: float) -> int:
    """Return how many samples `change_speed` needs to return at least ``n_samples``."""
    ratio = speed_ratio(speed)
    return -(-n_samples * ratio.numerator // ratio.denominator)


def speed_ratio(speed: float) -> Fraction:
    """Return ``speed`` as a ratio of small whole numbers."""
    return Fraction(speed).limit_denominator(MAX_SPEED_DENOMINATOR)


def list_recordings(folder: Path) -> tuple[Path, ...]:
    """Return every audio file under ``folder``, sorted.

    Raises:
        DataError: If the folder is absent or holds no audio.
    """
    paths = tuple(folder / name for name in list_audio(folder))
    if not paths:
        raise DataError("expected recordings, got no audio at all", folder, "Name a folder of audio files, or null.")
    return paths
