"""Change the volume."""

from dataclasses import dataclass, replace

import numpy as np

from mrlspk.data.augmentation.effects import Effects


@dataclass(frozen=True)
class Volume:
    """A gain drawn uniformly from ``gain_range``, dB."""

    probability: float
    gain_range: tuple[float, float]

    def add(self, effects: Effects, n_samples: int, rng: np.random.Generator) -> Effects:  # noqa: ARG002
        """Return the effects with the gain."""
        return replace(effects, gain=effects.gain * 10 ** (rng.uniform(*self.gain_range) / 20))
