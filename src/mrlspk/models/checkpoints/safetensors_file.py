"""Models as .safetensors: tensors, and everything else as JSON in the header."""

import json
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import Tensor

from mrlspk.errors import CheckpointError, MissingDependencyError
from mrlspk.files import whole_file
from mrlspk.models.checkpoints import schema

SUFFIX = ".safetensors"
_HEADER = "mrlspk"  # the key of the header that holds every entry but the tensors


def write_entries(path: Path, entries: dict[str, Any]) -> None:
    """Write the entries of a model of ours.

    Raises:
        CheckpointError: If an entry beside the weights cannot be written as JSON.
        MissingDependencyError: If safetensors is not installed.
    """
    safetensors = library(path)
    state: dict[str, Tensor] = {name: values.contiguous() for name, values in entries[schema.MODEL].items()}
    try:
        rest = json.dumps({key: value for key, value in entries.items() if key != schema.MODEL})
    except (TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"what it says beside its weights cannot be written as JSON: {error}", path, "Convert it to .pt."
        ) from error
    with whole_file(path) as partial:
        safetensors.torch.save_file(state, partial, metadata={_HEADER: rest})


def read_entries(path: Path) -> dict[str, Any]:
    """Return the entries that `write_entries` wrote.

    Raises:
        CheckpointError: If the file is damaged, or holds tensors that mrlspk did not write.
        MissingDependencyError: If safetensors is not installed.
    """
    safetensors = library(path)
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        rest = json.loads(metadata[_HEADER])
    except KeyError as error:
        raise CheckpointError(
            "holds tensors without a configuration of mrlspk's, so no network can be built for them",
            path,
            "Give a .safetensors file that `mrlspk pretrained convert` wrote.",
        ) from error
    except (safetensors.SafetensorError, ValueError, RecursionError, OSError) as error:
        raise CheckpointError(f"is damaged or no safetensors file: {error}", path, "Write it again.") from error
    if not isinstance(rest, dict):
        raise CheckpointError("its header is not a mapping", path, "Write it again with `mrlspk pretrained convert`.")
    return rest | {schema.MODEL: state}


def library(path: Path) -> ModuleType:
    """Return safetensors, with its functions for torch.

    Raises:
        MissingDependencyError: If it is not installed.
    """
    try:
        import safetensors.torch
    except ModuleNotFoundError as error:
        raise MissingDependencyError(".safetensors needs safetensors", path, "Type: pip install safetensors") from error
    return safetensors
