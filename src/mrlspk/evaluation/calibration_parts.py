"""The parts of a calibration file."""

from typing import Annotated

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, PositiveInt

from mrlspk.errors import UsageError

type Rate = Annotated[FiniteFloat, Field(gt=0, lt=1)]
type Share = Annotated[FiniteFloat, Field(ge=0, le=1)]
type Positive = Annotated[FiniteFloat, Field(gt=0)]


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
    llr: FiniteFloat
    score: FiniteFloat | None


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
    llr: FiniteFloat
    score: FiniteFloat | None
    p_fa: Share
    p_miss: Share


class WidthCalibration(Record):
    """One width: the ratio is ``scale * score + offset + duration_weight * log(shorter side in seconds)``.

    Attributes:
        dim: The width.
        scale: Above 0: a higher score speaks for one speaker.
        offset: In nats.
        duration_weight: In nats for each e-fold of the shorter side; None where lengths are not looked at.
        priors: Thresholds at the priors that were asked for.
        false_accepts: Thresholds at the false-accept rates that were asked for.
    """

    dim: PositiveInt
    scale: Positive
    offset: FiniteFloat
    duration_weight: FiniteFloat | None
    priors: tuple[PriorThreshold, ...]
    false_accepts: tuple[FalseAcceptThreshold, ...]

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
