"""Provide the base class of every section of the configuration."""

from pydantic import BaseModel, ConfigDict


class StrictModel(BaseModel):
    """A frozen model in which an unknown key is an error."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True, coerce_numbers_to_str=True
    )
