"""Section ``hardware``: where a run happens."""

from typing import Literal

from pydantic import Field

from mrlspk.config.base import StrictModel


class HardwareConfig(StrictModel):
    """Device and number format."""

    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="auto, cpu, cuda, cuda:N or mps.")
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32", description="Autocast of the network; the mel front end stays in float32."
    )
