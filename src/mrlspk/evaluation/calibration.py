"""Define a calibration: likelihood ratios and thresholds of each width, and its JSON form."""

import math
from collections.abc import Collection, Sequence
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, FiniteFloat, PositiveInt, model_validator

from mrlspk.config.evaluation import SpeechMode
from mrlspk.errors import UsageError
from mrlspk.evaluation.thresholds import (
    ROUNDING,
    FalseAcceptThreshold,
    Nats,
    PriorThreshold,
    Rate,
    Record,
    bayes_threshold,
)

VERSION: Literal[1] = 1
SHOWN_SPEAKERS = 5

type ScoreNorm = Literal["none", "s", "as"]
type Quality = Literal["duration"]
type Positive = Annotated[FiniteFloat, Field(gt=0)]

# Beyond these limits the scores hardly depend on the speaker, or hardly vary; thresholds would lose their digits.
MIN_SCALE, MAX_SCALE = 1e-6, 1e9

type Scale = Annotated[FiniteFloat, Field(ge=MIN_SCALE, le=MAX_SCALE)]


class WidthCalibration(Record):
    """One width: the ratio is ``scale * score + offset + duration_weight * log(shorter side in seconds)``.

    Attributes:
        dim: The width.
        scale: In nats per unit of the score; positive, because a higher score favours the same speaker.
        offset: In nats.
        duration_weight: In nats per e-fold of the shorter side; None if the ratio does not depend on duration.
        priors: Thresholds at the requested priors.
        false_accepts: Thresholds at the requested false-accept rates.
    """

    dim: PositiveInt
    scale: Scale
    offset: Nats
    duration_weight: Nats | None
    priors: tuple[PriorThreshold, ...]
    false_accepts: tuple[FalseAcceptThreshold, ...]

    @model_validator(mode="after")
    def check_thresholds(self) -> Self:
        """Reject thresholds that do not lie on the line."""
        thresholds: tuple[PriorThreshold | FalseAcceptThreshold, ...] = (*self.priors, *self.false_accepts)
        for each in thresholds:
            if (each.score is None) != (self.duration_weight is not None):
                raise ValueError("expected thresholds as scores if and only if duration_weight is null")
            if each.score is not None and not self._on_line(each.score, each.llr):
                raise ValueError(f"a score of {each.score:g} does not have the ratio {each.llr:g}")
        return self

    def _on_line(self, score: float, llr: float) -> bool:
        size = max(abs(self.scale * score), abs(self.offset), abs(llr))
        return abs(self.scale * score + self.offset - llr) <= ROUNDING * size

    def bias(self, log_seconds: NDArray[np.float64] | float | None) -> NDArray[np.float64] | float:
        """Return the bias of the scaled score, given the logarithm of the shorter side in seconds."""
        if self.duration_weight is None or log_seconds is None:
            return self.offset
        return self.offset + self.duration_weight * log_seconds


class CalibrationTrials(Record):
    """A trial list that the calibration was fitted on.

    Attributes:
        path: The list's file.
        sha256: Of the list.
        n_target: Target trials.
        n_nontarget: Non-target trials.
        speakers: Names, sorted.
    """

    path: str
    sha256: str
    n_target: PositiveInt
    n_nontarget: PositiveInt
    speakers: tuple[str, ...]


class CohortRecord(Record):
    """The cohort of normalised scores: its folder or file, and its fingerprint."""

    path: str
    fingerprint: str


class Calibration(Record):
    """The calibration of one model at each of its widths (Brümmer and du Preez 2006).

    Attributes:
        version: Of the file format.
        fingerprint: Of the model.
        score_norm: How the scores were normalised: none, s or as.
        top_n: Highest cohort scores that AS-Norm uses.
        cohort: Of the normalisation.
        quality: What the ratios depend on besides the score.
        seconds_range: Shortest and longest shorter side of the fitted trials; a ratio that depends on duration uses the
            nearer end beyond them. None if it was fitted on vectors, whose durations are unknown.
        crop_seconds: Durations that the test sides were cropped to; None among them is the whole recording.
        fit_p_target: Prior at which the logistic regression weights its trials.
        speech: Part of each recording that was embedded; files without the key are of whole recordings. The channel is
            not recorded: it says which voice is heard, and does not move the scores.
        speech_detector: Version of the detector; None for whole recordings.
        trials: The lists that it was fitted on.
        scored_with: Name of the file whose scores it was fitted on: of a model that was refitted on the speakers of the
            trials too, the same recipe without them. None for the model itself.
        widths: Rising.
    """

    version: Literal[1]
    fingerprint: str
    score_norm: ScoreNorm
    top_n: PositiveInt | None
    cohort: CohortRecord | None
    quality: Quality | None
    seconds_range: tuple[Positive, Positive] | None = None
    crop_seconds: tuple[Positive | None, ...]
    fit_p_target: Rate
    speech: SpeechMode = "all"
    speech_detector: str | None = None
    trials: Annotated[tuple[CalibrationTrials, ...], Field(min_length=1)]
    scored_with: str | None = None
    widths: Annotated[tuple[WidthCalibration, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def check_parts(self) -> Self:
        """Reject parts that contradict each other."""
        if list(self.dims) != sorted(set(self.dims)):
            raise ValueError(f"widths must rise without repeats, got {self.dims}")
        if {each.duration_weight is not None for each in self.widths} != {self.quality == "duration"}:
            raise ValueError("quality contradicts the duration_weight of the widths")
        if self.quality is not None and self.seconds_range is None:
            raise ValueError("quality needs seconds_range")
        if self.seconds_range is not None and self.seconds_range[0] > self.seconds_range[1]:
            raise ValueError(f"seconds_range must rise, got {self.seconds_range}")
        if (self.score_norm == "none") != (self.cohort is None):
            raise ValueError("score_norm contradicts cohort")
        if (self.score_norm == "as") != (self.top_n is not None):
            raise ValueError("score_norm contradicts top_n")
        if (self.speech == "all") != (self.speech_detector is None):
            raise ValueError("speech contradicts speech_detector")
        if not all(each.priors for each in self.widths):
            raise ValueError("every width needs a threshold for at least one prior")
        return self

    @property
    def dims(self) -> tuple[int, ...]:
        """Calibrated widths, rising."""
        return tuple(each.dim for each in self.widths)

    @property
    def n_target(self) -> int:
        """Target trials of all lists."""
        return sum(each.n_target for each in self.trials)

    @property
    def n_nontarget(self) -> int:
        """Non-target trials of all lists."""
        return sum(each.n_nontarget for each in self.trials)

    @property
    def llr_bounds(self) -> tuple[float, float]:
        """The lowest and the highest ratio that the trials support: -ln(targets + 1) and ln(non-targets + 1).

        With one more non-target trial of the highest score, false accepts never fall below 1 / (non-targets + 1). A
        higher ratio would then cost more than no score at all: no normalised Bayes error rate supports it (Vergeer et
        al. 2016, "Numerical likelihood ratios outputted by LR systems are often based on extrapolation: when to stop
        extrapolating?", Science & Justice 56). Their bounds depend on the scores too, and are never wider than these.
        """
        return -math.log(self.n_target + 1), math.log(self.n_nontarget + 1)

    def describe_norm(self) -> str:
        """Return a description of the scores."""
        if self.cohort is None:
            return "cosines without normalisation"
        top = "" if self.top_n is None else f", top {self.top_n}"
        return f"`score_norm={self.score_norm}`, cohort {self.cohort.path}{top}"

    def describe_speech(self) -> str:
        """Return a description of the audio that was embedded."""
        return "whole recordings" if self.speech == "all" else f"`speech={self.speech}`, {self.speech_detector}"

    def width(self, dim: int) -> WidthCalibration:
        """Return the calibration of one width.

        Raises:
            UsageError: If it is not calibrated.
        """
        for each in self.widths:
            if each.dim == dim:
                return each
        known = ", ".join(map(str, self.dims))
        raise UsageError(f"width {dim} is not calibrated", fix=f"Calibrated widths: {known}.", parameter="dims")

    def llrs(
        self,
        scores: NDArray[np.floating],
        dims: Sequence[int],
        shorter_seconds: NDArray[np.floating] | Sequence[float] | None = None,
    ) -> NDArray[np.float64]:
        """Return natural-log likelihood ratios within `llr_bounds`, (trials, len(dims)).

        Args:
            scores: (trials, len(dims)), normalised as the calibration says.
            dims: Widths of the columns.
            shorter_seconds: (trials,), the shorter side of each trial; required if ``quality`` is duration.

        Raises:
            UsageError: If a width is not calibrated.
        """
        log_seconds = self._log_seconds(shorter_seconds)
        columns = [
            width.scale * scores[:, column] + width.bias(log_seconds)
            for column, width in enumerate(map(self.width, dims))
        ]
        return np.clip(np.stack(columns, axis=1).astype(np.float64), *self.llr_bounds)

    def threshold(self, dim: int, *, p_target: float | None = None, far: float | None = None) -> float:
        """Return the lowest log-likelihood ratio that is accepted, at a prior or at a false-accept rate.

        Any prior has a threshold, by Bayes' rule; a false-accept rate has one only if it was measured.

        Raises:
            UsageError: If not exactly one of the two is given, or the width or the rate is not calibrated.
        """
        if (p_target is None) == (far is None):
            raise UsageError("expected either a prior or a false-accept rate")
        if p_target is not None:
            return bayes_threshold(p_target)
        return self._false_accepts(dim, far).llr

    def score_threshold(
        self,
        dim: int,
        *,
        p_target: float | None = None,
        far: float | None = None,
        shorter_seconds: float | None = None,
    ) -> float | None:
        """Return the threshold as a score; None if it depends on the shorter side and that is not given.

        Raises:
            UsageError: As `threshold`.
        """
        width = self.width(dim)
        llr = self.threshold(dim, p_target=p_target, far=far)
        if self.quality is None and far is not None:
            return self._false_accepts(dim, far).score  # as measured, without rounding through the ratio
        if self.quality is not None and shorter_seconds is None:
            return None
        log_seconds = self._log_seconds(None if shorter_seconds is None else [shorter_seconds])
        bias = width.bias(None if log_seconds is None else float(log_seconds[0]))
        return float((llr - bias) / width.scale)

    def overlap(self, sha256: str, speakers: Collection[str]) -> str | None:
        """Return a warning if the calibration was fitted on these trials or speakers; None if it was not."""
        if any(each.sha256 == sha256 for each in self.trials):
            return "the calibration was fitted on these trials: Cllr and actDCF are too good; fit it on another list"
        shared = sorted(set(speakers) & {name for each in self.trials for name in each.speakers})
        if not shared:
            return None
        more = f" and {len(shared) - SHOWN_SPEAKERS} more" if len(shared) > SHOWN_SPEAKERS else ""
        return (
            f"the calibration was fitted on trials of {len(shared)} of these {len(set(speakers))} speakers "
            f"({', '.join(shared[:SHOWN_SPEAKERS])}{more}): Cllr and actDCF may be too good; fit it on other speakers"
        )

    def _false_accepts(self, dim: int, far: float | None) -> FalseAcceptThreshold:
        width = self.width(dim)
        for each in width.false_accepts:
            if each.far == far:
                return each
        known = ", ".join(f"{each.far:g}" for each in width.false_accepts) or "none"
        raise UsageError(
            f"a false-accept rate of {far:g} was not measured",
            fix=f"Measured: {known}. Calibrate again with `far={far:g}`.",
            parameter="far",
        )

    def _log_seconds(self, seconds: NDArray[np.floating] | Sequence[float] | None) -> NDArray[np.float64] | None:
        if self.quality is None or self.seconds_range is None:
            return None
        if seconds is None:
            raise ValueError("a calibration by duration needs the duration of the shorter side")
        return np.log(np.clip(np.asarray(seconds, dtype=np.float64), *self.seconds_range))
