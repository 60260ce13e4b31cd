"""Describe one utterance of a corpus."""

from dataclasses import dataclass, field

from mrlspk.data.audio.source import AudioSource


@dataclass(frozen=True, slots=True)
class Utterance:
    """One utterance of a corpus.

    Attributes:
        utterance_id: Unique in the corpus; of a file, its path relative to the corpus, with forward slashes.
        speaker_id: Who speaks.
        session_id: Utterances of one speaker with the same id were recorded in one session.
        source: Where the audio is.
        seconds: Its length, if the corpus says so; it does not count when utterances are compared.
        weight: How often it is used in an epoch of training; 0.5: in every other one.
    """

    utterance_id: str
    speaker_id: str
    session_id: str
    source: AudioSource
    seconds: float | None = field(default=None, compare=False)
    weight: float = 1.0
