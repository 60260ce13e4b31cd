"""The parts of a calibration file."""

import math
from typing import Annotated, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, PositiveInt, model_validator

from mrlspk.errors import UsageError

type Rate = Annotated[FiniteFloat, Field(gt=0, lt=1)]
type Share = Annotated[FiniteFloat, Field(ge=0, le=1)]
type Positive = Annotated[FiniteFloat, Field(gt=0)]

# Beyond these, scores are next to no evidence, or next to all the same; and thresholds would lose their digits.
MIN_SCALE, MAX_SCALE = 1e-6, 1e9
LIMIT = 1e12
ROUNDING = 1e-6

type Scale = Annotated[FiniteFloat, Field(ge=MIN_SCALE, le=MAX_SCALE)]
type Nats = Annotated[FiniteFloat, Field(ge=-LIMIT, le=LIMIT)]


class Record(BaseModel):
    """A part of the file: frozen, of exactly these keys and types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class PriorThreshold(Record):
    """The Bayes threshold at one prior, with costs of 1 and 1.

    Attributes:
        p_target: Prior of a target trial.
        llr: Accept at and above this log-likelihood ratio.
        score: The same as a score; None where it depends on the lengths of the recordings too.
    """

    p_target: Rate
    llr: Nats
    score: FiniteFloat | None

    @model_validator(mode="after")
    def check_ratio(self) -> Self:
        """Refuse a ratio that is not the prior's."""
        if not math.isclose(self.llr, expected := bayes_threshold(self.p_target), rel_tol=ROUNDING, abs_tol=ROUNDING):
            raise ValueError(f"the ratio of a prior of {self.p_target:g} is {expected:g}, got {self.llr:g}")
        return self


class FalseAcceptThreshold(Record):
    """The lowest threshold that keeps to a false-accept rate on the trials of the calibration.

    Attributes:
        far: The rate that was asked for.
        llr: Accept at and above this log-likelihood ratio.
        score: The same as a score; None where it depends on the lengths of the recordings too.
        p_fa: Share of non-target trials that it accepts.
        p_miss: Share of target trials that it refuses.
    """

    far: Rate
    llr: Nats
    score: FiniteFloat | None
    p_fa: Share
    p_miss: Share

    @model_validator(mode="after")
    def check_rate(self) -> Self:
        """Refuse a threshold that does not keep to its rate."""
        if self.p_fa > self.far:
            raise ValueError(f"a threshold for {self.far:g} of false accepts has {self.p_fa:g}")
        return self


class WidthCalibration(Record):
    """One width: the ratio is ``scale * score + offset + duration_weight * log(shorter side in seconds)``.

    Attributes:
        dim: The width.
        scale: Above 0: a higher score speaks for one speaker. In nats by unit of the score.
        offset: In nats.
        duration_weight: In nats for each e-fold of the shorter side; None where lengths are not looked at.
        priors: Thresholds at the priors that were asked for.
        false_accepts: Thresholds at the false-accept rates that were asked for.
    """

    dim: PositiveInt
    scale: Scale
    offset: Nats
    duration_weight: Nats | None
    priors: tuple[PriorThreshold, ...]
    false_accepts: tuple[FalseAcceptThreshold, ...]

    @model_validator(mode="after")
    def check_thresholds(self) -> Self:
        """Refuse thresholds that are not where the line has them."""
        thresholds: tuple[PriorThreshold | FalseAcceptThreshold, ...] = (*self.priors, *self.false_accepts)
        for each in thresholds:
            if (each.score is None) != (self.duration_weight is not None):
                raise ValueError("thresholds are scores exactly where duration_weight is null")
            if each.score is not None and not self._on_line(each.score, each.llr):
                raise ValueError(f"a score of {each.score:g} has not the ratio {each.llr:g}")
        return self

    def _on_line(self, score: float, llr: float) -> bool:
        size = max(abs(self.scale * score), abs(self.offset), abs(llr))
        return abs(self.scale * score + self.offset - llr) <= ROUNDING * size

    def bias(self, log_seconds: NDArray[np.float64] | float | None) -> NDArray[np.float64] | float:
        """Return what is added to the scaled score, for logarithms of the shorter side in seconds."""
        if self.duration_weight is None or log_seconds is None:
            return self.offset
        return self.offset + self.duration_weight * log_seconds


class CalibrationTrials(Record):
    """A list that the calibration was fitted on.

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


def bayes_threshold(p_target: float) -> float:
    """Return the natural-log likelihood ratio above which accepting costs less, at equal costs: -logit of the prior.

    Raises:
        UsageError: If the prior is not between 0 and 1.
    """
    if not 0 < p_target < 1:
        raise UsageError(f"a prior lies between 0 and 1, got {p_target}", "--p-target")
    return float(np.log1p(-p_target) - np.log(p_target))
