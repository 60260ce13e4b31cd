"""Define a recording, its embedding, and a recording that is too short to embed."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.audio.source import AudioSource

SILENT, SHORT, QUIET = "silent", "short", "quiet"  # warnings: no speech, under a second of it, or too faint to tell


@dataclass(frozen=True)
class Recording:
    """Audio to embed: all of a source, or its middle ``crop_seconds``; of the speech in it, if that is searched.

    A source with less than the crop counts as too short, unless ``short_is_whole``: then all of it is taken.
    """

    source: AudioSource
    crop_seconds: float | None = None
    short_is_whole: bool = False

    def __str__(self) -> str:
        """Return the source, and the length of the crop if there is one."""
        return f"{self.source}" if self.crop_seconds is None else f"{self.source} (the middle {self.crop_seconds:g} s)"


@dataclass(frozen=True, eq=False)
class EmbeddedRecording:
    """The embedding of one recording.

    Attributes:
        vector: (embed_dim,) float32, not of unit length.
        seconds: Length of the audio; of a crop, its own length.
        warnings: Such as ``silent``.
        speech_seconds: Length of the speech that was found and embedded; 0 if none was found, and all was embedded;
            None if all audio was to be embedded.
    """

    vector: NDArray[np.float32]
    seconds: float
    warnings: tuple[str, ...] = ()
    speech_seconds: float | None = None

    @property
    def embedded_seconds(self) -> float:
        """Length of what was embedded: speech if some was found, else all audio."""
        return self.speech_seconds or self.seconds


@dataclass(frozen=True)
class TooShort:
    """A recording without an embedding, since its source has only ``seconds``, less than its crop."""

    seconds: float
