"""Describe the ranges of same-speaker and different-speaker scores, in model cards and exported files."""

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, PositiveInt


class RangePart(BaseModel):
    """A part of the ranges; fields of later versions are ignored."""

    model_config = ConfigDict(frozen=True)


class ScoreQuantiles(RangePart):
    """Quantiles of the scores of one kind of trial; the score is the cosine of two whole recordings."""

    n: PositiveInt = Field(description="Trials.")
    p05: FiniteFloat = Field(description="5 % of the scores are lower.")
    p50: FiniteFloat = Field(description="The median.")
    p95: FiniteFloat = Field(description="95 % of the scores are lower.")


class ScoreRanges(RangePart):
    """The scores of one width, of same-speaker and of different-speaker trials."""

    dim: PositiveInt
    same: ScoreQuantiles
    different: ScoreQuantiles
