"""The protocol of speech detectors: blocks of a waveform in, intervals of speech out."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mrlspk.config.evaluation import SpeechMode


class SpeechSearch(Protocol):
    """The search for speech in one recording, fed block after block in constant memory.

    The intervals are the same however the recording is cut into blocks.
    """

    def add(self, block: NDArray[np.float32]) -> None:
        """Take the next samples (samples,) of the recording."""
        ...

    def intervals(self) -> NDArray[np.int64]:
        """Return the speech among the samples so far as (n, 2) samples: start, and end without the end itself.

        Intervals rise, do not touch and lie within the recording. Without speech there is none.
        """
        ...


class SpeechDetector(Protocol):
    """A detector of speech in mono audio at 16 kHz.

    Attributes:
        name: As a user chooses it, such as ``auto``.
        version: Changes with the algorithm, its constants and its model file: what depends on the speech of a
            recording depends on it.
    """

    @property
    def name(self) -> SpeechMode: ...  # noqa: D102

    @property
    def version(self) -> str: ...  # noqa: D102

    def search(self) -> SpeechSearch:
        """Begin with a recording."""
        ...
