"""Define the calibration of an index: ratios and false-accept rates by width and seconds of speech."""

import math
from dataclasses import dataclass
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt, model_validator

from mrlspk.config.evaluation import SpeechMode
from mrlspk.errors import UsageError
from mrlspk.evaluation.calibration import Positive, WidthCalibration
from mrlspk.evaluation.thresholds import Record
from mrlspk.index.decisions.tail import Tail, rate_of_all, rate_per_voice


@dataclass(frozen=True)
class Threshold:
    """The lowest ratio that is accepted.

    Attributes:
        llr: Natural-log likelihood ratio, beyond the bounds of `IndexCalibration.llr_bounds` if need be.
        score: The same as a cosine.
        rate_per_voice: False-accept rate of one voice at it.
        false_accept_rate: False-accept rate of all voices at it.
        is_extrapolated: Whether the rate per voice is lower than any that was measured.
    """

    llr: float
    score: float
    rate_per_voice: float
    false_accept_rate: float
    is_extrapolated: bool


class WidthDecisions(Record):
    """One width: the line from cosines to ratios, and the rates at which other speakers reach them.

    Attributes:
        line: ``scale * cosine + offset + duration_weight * log(seconds of speech of the query)``.
        tails: By rising number of voices, the first of one voice.
    """

    line: WidthCalibration
    tails: Annotated[tuple[Tail, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def check_tails(self) -> Self:
        """Reject tails out of order."""
        sizes = [each.n_voices for each in self.tails]
        if sizes != sorted(set(sizes)) or sizes[0] != 1:
            raise ValueError("expected tails of rising numbers of voices, from one voice")
        return self

    def tail(self, n_voices: int) -> Tail:
        """Return the tail of as many voices, or of the next fewer, which is not lower."""
        return [each for each in self.tails if each.n_voices <= max(n_voices, 1)][-1]


class IndexCalibration(Record):
    """The calibration of one index, fitted to the voices in it; read it back with ``model_validate_json``.

    Attributes:
        version: Of the format.
        fingerprint: Of the model; None if the vectors name none.
        speech: Part of each recording that was embedded.
        speech_detector: Version of the detector; None for whole recordings.
        created: Date and time, ISO 8601.
        mrlspk_version: That fitted it.
        n_voices: Voices of the trials.
        n_target_voices: Voices with target trials.
        n_across_folders: Of these, voices whose target trials compare recordings of different folders.
        n_target: Target trials: a recording against its voice without the recordings of its folder, or without itself.
        n_nontarget: Non-target trials: a recording against another voice.
        cut_seconds: Seconds of speech that recordings were also cut to.
        seconds_range: Least and most seconds of speech of a query; beyond them the nearer end is used.
        typical_seconds: Median; used for a query whose seconds are unknown.
        widths: Rising.
    """

    version: Literal[1]
    fingerprint: str | None
    speech: SpeechMode
    speech_detector: str | None
    created: str
    mrlspk_version: str
    n_voices: PositiveInt
    n_target_voices: PositiveInt
    n_across_folders: int
    n_target: PositiveInt
    n_nontarget: PositiveInt
    cut_seconds: tuple[Positive, ...]
    seconds_range: tuple[Positive, Positive]
    typical_seconds: Positive
    widths: Annotated[tuple[WidthDecisions, ...], Field(min_length=1)]

    @property
    def dims(self) -> tuple[int, ...]:
        """Calibrated widths, rising."""
        return tuple(each.line.dim for each in self.widths)

    @property
    def llr_bounds(self) -> tuple[float, float]:
        """The lowest and the highest ratio that the trials support, as of `evaluation.calibration.Calibration`."""
        return -math.log(self.n_target + 1), math.log(self.n_nontarget + 1)

    def width(self, dim: int) -> WidthDecisions:
        """Return the calibration of one width.

        Raises:
            UsageError: If it is not calibrated.
        """
        for each in self.widths:
            if each.line.dim == dim:
                return each
        known = ", ".join(map(str, self.dims))
        raise UsageError(
            f"width {dim} of the index is not calibrated", fix=f"Calibrated widths: {known}.", parameter="dim"
        )

    def llrs(self, scores: NDArray[np.floating], dim: int, speech_seconds: float | None) -> NDArray[np.float64]:
        """Return natural-log likelihood ratios of cosines, (scores,), not limited to `llr_bounds`.

        Args:
            scores: (scores,), cosines of one query.
            dim: Their width.
            speech_seconds: Of the query; None if it is unknown.

        Raises:
            UsageError: If the width is not calibrated.
        """
        line = self.width(dim).line
        ratios = line.scale * scores + line.bias(math.log(self.seconds_used(speech_seconds)))
        return np.asarray(ratios, dtype=np.float64)

    def false_accept_rate(self, llr: float, n_voices: int, dim: int) -> float:
        """Return how often a recording of nobody enrolled reaches ``llr`` against one of ``n_voices``.

        It is 1 - (1 - FAR)^N: the false-positive identification rate (FPIR) of ISO/IEC 19795-1. `Tail` says how FAR is
        measured. Voices that resemble the query more than those of the calibration make it too low.
        """
        return rate_of_all(self.width(dim).tail(n_voices).rate(llr), n_voices)

    def threshold(self, false_accept_rate: float, n_voices: int, dim: int, speech_seconds: float | None) -> Threshold:
        """Return the threshold at which ``n_voices`` together have ``false_accept_rate``.

        Raises:
            UsageError: If the width is not calibrated, or a rate or number is out of range.
        """
        if not 0 < false_accept_rate < 1:
            raise UsageError(
                f"expected a false-accept rate between 0 and 1, got {false_accept_rate:g}",
                parameter="false_accept_rate",
            )
        if n_voices < 1:
            raise UsageError(f"expected one voice or more, got {n_voices}")
        width, seconds = self.width(dim), self.seconds_used(speech_seconds)
        tail, per_voice = width.tail(n_voices), rate_per_voice(false_accept_rate, n_voices)
        llr = tail.threshold(per_voice)
        score = float((llr - width.line.bias(math.log(seconds))) / width.line.scale)
        return Threshold(llr, score, per_voice, false_accept_rate, is_extrapolated=per_voice < tail.lowest_measured)

    def seconds_used(self, speech_seconds: float | None) -> float:
        """Return the seconds of speech that a query is taken to have."""
        if speech_seconds is None or not math.isfinite(speech_seconds):
            return self.typical_seconds
        return min(max(speech_seconds, self.seconds_range[0]), self.seconds_range[1])
