"""The layout of redimnet-mrl's checkpoints, of which version 1.0.1 was released."""

from pathlib import Path
from typing import Any

from mrlspk.config.architecture import ReDimNetConfig, describe_architecture
from mrlspk.config.predecessor import PredecessorConfig
from mrlspk.errors import CheckpointError
from mrlspk.models.checkpoints.layout import Layout, checked_state, plain_options, validate_options

KEYS = {"model_state_dict", "config"}
NAMES = {
    "spec.": "backbone.spec.",
    "backbone.": "backbone.backbone.",
    "pool.": "backbone.pool.",
    "head.norm.": "projection.bn.",
    "head.linear.": "projection.linear.",
}
# What it built on the published b2, whatever the section ``model`` of its configuration says of layers: the strides and
# blocks of b2, with a last convolution to 512 channels, and without b2's hop length and global context.
BACKBONES = {"b2": ReDimNetConfig(out_channels=512)}


def read_predecessor(contents: dict[str, Any], path: Path) -> Layout:
    """Return what a checkpoint of redimnet-mrl describes.

    Raises:
        CheckpointError: If its options are not all known, or its backbone is one whose layers are not.
    """
    options = plain_options(contents["config"], path, "config")
    config = validate_options(PredecessorConfig, options, path, "config")
    backbone = config.backbone or BACKBONES.get(config.advanced.model_name)
    if backbone is None:
        raise CheckpointError(
            f"option advanced.model_name={config.advanced.model_name} is not supported: redimnet-mrl did not store "
            f"the layers of its backbone, and only those of {', '.join(BACKBONES)} are known",
            f"{path}: config",
            "Train a head on the published model of that name instead.",
        )
    dims = tuple(sorted({*config.model.mrl_dims, config.model.embed_dim}))
    return Layout(
        family="redimnet-mrl",
        architecture=describe_architecture(backbone, dims),
        state=checked_state(contents["model_state_dict"], path),
        described=options,
        names=NAMES,
        contents={key: value for key, value in contents.items() if key != "model_state_dict"},
    )
