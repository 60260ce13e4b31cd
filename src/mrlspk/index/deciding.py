"""Decide on queries by the calibration that an index keeps."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from mrlspk.errors import MrlspkError, shorten
from mrlspk.index.queries import Queries
from mrlspk.index.results import Asked, Identification, Match, Verification
from mrlspk.index.store.snapshot import Snapshot

if TYPE_CHECKING:
    from mrlspk.index.decisions.calibration import IndexCalibration
    from mrlspk.index.decisions.decide import Decision

CALIBRATION = "calibration"  # the setting that holds it
NOT_CALIBRATED = "the index has no calibration"
NO_SPEECH = "no speech was found"
FALSE_ACCEPT_RATE = 0.01
MARGIN = 2.302585092994046  # ln 10: the best voice is ten times as likely as the next


@dataclass(frozen=True)
class DecisionOptions:
    """When a voice is accepted.

    Attributes:
        false_accept_rate: Share of recordings of nobody enrolled that a search may accept.
        margin: Nats by which the best voice has to lead the next.
    """

    false_accept_rate: float = FALSE_ACCEPT_RATE
    margin: float = MARGIN


def read_calibration(snapshot: Snapshot) -> "IndexCalibration | None":
    """Return the calibration of an index; None if it has none.

    Raises:
        MrlspkError: If it cannot be understood, such as one of a newer version.
    """
    text = snapshot.setting(CALIBRATION)
    if text is None:
        return None
    from mrlspk.index.decisions.calibration import IndexCalibration

    try:
        return IndexCalibration.model_validate_json(text)
    except ValueError as error:
        what = f"the calibration of the index cannot be understood: {shorten(str(error))}"
        raise MrlspkError(what, fix="Calibrate the index again.") from error


@dataclass(frozen=True)
class Judge:
    """Decides on queries.

    Attributes:
        calibration: Of the index; None without one.
        options: When a voice is accepted.
        dim: Width of the scores.
        n_voices: How many voices were searched.
        n_enrolled: How many there are, if a filter left some out.
    """

    calibration: "IndexCalibration | None"
    options: DecisionOptions
    dim: int
    n_voices: int
    n_enrolled: int | None = None

    def identify(self, queries: Queries, place: int, matches: tuple[Match, ...], *, k: int) -> Identification:
        """Return who one of some queries is, with the first ``k`` of its two best voices or more.

        Raises:
            UsageError: If the width is not calibrated, or an option is out of range.
        """
        asked, error = queries.asked[place], queries.errors[place]
        if error is not None:
            return Identification(asked, None, (), (), self.dim, self.n_voices, error=error)
        decided = self._decide(asked, matches, has_speech=queries.has_speech(place))
        if isinstance(decided, str):
            return Identification(asked, None, (), matches[:k], self.dim, self.n_voices, warnings=(decided,))
        return Identification(
            asked,
            decided.verdict,
            tuple(each.name for each in matches[: decided.n_accepted]),
            _with_ratios(matches, decided)[:k],
            self.dim,
            self.n_voices,
            decided.false_accept_rate,
            decided.threshold.score,
            (*decided.warnings, *self._warn_of_filter()),
        )

    def _warn_of_filter(self) -> Iterator[str]:
        """Yield what a filter does to the rate: on real speech, four times as many false accepts among one sex."""
        if self.n_enrolled is not None and self.n_voices < self.n_enrolled:
            yield (
                f"the filter leaves {self.n_voices} of {self.n_enrolled} voices: if they are alike, such as those of "
                "one sex, the true rate of false accepts is several times the one that is told"
            )

    def verify(self, queries: Queries, match: Match) -> Verification:
        """Return whether the only query is a voice.

        Raises:
            MrlspkError: If it could not be embedded.
            UsageError: As of `identify`.
        """
        raise_error(queries.errors[0])
        asked = queries.asked[0]
        decided = self._decide(asked, (match,), has_speech=queries.has_speech(0))
        if isinstance(decided, str):
            return Verification(asked, match.name, None, match.score, None, self.dim, warnings=(decided,))
        return Verification(
            asked,
            match.name,
            decided.verdict == "accept",
            match.score,
            float(decided.llrs[0]),
            self.dim,
            decided.false_accept_rate,
            decided.threshold.score,
            decided.warnings,
        )

    def _decide(self, asked: Asked, matches: tuple[Match, ...], *, has_speech: bool) -> "Decision | str":
        """Return the decision on a query, or why there is none."""
        if not has_speech:
            return NO_SPEECH
        if self.calibration is None:
            return NOT_CALIBRATED
        from mrlspk.index.decisions.decide import decide

        return decide(
            self.calibration,
            np.array([each.score for each in matches]),
            dim=self.dim,
            n_voices=self.n_voices,
            speech_seconds=asked.speech_seconds if asked.speech_seconds is not None else asked.seconds,
            false_accept_rate=self.options.false_accept_rate,
            margin=self.options.margin,
        )


def raise_error(error: MrlspkError | None) -> None:
    """Raise an error, if there is one."""
    if error is not None:
        raise error


def _with_ratios(matches: tuple[Match, ...], decided: "Decision") -> tuple[Match, ...]:
    return tuple(replace(match, llr=float(llr)) for match, llr in zip(matches, decided.llrs, strict=True))
