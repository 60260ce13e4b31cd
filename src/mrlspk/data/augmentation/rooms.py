"""Reverberate speech with recorded or simulated responses of rooms."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.augmentation.categories import Choice
from mrlspk.data.augmentation.effects import Effects, Response
from mrlspk.data.augmentation.recordings import Recordings

LEAD = 1_600  # taps in front of the direct sound that are used; nothing but noise is farther ahead
TAIL = 16_000  # taps from the direct sound on: a second
TAPS = LEAD + TAIL


@dataclass(frozen=True)
class RoomResponse:
    """Convolution with one channel of a response, from the one second that follows its direct sound.

    Attributes:
        recordings: The responses.
        choice: How one is chosen.
        probability: Share of the crops.
    """

    recordings: Recordings
    choice: Choice
    probability: float

    def add(self, effects: Effects, n_samples: int, rng: np.random.Generator) -> Effects:  # noqa: ARG002
        """Return the effects with the response; a silent one changes nothing."""
        taps = self.recordings.channel(self.choice.draw(rng)[1], rng)
        return replace(effects, response=cut_response(taps)) if taps.any() else effects


def cut_response(taps: NDArray[np.float32]) -> Response:
    """Return the part of a response around its direct sound, which is its largest tap."""
    direct = int(np.abs(taps).argmax())
    begin = max(direct - LEAD, 0)
    return Response(taps[begin : direct + TAIL], direct - begin)
