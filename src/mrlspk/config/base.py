"""Provide the base class of every section of the configuration, and the ranges of its numbers."""

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator

from mrlspk.errors import shorten

CHANNELS = {"left": 0, "right": 1}
MOST_CHANNELS = 256  # no decoder here gives more
LARGEST = 1_000_000_000  # no run has more of anything, and no factor is larger

Count = Annotated[int, Field(gt=0, le=LARGEST)]
CountOrZero = Annotated[int, Field(ge=0, le=LARGEST)]
Factor = Annotated[float, Field(gt=0, le=LARGEST)]
Amount = Annotated[float, Field(ge=0, le=LARGEST)]
Seed = Annotated[int, Field(ge=0, le=2**63 - 1)]  # of torch's generators
Width = Annotated[int, Field(gt=0, le=65_536)]


def channel_number(value: Any) -> Any:
    """Return ``mix``, or the number of a channel from its name or number."""
    number = CHANNELS.get(value, value) if isinstance(value, str) else value
    if isinstance(number, str) and re.fullmatch("[0-9]{1,3}", number):
        number = int(number)
    if number == "mix" or (type(number) is int and 0 <= number < MOST_CHANNELS):
        return number
    raise ValueError(f"expected mix, left, right or a number from 0 to {MOST_CHANNELS - 1}, got {shorten(str(value))}")


Channel = Annotated[Literal["mix"] | Annotated[int, Field(ge=0, lt=MOST_CHANNELS)], BeforeValidator(channel_number)]
type ChannelChoice = Channel | Literal["left", "right"]


class StrictModel(BaseModel):
    """A frozen model in which an unknown key is an error, and so is a number that is not finite."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        validate_by_name=True,
        validate_by_alias=True,
        coerce_numbers_to_str=True,
        allow_inf_nan=False,
    )

    @field_validator("*", mode="after")
    @classmethod
    def check_text(cls, value: Any) -> Any:
        """Refuse a NUL character, which no path and no name can hold."""
        if "\0" in str(value):
            raise ValueError("holds a NUL character")
        return value
