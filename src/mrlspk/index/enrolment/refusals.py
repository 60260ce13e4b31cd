"""Refuse recordings that say too little about a voice."""

from dataclasses import dataclass

from mrlspk.inference.embed_many import EmbeddedAudio
from mrlspk.inference.recording import SILENT

MIN_SPEECH_SECONDS = 1.0


@dataclass(frozen=True)
class Remark:
    """A remark on a recording, such as why it was refused.

    Attributes:
        name: Of the voice.
        source: Path of the recording, or its id in a vector file.
        reason: What is wrong with it.
    """

    name: str
    source: str
    reason: str

    def __str__(self) -> str:
        return f"{self.source} ({self.name}): {self.reason}"


def has_speech(found: EmbeddedAudio) -> bool:
    """Return whether a recording that was embedded holds speech."""
    return SILENT not in found.warnings and found.speech_seconds != 0


def refusal(found: EmbeddedAudio, *, min_speech_seconds: float) -> str | None:
    """Return why a recording is refused; None if it can be enrolled.

    Without a speech detector, all of a recording counts as speech unless it is silent.
    """
    if found.error is not None:
        return found.error.what
    if not has_speech(found):
        return "holds no speech"
    seconds = found.seconds if found.speech_seconds is None else found.speech_seconds
    if seconds is not None and seconds < min_speech_seconds:
        return f"has {seconds:.1f} s of speech, and a voice needs {min_speech_seconds:g} s"
    return None
