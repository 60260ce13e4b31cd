"""Read the layouts of checkpoints: our own, published ReDimNet and ReDimNet2, and redimnet-mrl."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError
from torch import Tensor

from mrlspk.config.architecture import (
    Architecture,
    HeadArchitecture,
    PublishedReDimNet2Config,
    PublishedReDimNetConfig,
    ReDimNet2Architecture,
    ReDimNetArchitecture,
    ReDimNetConfig,
    describe_architecture,
    published_family,
)
from mrlspk.config.redimnet_mrl import PredecessorConfig
from mrlspk.config.value_problems import problem_text
from mrlspk.errors import CheckpointError, shorten
from mrlspk.models.checkpoints import schema
from mrlspk.models.checkpoints.plain_values import checked_state, plain_entry, plain_options, validate_options
from mrlspk.models.checkpoints.schema import Provenance
from mrlspk.models.checkpoints.upgrade import upgrade

type Family = Literal["redimnet", "redimnet2", "redimnet-mrl", "mrlspk", "onnx", "transform"]

PUBLISHED_ENTRIES = {"model_config", "state_dict"}
PUBLISHED_NAMES = {"head.norm.": "bn.", "head.linear.": "linear.", "head.output_norm.": "bn2."}
PUBLISHED_CLASSIFIER = "cls_head."
PREDECESSOR_ENTRIES = {"model_state_dict", "config"}
PREDECESSOR_NAMES = {
    "spec.": "backbone.spec.",
    "backbone.": "backbone.backbone.",
    "pool.": "backbone.pool.",
    "head.norm.": "projection.bn.",
    "head.linear.": "projection.linear.",
}
# The layers that redimnet-mrl built on the published b2, whatever its configuration says of layers: the strides and
# blocks of b2, with a last convolution to 512 channels, and without b2's hop length and global context.
PREDECESSOR_BACKBONES = {"b2": ReDimNetConfig(out_channels=512)}


@dataclass(frozen=True)
class Layout:
    """The description of a network in a checkpoint, validated, and its weights, not yet checked.

    Attributes:
        family: The layout of the file.
        architecture: The network that its configuration describes.
        state: Its weights, by their names in the file.
        described: The configuration of the network as the file has it.
        names: Prefixes of the network's names, with their counterparts in the file.
        left_out: Prefixes of names in the file that an encoder does not need.
        config: The resolved configuration of the training run; None for published models.
        contents: All other entries of the file.
        provenance: Which model this one was made from.
    """

    family: Family
    architecture: Architecture
    state: dict[str, Any]
    described: dict[str, Any]
    names: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    config: dict[str, Any] | None = None
    contents: dict[str, Any] = field(default_factory=dict)
    provenance: Provenance = Provenance(kind="published")

    def name_in_file(self, name: str) -> str:
        """Return the name in the file of the network's entry ``name``."""
        for ours, theirs in self.names.items():
            if name.startswith(ours):
                return theirs + name.removeprefix(ours)
        return name


def read_layout(entries: dict[str, Any], path: Path) -> Layout:
    """Return the description of the network among the entries of a checkpoint of any layout.

    Raises:
        CheckpointError: If the layout is not known, or the description not valid.
    """
    if entries.get(schema.FORMAT) == schema.FORMAT_NAME:
        return read_own(entries, path)
    if entries.keys() >= PUBLISHED_ENTRIES:
        return read_published(entries, path)
    if entries.keys() >= PREDECESSOR_ENTRIES:
        return read_predecessor(entries, path)
    found = shorten(", ".join(sorted(map(str, entries))[:6]))
    expected = "expected model_config and state_dict, or an mrlspk checkpoint"
    only = "it holds weights without the configuration of their network; " if _are_weights(entries) else ""
    raise CheckpointError(
        f"is not a speaker model: {only}{expected}; found {found or 0}",
        path,
        "Give a published ReDimNet or ReDimNet2 checkpoint, or one that mrlspk train wrote. Export models of other "
        "toolkits to ONNX: docs/any-model.md says how.",
    )


def _are_weights(entries: dict[str, Any]) -> bool:
    """Whether entries are weights by name, or have weights among them as other trainers write them."""
    return "state_dict" in entries or bool(entries) and all(isinstance(values, Tensor) for values in entries.values())


def read_own(entries: dict[str, Any], path: Path) -> Layout:
    """Return the description in a checkpoint of ours of any format version.

    Raises:
        CheckpointError: If its format is newer than this version reads, or its architecture is not valid.
    """
    entries = upgrade(entries, path)
    entries |= {key: plain_entry(entries[key], path, key) for key in schema.PLAIN if key in entries}
    criterion = entries.get(schema.CRITERION, {})
    if not isinstance(criterion, dict):
        raise CheckpointError(f"its {schema.CRITERION} is a {type(criterion).__name__}, expected a dict", path)
    options = plain_options(entries.get(schema.ARCHITECTURE), path, schema.ARCHITECTURE)
    config = entries.get(schema.CONFIG)
    return Layout(
        family="mrlspk",
        architecture=_read_architecture(options, path),
        state=checked_state(entries.get(schema.MODEL), path),
        described=options,
        config=None if config is None else plain_options(config, path, schema.CONFIG),
        contents={key: value for key, value in entries.items() if key not in schema.TYPED},
        provenance=_read_provenance(entries, path),
    )


def _read_architecture(options: dict[str, Any], path: Path) -> Architecture:
    """Return the architecture in a checkpoint of ours; files before ReDimNet2 name no family."""
    if options.get("family") == "head":
        return validate_options(HeadArchitecture, options, path, schema.ARCHITECTURE)
    if options.get("family") == "redimnet2":
        return validate_options(ReDimNet2Architecture, options, path, schema.ARCHITECTURE)
    return validate_options(ReDimNetArchitecture, options, path, schema.ARCHITECTURE)


def _read_provenance(entries: dict[str, Any], path: Path) -> Provenance:
    if schema.PROVENANCE not in entries:
        return Provenance(kind="unknown")
    try:
        return Provenance.model_validate(entries[schema.PROVENANCE])
    except ValidationError as error:
        what = f"its {schema.PROVENANCE} is damaged: {problem_text(error.errors()[0])}"
        raise CheckpointError(what, path, "Give the checkpoint as written.") from error


def read_published(entries: dict[str, Any], path: Path) -> Layout:
    """Return the description in a published checkpoint; its classifier over training speakers is left out.

    Raises:
        CheckpointError: If its options are not all known.
    """
    options = plain_options(entries["model_config"], path, "model_config")
    family = published_family(options)
    config: PublishedReDimNetConfig | PublishedReDimNet2Config
    if family == "redimnet2":
        config = validate_options(PublishedReDimNet2Config, options, path, "model_config")
    else:
        config = validate_options(PublishedReDimNetConfig, options, path, "model_config")
    return Layout(
        family=family,
        architecture=describe_architecture(config.backbone(), (config.embed_dim,), output_norm=config.emb_bn),
        state=checked_state(entries["state_dict"], path),
        described=options,
        names=PUBLISHED_NAMES,
        left_out=(PUBLISHED_CLASSIFIER,),
        contents={key: value for key, value in entries.items() if key != "state_dict"},
    )


def read_predecessor(entries: dict[str, Any], path: Path) -> Layout:
    """Return the description in a checkpoint of redimnet-mrl, of which version 1.0.1 was released.

    Raises:
        CheckpointError: If its options are not all known, or the layers of its backbone are not.
    """
    options = plain_options(entries["config"], path, "config")
    config = validate_options(PredecessorConfig, options, path, "config")
    backbone = config.backbone or PREDECESSOR_BACKBONES.get(config.advanced.model_name)
    if backbone is None:
        raise CheckpointError(
            f"option advanced.model_name={config.advanced.model_name} is not supported: redimnet-mrl did not store "
            f"the layers of its backbone, and only those of {', '.join(PREDECESSOR_BACKBONES)} are known",
            f"{path}: config",
            "Train a head on the published model of that name instead.",
        )
    dims = tuple(sorted({*config.model.mrl_dims, config.model.embed_dim}))
    return Layout(
        family="redimnet-mrl",
        architecture=describe_architecture(backbone, dims),
        state=checked_state(entries["model_state_dict"], path),
        described=options,
        names=PREDECESSOR_NAMES,
        contents={key: value for key, value in entries.items() if key != "model_state_dict"},
    )
