"""Refuse recordings that say too little about a voice."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from mrlspk.inference.recording import SILENT

MIN_SPEECH_SECONDS = 1.0


@dataclass(frozen=True)
class Remark:
    """A remark on a recording, such as why it was refused.

    Attributes:
        name: Of the voice.
        source: Absolute path of the recording, or its id in a vector file.
        reason: What is wrong with it.
    """

    name: str
    source: str
    reason: str

    def __str__(self) -> str:
        return f"{shown_source(self.source)} ({self.name}): {self.reason}"


def shown_source(source: str) -> str:
    """Return a path to show: relative to the working directory if it lies below it; an id as it is."""
    path, here = Path(source), Path.cwd()
    return str(path.relative_to(here)) if path.is_relative_to(here) else source


class Heard(Protocol):
    """What is known of a recording beside its vector."""

    @property
    def seconds(self) -> float | None:
        """Its length."""

    @property
    def speech_seconds(self) -> float | None:
        """Speech in it; None if it was not searched."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Such as ``silent``."""


def refusal(heard: Heard, *, min_speech_seconds: float) -> str | None:
    """Return why a recording that was embedded is refused; None if it can be enrolled.

    Without a speech detector, all of a recording counts as speech unless it is silent.
    """
    if SILENT in heard.warnings or heard.speech_seconds == 0:
        return "holds no speech"
    seconds = heard.seconds if heard.speech_seconds is None else heard.speech_seconds
    if seconds is not None and seconds < min_speech_seconds:
        return f"has {seconds:.1f} s of speech, and a voice needs {min_speech_seconds:g} s"
    return None
