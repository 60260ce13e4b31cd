"""Section ``hardware``: where a run happens, on how many devices, and by which kernels."""

from typing import Literal

from pydantic import Field, PositiveInt

from mrlspk.config.base import StrictModel


class HardwareConfig(StrictModel):
    """Devices, number format and speed."""

    device: str = Field("auto", pattern=r"^(auto|cpu|mps|cuda(:\d+)?)$", description="auto, cpu, cuda, cuda:N or mps.")
    devices: PositiveInt = Field(
        1, description="Processes on each machine, one for each GPU; torchrun and SLURM say it themselves."
    )
    nodes: PositiveInt = Field(1, description="Machines; torchrun and SLURM say it themselves.")
    strategy: Literal["ddp"] = Field("ddp", description="How processes share the work: each has the whole model.")
    sync_batchnorm: bool = Field(
        False, description="Take the statistics of a trained BatchNorm over all processes; needs GPUs."
    )
    precision: Literal["fp32", "bf16", "fp16"] = Field(
        "fp32", description="Autocast of the network; the mel front end stays in float32."
    )
    tf32: bool = Field(False, description="Let GPUs round float32 products to TF32: faster, less exact.")
    channels_last: bool = Field(False, description="Keep the network's planes with their channels side by side.")
    compile: bool = Field(False, description="Compile the network with torch.compile; the first steps take minutes.")
    gradient_checkpointing: bool = Field(
        False, description="Compute each stage of the backbone anew in the backward pass: less memory, more time."
    )
