"""Change tempo and pitch together, as Kaldi's speed perturbation does (Ko et al. 2015, Interspeech)."""

from fractions import Fraction
from functools import lru_cache

import torchaudio
from torch import Tensor

from mrlspk.config.data import MAX_SPEED_DENOMINATOR


def change_speed(waveform: Tensor, speed: float) -> Tensor:
    """Return (samples / speed,) with tempo and pitch multiplied by ``speed``."""
    faster: Tensor = _resampler(speed_ratio(speed))(waveform)
    return faster


@lru_cache(maxsize=16)  # its filters take as long to make as to apply to a crop
def _resampler(ratio: Fraction) -> torchaudio.transforms.Resample:
    return torchaudio.transforms.Resample(ratio.numerator, ratio.denominator)


def samples_before_speed(n_samples: int, speed: float) -> int:
    """Return how many samples `change_speed` needs to return at least ``n_samples``."""
    ratio = speed_ratio(speed)
    return -(-n_samples * ratio.numerator // ratio.denominator)


def speed_ratio(speed: float) -> Fraction:
    """Return ``speed`` as a ratio of small whole numbers."""
    return Fraction(speed).limit_denominator(MAX_SPEED_DENOMINATOR)
