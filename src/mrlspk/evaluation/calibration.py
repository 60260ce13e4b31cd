"""Scores to natural-log likelihood ratios, and the thresholds that decide: what a calibration file holds."""

from collections.abc import Collection, Sequence
from typing import Annotated, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, PositiveInt, model_validator

from mrlspk.errors import UsageError
from mrlspk.evaluation.calibration_parts import (
    CalibrationTrials,
    CohortRecord,
    FalseAcceptThreshold,
    Positive,
    Rate,
    Record,
    WidthCalibration,
    bayes_threshold,
)

VERSION: Literal[1] = 1
SHOWN_SPEAKERS = 5

type ScoreNorm = Literal["none", "s", "as"]
type Quality = Literal["duration"]


class Calibration(Record):
    """The calibration of one model, at each of its widths (Brümmer and du Preez 2006).

    Attributes:
        version: Of the file format.
        fingerprint: Of the model.
        score_norm: How the scores were normalised: none, s or as.
        top_n: Nearest cohort scores of the adaptive normalisation.
        cohort: Of the normalisation.
        quality: What beside the score the ratios depend on.
        seconds_range: The shorter sides of the fitting trials: the shortest and the longest. Where lengths are looked
            at, the nearer end is taken beyond it.
        crop_seconds: Lengths that the recordings were cut to, each in its turn; None among them: whole files.
        fit_p_target: Prior at which the logistic regression weighs its trials.
        trials: The lists that it was fitted on.
        widths: Rising.
    """

    version: Literal[1]
    fingerprint: str
    score_norm: ScoreNorm
    top_n: PositiveInt | None
    cohort: CohortRecord | None
    quality: Quality | None
    seconds_range: tuple[Positive, Positive]
    crop_seconds: tuple[Positive | None, ...]
    fit_p_target: Rate
    trials: Annotated[tuple[CalibrationTrials, ...], Field(min_length=1)]
    widths: Annotated[tuple[WidthCalibration, ...], Field(min_length=1)]

    @model_validator(mode="after")
    def check_parts(self) -> Self:
        """Refuse parts that contradict each other."""
        if list(self.dims) != sorted(set(self.dims)):
            raise ValueError(f"widths must rise without repeats, got {self.dims}")
        if {each.duration_weight is not None for each in self.widths} != {self.quality == "duration"}:
            raise ValueError("quality and the widths' duration_weight do not go together")
        if self.seconds_range[0] > self.seconds_range[1]:
            raise ValueError(f"seconds_range must rise, got {self.seconds_range}")
        if (self.score_norm == "none") != (self.cohort is None):
            raise ValueError("score_norm and cohort do not go together")
        if (self.score_norm == "as") != (self.top_n is not None):
            raise ValueError("score_norm and top_n do not go together")
        if not all(each.priors for each in self.widths):
            raise ValueError("every width needs a threshold at one prior at least")
        return self

    @property
    def dims(self) -> tuple[int, ...]:
        """The widths that are calibrated, rising."""
        return tuple(each.dim for each in self.widths)

    def describe_norm(self) -> str:
        """Return in words what the scores are."""
        if self.cohort is None:
            return "cosines without normalisation"
        top = "" if self.top_n is None else f", top {self.top_n}"
        return f"--score-norm {self.score_norm}, cohort {self.cohort.path}{top}"

    def width(self, dim: int) -> WidthCalibration:
        """Return the calibration of one width.

        Raises:
            UsageError: If it has none.
        """
        for each in self.widths:
            if each.dim == dim:
                return each
        known = ", ".join(map(str, self.dims))
        raise UsageError(f"a width of {dim} is not calibrated", "--dims", f"The calibration has {known}.")

    def llrs(
        self,
        scores: NDArray[np.floating],
        dims: Sequence[int],
        shorter_seconds: NDArray[np.floating] | Sequence[float] | None = None,
    ) -> NDArray[np.float64]:
        """Return natural-log likelihood ratios, (trials, len(dims)).

        Args:
            scores: (trials, len(dims)), normalised as the calibration says.
            dims: Widths of the columns.
            shorter_seconds: (trials,), the shorter side of each trial; needed where ``quality`` is duration.

        Raises:
            UsageError: If a width is not calibrated.
        """
        log_seconds = self._log_seconds(shorter_seconds)
        columns = [
            width.scale * scores[:, column] + width.bias(log_seconds)
            for column, width in enumerate(map(self.width, dims))
        ]
        return np.stack(columns, axis=1).astype(np.float64)

    def threshold(self, dim: int, *, p_target: float | None = None, far: float | None = None) -> float:
        """Return the ratio at and above which a trial is accepted, at a prior or at a false-accept rate.

        Any prior can be had, from Bayes' rule; a false-accept rate only where it was measured.

        Raises:
            UsageError: If not exactly one of both is given, or the width or the rate is not calibrated.
        """
        if (p_target is None) == (far is None):
            raise UsageError("expected a prior or a false-accept rate, one of both")
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
        """Return the same as a score; None where that needs the length of the shorter side and it is not given.

        Raises:
            UsageError: As `threshold`.
        """
        width = self.width(dim)
        llr = self.threshold(dim, p_target=p_target, far=far)
        if self.quality is None and far is not None:
            return self._false_accepts(dim, far).score  # as measured, not through the ratio and back
        if self.quality is not None and shorter_seconds is None:
            return None
        log_seconds = self._log_seconds(None if shorter_seconds is None else [shorter_seconds])
        bias = width.bias(None if log_seconds is None else float(log_seconds[0]))
        return float((llr - bias) / width.scale)

    def overlap(self, sha256: str, speakers: Collection[str]) -> str | None:
        """Return what to say of trials that the calibration has seen, or whose speakers it has; None: neither."""
        if any(each.sha256 == sha256 for each in self.trials):
            return (
                "the calibration was fitted on these very trials: its figures here are too good; fit it on another list"
            )
        shared = sorted(set(speakers) & {name for each in self.trials for name in each.speakers})
        if not shared:
            return None
        more = f" and {len(shared) - SHOWN_SPEAKERS} more" if len(shared) > SHOWN_SPEAKERS else ""
        return (
            f"the calibration was fitted on trials of {len(shared)} of these {len(set(speakers))} speakers "
            f"({', '.join(shared[:SHOWN_SPEAKERS])}{more}): its figures here may be too good; fit it on other speakers"
        )

    def _false_accepts(self, dim: int, far: float | None) -> FalseAcceptThreshold:
        width = self.width(dim)
        for each in width.false_accepts:
            if each.far == far:
                return each
        known = ", ".join(f"{each.far:g}" for each in width.false_accepts) or "none"
        raise UsageError(
            f"a false-accept rate of {far:g} was not measured",
            "--far",
            f"Measured: {known}. Calibrate again with --far {far:g}.",
        )

    def _log_seconds(self, seconds: NDArray[np.floating] | Sequence[float] | None) -> NDArray[np.float64] | None:
        if self.quality is None:
            return None
        if seconds is None:
            raise ValueError("a calibration by duration needs the length of the shorter side")
        return np.log(np.clip(np.asarray(seconds, dtype=np.float64), *self.seconds_range))
