"""What rebuilds an encoder: stored in every checkpoint of ours."""

from typing import Literal, Self

from pydantic import Field, model_validator

from mrlspk.config.backbone import OutChannels, ReDimNet2Config, ReDimNetConfig
from mrlspk.config.base import StrictModel


class _Widths(StrictModel):
    matryoshka_dims: tuple[OutChannels, ...] = Field(min_length=1)
    output_norm: bool = False

    @model_validator(mode="after")
    def check_widths(self) -> Self:
        """Refuse widths that do not rise."""
        if list(self.matryoshka_dims) != sorted(set(self.matryoshka_dims)):
            raise ValueError(f"matryoshka_dims must rise without repeats, got {list(self.matryoshka_dims)}")
        return self


class ReDimNetArchitecture(_Widths):
    """A ReDimNet with a head; ``output_norm`` says that the head normalises its output over the batch."""

    family: Literal["redimnet"] = "redimnet"
    backbone: ReDimNetConfig


class ReDimNet2Architecture(_Widths):
    """A ReDimNet2 with a head."""

    family: Literal["redimnet2"] = "redimnet2"
    backbone: ReDimNet2Config


Architecture = ReDimNetArchitecture | ReDimNet2Architecture


def describe_architecture(
    backbone: ReDimNetConfig | ReDimNet2Config, dims: tuple[int, ...], *, output_norm: bool = False
) -> Architecture:
    """Return what rebuilds an encoder of this backbone with these widths."""
    if isinstance(backbone, ReDimNet2Config):
        return ReDimNet2Architecture(backbone=backbone, matryoshka_dims=dims, output_norm=output_norm)
    return ReDimNetArchitecture(backbone=backbone, matryoshka_dims=dims, output_norm=output_norm)
