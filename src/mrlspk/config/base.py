"""What every section of the configuration has in common."""

from pydantic import BaseModel, ConfigDict


class StrictModel(BaseModel):
    """A frozen model that knows its keys: an unknown one is an error."""

    model_config = ConfigDict(
        extra="forbid", frozen=True, validate_by_name=True, validate_by_alias=True, coerce_numbers_to_str=True
    )
