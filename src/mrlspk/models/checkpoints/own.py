"""Our own layout: weights, the architecture that rebuilds the network, and what a run adds to them."""

import io
import sys
from collections import OrderedDict
from collections.abc import Callable
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mrlspk.config.architecture import Architecture, ReDimNet2Architecture, ReDimNetArchitecture
from mrlspk.errors import CheckpointError
from mrlspk.models.checkpoints import schema
from mrlspk.models.checkpoints.layout import Layout, checked_state, plain_entry, plain_options, validate_options
from mrlspk.models.encoder import Encoder

NETWORK = {schema.MODEL, schema.ARCHITECTURE, schema.CONFIG}  # entries that a `Layout` holds by other names


def encoder_entries(encoder: Encoder, architecture: Architecture) -> dict[str, Any]:
    """Return the entries from which `load_model` rebuilds ``encoder``; a checkpoint may hold more beside them."""
    return {
        schema.FORMAT: schema.FORMAT_NAME,
        schema.FORMAT_VERSION: schema.LATEST_VERSION,
        schema.MRLSPK_VERSION: installed_version("mrlspk"),
        schema.ARCHITECTURE: architecture.model_dump(mode="json"),
        schema.MODEL: encoder.state_dict(),
    }


def write_entries(path: Path, entries: dict[str, Any]) -> None:
    """Write a checkpoint to ``path``; equal entries make equal files, byte for byte.

    No name of a file is written into it, and entries are told apart by what they are, not by which object they are.
    """
    buffer = io.BytesIO()  # straight into a file, a full disk would end torch.save in an error that does not say so
    torch.save(_apart(entries), buffer)
    path.write_bytes(buffer.getvalue())  # no copy; a view of it can crash CPython 3.12 when writing fails


def _apart(value: Any) -> Any:
    """Return ``value`` with containers that are each an object of its own, of equal texts one, and no part of a tensor.

    Pickle writes an object that comes again as a reference to the first: whether two equal texts are one object, which
    depends on where they come from, would else make other bytes. So would the rest of what a tensor is a part of.
    """
    if isinstance(value, str):
        return sys.intern(value)
    if isinstance(value, OrderedDict):
        ordered = OrderedDict((_apart(key), _apart(item)) for key, item in value.items())
        if "_metadata" in vars(value):  # versions of modules, in a state dict
            vars(ordered)["_metadata"] = _apart(vars(value)["_metadata"])
        return ordered
    if isinstance(value, dict):
        return {_apart(key): _apart(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_apart, value))
    if isinstance(value, Tensor) and value.untyped_storage().nbytes() > value.nbytes:
        return value.clone()
    return value


def read_own(contents: dict[str, Any], path: Path) -> Layout:
    """Return what a checkpoint of ours describes, brought up to the present format.

    Raises:
        CheckpointError: If its format is newer than this version reads, or its architecture is not valid.
    """
    contents = upgrade(contents, path)
    plain = {key: plain_entry(contents[key], path, key) for key in schema.PLAIN if key in contents}
    contents = contents | plain
    criterion = contents.get(schema.CRITERION, {})
    if not isinstance(criterion, dict):
        raise CheckpointError(f"its {schema.CRITERION} is a {type(criterion).__name__}, expected a dict", path)
    options = plain_options(contents.get(schema.ARCHITECTURE), path, schema.ARCHITECTURE)
    config = contents.get(schema.CONFIG)
    second = options.get("family") == "redimnet2"
    model: type[ReDimNetArchitecture] | type[ReDimNet2Architecture]
    model = ReDimNet2Architecture if second else ReDimNetArchitecture
    return Layout(
        family="mrlspk",
        architecture=validate_options(model, options, path, schema.ARCHITECTURE),
        state=checked_state(contents.get(schema.MODEL), path),
        described=options,
        config=None if config is None else plain_options(config, path, schema.CONFIG),
        contents={key: value for key, value in contents.items() if key not in NETWORK},
    )


def upgrade(contents: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return the entries of a checkpoint of ours in the present format.

    Raises:
        CheckpointError: If its format is newer than this version reads, or is none.
    """
    version = contents.get(schema.FORMAT_VERSION)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise CheckpointError(f"expected a format version of 1 or more, got {version!r}", path)
    if version > schema.LATEST_VERSION:
        written = contents.get(schema.MRLSPK_VERSION)
        raise CheckpointError(
            f"has format version {version}, and mrlspk {installed_version('mrlspk')} reads up to "
            f"{schema.LATEST_VERSION}",
            path,
            f"It was written by mrlspk {written}: install that version or a later one.",
        )
    try:
        for step in range(version, schema.LATEST_VERSION):
            contents = UPGRADES[step](contents)
    except (KeyError, TypeError) as error:
        raise CheckpointError(
            f"is no whole checkpoint of format version {version}: {error!r} is wrong", path
        ) from error
    return contents


def upgrade_from_1(contents: dict[str, Any]) -> dict[str, Any]:
    """Return entries of format 1 in format 2, which says the family: all of format 1 were ReDimNet."""
    architecture = {**contents[schema.ARCHITECTURE], "family": "redimnet"}
    return contents | {schema.ARCHITECTURE: architecture, schema.FORMAT_VERSION: 2}


UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: upgrade_from_1}
