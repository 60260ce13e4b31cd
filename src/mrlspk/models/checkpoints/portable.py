"""A model without its run: what to pass on, as .pt or .safetensors."""

from pathlib import Path
from typing import Any

from mrlspk.errors import UsageError
from mrlspk.files import whole_file
from mrlspk.models.checkpoints import safetensors_file, schema
from mrlspk.models.checkpoints.loading import LoadedModel
from mrlspk.models.checkpoints.own import encoder_entries, write_entries


def portable_entries(loaded: LoadedModel) -> dict[str, Any]:
    """Return the entries of a checkpoint of ours that holds the model and what is known of it, but no run."""
    entries = encoder_entries(loaded.encoder, loaded.architecture)
    if loaded.config is not None:
        entries[schema.CONFIG] = loaded.config
    return entries | {key: loaded.contents[key] for key in schema.PORTABLE if key in loaded.contents}


def check_form(path: Path) -> None:
    """Refuse, before any work, a file whose suffix names no form that a model is written in.

    Raises:
        UsageError: If it is neither .pt nor .safetensors.
        MissingDependencyError: If it is .safetensors and that package is not installed.
    """
    if path.suffix == safetensors_file.SUFFIX:
        safetensors_file.library(path)
    elif path.suffix != ".pt":
        raise UsageError(
            f"expected a file that ends in .pt or {safetensors_file.SUFFIX}, got {path.name!r}", "--output"
        )


def save_model(path: Path, entries: dict[str, Any]) -> None:
    """Write entries in the form that the suffix of ``path`` names, whole or not at all; see `check_form`."""
    check_form(path)
    if path.suffix == safetensors_file.SUFFIX:
        safetensors_file.write_entries(path, entries)
        return
    with whole_file(path) as partial:
        write_entries(partial, entries)
