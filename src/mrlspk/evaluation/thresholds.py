"""Define the thresholds of a calibration at one prior or one false-accept rate, and their checks."""

import math
from typing import Annotated, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, model_validator

from mrlspk.errors import UsageError

ROUNDING = 1e-6
LIMIT = 1e12  # beyond it thresholds would lose their digits

type Rate = Annotated[FiniteFloat, Field(gt=0, lt=1)]
type Share = Annotated[FiniteFloat, Field(ge=0, le=1)]
type Nats = Annotated[FiniteFloat, Field(ge=-LIMIT, le=LIMIT)]


class Record(BaseModel):
    """A part of the file: frozen, with exactly these keys and types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def bayes_threshold(p_target: float) -> float:
    """Return the natural-log likelihood ratio above which accepting costs less, with costs of 1 and 1: -logit(prior).

    Raises:
        UsageError: If the prior is not between 0 and 1.
    """
    if not 0 < p_target < 1:
        raise UsageError(f"expected a prior between 0 and 1, got {p_target}", parameter="p_target")
    return float(np.log1p(-p_target) - np.log(p_target))


class PriorThreshold(Record):
    """The Bayes threshold at one prior, with costs of 1 and 1.

    Attributes:
        p_target: Prior of a target trial.
        llr: A trial with this log-likelihood ratio or a higher one is accepted.
        score: The same as a score; None if it also depends on the duration of the recordings.
    """

    p_target: Rate
    llr: Nats
    score: FiniteFloat | None

    @model_validator(mode="after")
    def check_ratio(self) -> Self:
        """Reject a ratio that does not follow from the prior."""
        if not math.isclose(self.llr, expected := bayes_threshold(self.p_target), rel_tol=ROUNDING, abs_tol=ROUNDING):
            raise ValueError(f"a prior of {self.p_target:g} has a threshold of {expected:g} nats, got {self.llr:g}")
        return self


class FalseAcceptThreshold(Record):
    """The lowest threshold that does not exceed a false-accept rate on the trials of the calibration.

    Attributes:
        far: The requested rate.
        llr: A trial with this log-likelihood ratio or a higher one is accepted.
        score: The same as a score; None if it also depends on the duration of the recordings.
        p_fa: Share of non-target trials that it accepts.
        p_miss: Share of target trials that it rejects.
    """

    far: Rate
    llr: Nats
    score: FiniteFloat | None
    p_fa: Share
    p_miss: Share

    @model_validator(mode="after")
    def check_rate(self) -> Self:
        """Reject a threshold that exceeds its rate."""
        if self.p_fa > self.far:
            raise ValueError(f"a threshold for a false-accept rate of {self.far:g} has a rate of {self.p_fa:g}")
        return self
