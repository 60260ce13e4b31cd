"""Define what searches, identifications and verifications of an index return."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from mrlspk.errors import MrlspkError

if TYPE_CHECKING:
    from mrlspk.index.decisions.decide import Verdict
    from mrlspk.index.funnel.search import Stage


@dataclass(frozen=True)
class Match:
    """A voice that was found.

    Attributes:
        name: Of the voice.
        score: Cosine of the query with the nearest profile of the voice, in [-1, 1].
        llr: Natural-log likelihood ratio of the same speaker; None without a calibration, and of a query without
            speech.
    """

    name: str
    score: float
    llr: float | None = None


@dataclass(frozen=True)
class Asked:
    """A query.

    Attributes:
        source: Its path; None for an array.
        seconds: Length of the recording; None for vectors.
        speech_seconds: Speech in it; 0 if none was found; None if that is unknown.
        warnings: Such as ``silent``.
    """

    source: str | None = None
    seconds: float | None = None
    speech_seconds: float | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True)
class SearchResult:
    """The voices nearest to a query.

    Attributes:
        query: What was asked.
        results: The best voices, each once, best first.
        dim: Width that was compared.
        voices: How many voices were searched.
        stages: What the search of the whole batch read, and how long it took.
        error: Why the query could not be embedded; None if it was.
    """

    query: Asked
    results: tuple[Match, ...]
    dim: int
    voices: int
    stages: "tuple[Stage, ...]" = ()
    error: MrlspkError | None = None


@dataclass(frozen=True)
class Identification:
    """Who a query is.

    Attributes:
        query: What was asked.
        decision: ``accept`` one voice, ``unknown``, or ``ambiguous``; None without a calibration, or without speech.
        names: The voice that is accepted, or those that are ambiguous; else empty.
        candidates: The best voices, best first.
        dim: Width that was compared.
        voices: How many voices were searched.
        false_accept_rate: How often a search over so many voices accepts someone who is not enrolled; None without a
            decision.
        threshold: Cosine from which on a voice is accepted; likewise.
        warnings: What makes the decision less reliable, or why there is none.
        error: Why the query could not be embedded; None if it was.
    """

    query: Asked
    decision: "Verdict | None"
    names: tuple[str, ...]
    candidates: tuple[Match, ...]
    dim: int
    voices: int
    false_accept_rate: float | None = None
    threshold: float | None = None
    warnings: tuple[str, ...] = ()
    error: MrlspkError | None = None

    @property
    def name(self) -> str | None:
        """The voice that is accepted; None if none is."""
        return self.names[0] if self.decision == "accept" else None


@dataclass(frozen=True)
class Verification:
    """Whether a query is one voice.

    Attributes:
        query: What was asked.
        name: Of the voice.
        same: Whether it is the same speaker; None without a calibration, or without speech.
        score: Cosine with the nearest profile of the voice, in [-1, 1].
        llr: Natural-log likelihood ratio; None without a calibration, or without speech.
        dim: Width that was compared.
        false_accept_rate: How often another speaker is accepted; None without a decision.
        threshold: Cosine from which on the voice is accepted; likewise.
        warnings: What makes the decision less reliable, or why there is none.
    """

    query: Asked
    name: str
    same: bool | None
    score: float
    llr: float | None
    dim: int
    false_accept_rate: float | None = None
    threshold: float | None = None
    warnings: tuple[str, ...] = ()
