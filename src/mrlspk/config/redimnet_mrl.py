"""Validate the configuration in a checkpoint of redimnet-mrl."""

from typing import Any

from pydantic import Field, NonNegativeFloat, PositiveInt

from mrlspk.config.architecture import ReDimNetConfig
from mrlspk.config.base import StrictModel


class PredecessorModel(StrictModel):
    """Section ``model`` of redimnet-mrl's configuration; the layers that it describes are not those that were built."""

    name: str
    embed_dim: PositiveInt
    mrl_dims: tuple[PositiveInt, ...] = Field(min_length=1)
    mrl_weights: tuple[NonNegativeFloat, ...] | None = None
    F: PositiveInt = 72
    C: PositiveInt = 12
    block_1d_type: str = "att"
    block_2d_type: str = "convnext_like"
    pooling_func: str = "ASTP"
    out_channels: PositiveInt = 512
    feat_type: str = "pt"


class PredecessorAdvanced(StrictModel):
    """Section ``advanced`` of redimnet-mrl's configuration."""

    use_pretrained: bool = True
    model_name: str = "b2"
    train_type: str = "ptn"
    pretrained_dataset: str = "vox2"
    freeze_backbone_epochs: int = 9999
    pretrained_checkpoint: str | None = None
    progressive_mrl: bool = False
    progressive_schedule: tuple[int, ...] = ()
    mixed_datasets: bool = False
    dataset_sampling_weights: tuple[float, ...] = ()


class PredecessorConfig(StrictModel):
    """The training configuration in a redimnet-mrl checkpoint; sections that describe no layers are not checked."""

    model: PredecessorModel
    advanced: PredecessorAdvanced = PredecessorAdvanced()
    backbone: ReDimNetConfig | None = None
    loss: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    data: dict[str, Any] = Field(default_factory=dict)
    hardware: dict[str, Any] = Field(default_factory=dict)
    logging: dict[str, Any] = Field(default_factory=dict)
    evaluation: dict[str, Any] = Field(default_factory=dict)
    seed: int = 0
    deterministic: bool = False
