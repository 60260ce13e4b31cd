"""A model of any layout written in our own, as .pt or .safetensors."""

from dataclasses import dataclass
from pathlib import Path

from mrlspk.files import check_free
from mrlspk.models.checkpoints import check_form, load_model, portable_entries, save_model
from mrlspk.pretrained.records import file_sha256


@dataclass(frozen=True)
class ConvertedModel:
    """A model that was written to ``path``; ``family`` is the layout that it came in."""

    path: Path
    family: str
    dims: tuple[int, ...]
    sha256: str
    bytes: int


def convert_pretrained(path: Path, output: Path, *, force: bool = False) -> ConvertedModel:
    """Write the model in ``path`` to ``output``, with where it came from.

    Raises:
        CheckpointError: If the file is no checkpoint or does not load whole.
        UsageError: If ``output`` ends in neither .pt nor .safetensors, or is there and ``force`` is not given.
        MissingDependencyError: If a package that the form needs is not installed.
    """
    check_form(output)
    check_free(output, force=force)
    loaded = load_model(path)
    source = {"file": path.name, "family": loaded.family, "sha256": file_sha256(path)}
    source |= {"model_config": loaded.contents["model_config"]} if "model_config" in loaded.contents else {}
    save_model(output, portable_entries(loaded) | {"converted_from": source})
    return ConvertedModel(output, loaded.family, loaded.encoder.dims, file_sha256(output), output.stat().st_size)
