"""Name an utterance that is at hand as a vector only."""

from dataclasses import dataclass
from typing import BinaryIO

from mrlspk.data.audio.source import AudioSource


@dataclass(frozen=True, slots=True)
class VectorSource(AudioSource):
    """An utterance whose audio is elsewhere."""

    utterance_id: str

    def __str__(self) -> str:
        return self.utterance_id

    def open(self) -> BinaryIO:
        """Fail: there is no audio."""
        raise OSError("is a stored vector, not audio")

    def size(self) -> int:
        """Fail: there is no audio."""
        raise OSError("is a stored vector, not audio")

    @property
    def suffix(self) -> str:
        """No suffix."""
        return ""
