"""A model of any layout written in our own, as .pt or .safetensors."""

from dataclasses import dataclass, replace
from pathlib import Path

from mrlspk.files import check_free, file_sha256
from mrlspk.inference.loading import load_located
from mrlspk.inference.locate import ModelFile
from mrlspk.inference.provenance import base_file, describe_base, describe_source, provenance_of_converted
from mrlspk.models.checkpoints import check_suffix, portable_entries, save_checkpoint, schema
from mrlspk.models.checkpoints.schema import Provenance
from mrlspk.training.network.adapter_files import WEIGHTS, with_adapter


@dataclass(frozen=True)
class ConvertedModel:
    """A model that was written to ``path``; ``family`` is the layout that it came in."""

    path: Path
    family: str
    dims: tuple[int, ...]
    sha256: str
    bytes: int


def convert_pretrained(
    model: ModelFile, output: Path, *, cache_dir: Path, adapter: Path | None = None, force: bool = False
) -> ConvertedModel:
    """Write ``model`` to ``output``, with the file that it first came in.

    Args:
        model: Of any layout.
        output: File to write.
        cache_dir: Folder of fetched models.
        adapter: Folder of adapters that were trained on ``model``: they are merged into it, and their head is taken.
        force: Overwrite.

    Raises:
        CheckpointError: If the file is no checkpoint or does not load whole, or the adapter is not of this model.
        UsageError: If ``output`` ends in neither .pt nor .safetensors, or is there and ``force`` is not given.
        MissingDependencyError: If a package that the form needs is not installed.
    """
    check_suffix(output)
    check_free(output, force=force)
    loaded = load_located(model)
    base = describe_base(model, loaded, cache_dir=cache_dir)
    source = describe_source(model.path, loaded, base)
    provenance = provenance_of_converted(loaded, base)
    if adapter is not None:
        loaded = with_adapter(loaded, adapter)
        provenance = Provenance(kind="adapter", base=base_file(base))
        source["adapter_sha256"] = file_sha256(adapter / WEIGHTS)
    entries = {schema.CONVERTED_FROM: source} | portable_entries(replace(loaded, provenance=provenance))
    save_checkpoint(output, entries)
    return ConvertedModel(output, loaded.family, loaded.encoder.dims, file_sha256(output), output.stat().st_size)
