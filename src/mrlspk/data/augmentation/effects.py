"""Define the effects of a crop, and apply them: reverberation, then noise, gain and transmission."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import fft

type Samples = NDArray[np.float32]


class Transmission(Protocol):
    """A line or a codec that speech passes through; only a decoding process can apply it."""

    def transmit(self, samples: Samples) -> Samples:
        """Return what comes out for (samples,): of the same length, level and alignment."""


@dataclass(frozen=True)
class Response:
    """An impulse response (taps,), and the index of its direct sound."""

    taps: Samples
    direct: int


@dataclass(frozen=True)
class Effects:
    """What is drawn for one crop, before anything is done to it.

    Attributes:
        response: Of a room; None: no reverberation.
        noise: (samples,) at its level relative to the root mean square of the reverberated speech; None: no noise.
        gain: Factor of speech and noise.
        transmissions: What they pass through, in order.
    """

    response: Response | None = None
    noise: Samples | None = None
    gain: float = 1.0
    transmissions: tuple[Transmission, ...] = ()


def apply_effects(samples: Samples, effects: Effects) -> Samples:
    """Return (samples,) with the effects."""
    if effects.response is not None:
        samples = reverberate(samples, effects.response)
    if effects.noise is not None:
        samples = samples + np.float32(root_mean_square(samples)) * effects.noise
    if effects.gain != 1:
        samples = samples * np.float32(effects.gain)
    for transmission in effects.transmissions:
        samples = transmission.transmit(samples)
    return samples


def reverberate(samples: Samples, response: Response) -> Samples:
    """Return ``samples`` (samples,) convolved with a response: of the same length, alignment and energy.

    It takes scipy's FFT: that of torch takes ten times as long on a CPU.
    """
    n_fft = fft.next_fast_len(len(samples) + len(response.taps) - 1, real=True)
    product = fft.rfft(samples, n_fft) * fft.rfft(response.taps, n_fft)
    wet: Samples = fft.irfft(product, n_fft)[response.direct : response.direct + len(samples)]
    level = root_mean_square(wet)
    return wet * np.float32(root_mean_square(samples) / level) if level > 0 else samples


def root_mean_square(samples: Samples) -> float:
    """Return the root of the mean power."""
    return float(np.sqrt(np.square(samples).mean(dtype=np.float64)))
