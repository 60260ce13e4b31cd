"""The layout of published ReDimNet and ReDimNet2 checkpoints: ``model_config`` and ``state_dict``."""

from pathlib import Path
from typing import Any

from mrlspk.config.architecture import (
    PublishedReDimNet2Config,
    PublishedReDimNetConfig,
    describe_architecture,
    published_family,
)
from mrlspk.models.checkpoints.layout import Layout, checked_state, plain_options, validate_options

KEYS = {"model_config", "state_dict"}
NAMES = {"head.norm.": "bn.", "head.linear.": "linear.", "head.output_norm.": "bn2."}
CLASSIFIER = "cls_head."


def read_published(contents: dict[str, Any], path: Path) -> Layout:
    """Return what a published checkpoint describes; its classifier over training speakers is left out.

    Raises:
        CheckpointError: If its options are not all known.
    """
    options = plain_options(contents["model_config"], path, "model_config")
    family = published_family(options)
    config: PublishedReDimNetConfig | PublishedReDimNet2Config
    if family == "redimnet2":
        config = validate_options(PublishedReDimNet2Config, options, path, "model_config")
    else:
        config = validate_options(PublishedReDimNetConfig, options, path, "model_config")
    return Layout(
        family=family,
        architecture=describe_architecture(config.backbone(), (config.embed_dim,), output_norm=config.emb_bn),
        state=checked_state(contents["state_dict"], path),
        described=options,
        names=NAMES,
        left_out=(CLASSIFIER,),
        contents={key: value for key, value in contents.items() if key != "state_dict"},
    )
