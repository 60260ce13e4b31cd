"""Add white noise, or recordings of noise, music and talkers, at a drawn ratio to the speech."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from mrlspk.data.augmentation.categories import Choice
from mrlspk.data.augmentation.effects import Effects, Samples, root_mean_square
from mrlspk.data.augmentation.recordings import Recordings

TALKERS = "speech"  # the category whose recordings are mixed with each other


@dataclass(frozen=True)
class GaussianNoise:
    """White noise at a signal-to-noise ratio drawn uniformly from ``snr_range``, dB."""

    probability: float
    snr_range: tuple[float, float]

    def add(self, effects: Effects, n_samples: int, rng: np.random.Generator) -> Effects:
        """Return the effects with the noise."""
        noise = rng.standard_normal(n_samples, dtype=np.float32)
        return add_noise(effects, noise, rng.uniform(*self.snr_range))


@dataclass(frozen=True)
class RecordedNoise:
    """A random part of a recording; of talkers, those of several.

    Attributes:
        recordings: Noise, music and talkers.
        choice: How one is chosen.
        probability: Share of the crops.
        snr_ranges: Signal-to-noise ratio of each recording, by category, dB; each talker has his own.
        talkers: Fewest and most talkers.
    """

    recordings: Recordings
    choice: Choice
    probability: float
    snr_ranges: Mapping[str, tuple[float, float]]
    talkers: tuple[int, int]

    def add(self, effects: Effects, n_samples: int, rng: np.random.Generator) -> Effects:
        """Return the effects with the noise; a recording that is too short is repeated."""
        category, index = self.choice.draw(rng)
        indices = [index]
        if category == TALKERS:
            indices = self.choice.more_of(category, int(rng.integers(*self.talkers, endpoint=True)), rng)
        for each in indices:
            noise = self.recordings.crop(each, n_samples, rng)
            effects = add_noise(effects, noise, rng.uniform(*self.snr_ranges[category]))
        return effects


def add_noise(effects: Effects, noise: Samples, snr_db: float) -> Effects:
    """Return the effects with ``noise`` (samples,) at a ratio of mean powers of speech and noise; silence adds nothing.

    The ratio is to the speech alone, whatever else is added.
    """
    level = root_mean_square(noise)
    if level == 0:
        return effects
    scaled = noise * np.float32(10 ** (-snr_db / 20) / level)
    return replace(effects, noise=scaled if effects.noise is None else effects.noise + scaled)
