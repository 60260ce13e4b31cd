"""Export a model as a file that other programs run, after comparing it with PyTorch."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from mrlspk.errors import UsageError
from mrlspk.evaluation.calibration_file import find_calibration
from mrlspk.files import Claim, claimed_file, file_sha256
from mrlspk.inference.exported_file import Difference, ExportFormat, compare_with_pytorch
from mrlspk.inference.graph_description import describe_graph
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.provenance import describe_base, describe_source, provenance_of_converted
from mrlspk.inference.torch_backend import load_checkpoint
from mrlspk.models.checkpoints import LoadedModel, network_of, portable_entries, save_checkpoint, schema
from mrlspk.models.encoder import Encoder
from mrlspk.models.graph_metadata import GraphInput, GraphMetadata
from mrlspk.partial_files import write_errors

SUFFIXES: dict[ExportFormat, tuple[str, ...]] = {
    "onnx": (".onnx",),
    "torchscript": (".ts", ".pt"),
    "safetensors": (".safetensors",),
    "openvino": (".xml",),
}
WEIGHTS = ".bin"  # of OpenVINO, beside the .xml file


@dataclass(frozen=True)
class ExportedModel:
    """A model that was exported.

    Attributes:
        path: Of the file.
        files: All files that were written.
        format: Of the file.
        difference: From PyTorch, at worst.
        metadata: Description of the model.
        sha256: Of the file.
        bytes: Of all files together.
    """

    path: Path
    files: tuple[Path, ...]
    format: ExportFormat
    difference: Difference
    metadata: GraphMetadata
    sha256: str
    bytes: int


def export(
    model: ModelFile,
    output: Path,
    *,
    cache_dir: Path,
    format: ExportFormat | None = None,
    input: GraphInput = "waveform",
    force: bool = False,
) -> ExportedModel:
    """Write a checkpoint as a file for other programs; it is kept only if it gives the embeddings of PyTorch.

    Args:
        model: Checkpoint of any layout.
        output: File to write. OpenVINO also writes a .bin file beside it.
        cache_dir: Folder of fetched models, whose registry may know the licence.
        format: None: from the suffix of ``output``.
        input: What the exported model reads; ``features`` leaves the front end out.
        force: Overwrite existing files.

    Raises:
        CheckpointError: If the file is not a checkpoint, its calibration is damaged, or the exported model differs from
            PyTorch by more than 1e-4 in a value of a unit vector.
        UsageError: If the suffix does not fit the format, or the format always reads waveforms.
        MissingDependencyError: If a package for this format is not installed.
        MrlspkError: If a file exists and ``force`` is false, or it cannot be written.
    """
    format = format or format_of(output)
    _check_request(output, format, input)
    targets = (output, output.with_suffix(WEIGHTS)) if format == "openvino" else (output,)
    with ExitStack() as stack:
        claims = [stack.enter_context(claimed_file(path, force=force)) for path in targets]
        loaded = load_checkpoint(model)
        network = network_of(loaded, model.path)
        metadata = _describe(model, loaded, cache_dir, input)
        made = stack.enter_context(_temporary_file(output))
        with write_errors(output):
            _write(made, format, model, loaded, network, metadata, cache_dir)
        difference = compare_with_pytorch(made, format, network, input=input)
        for claim in reversed(claims):  # the weights before the file that names them
            _keep(claim, made)
    return ExportedModel(
        path=output,
        files=targets,
        format=format,
        difference=difference,
        metadata=metadata,
        sha256=file_sha256(output),
        bytes=sum(path.stat().st_size for path in targets),
    )


def format_of(output: Path) -> ExportFormat:
    """Return the format of a file name.

    Raises:
        UsageError: If no format has its suffix.
    """
    found: list[ExportFormat] = [each for each, suffixes in SUFFIXES.items() if output.suffix == suffixes[0]]
    if not found:
        known = ", ".join(suffixes[0] for suffixes in SUFFIXES.values())
        raise UsageError(f"expected a file that ends in {known}, got {output.name!r}", parameter="output")
    return found[0]


def _check_request(output: Path, format: ExportFormat, input: GraphInput) -> None:
    if output.suffix not in SUFFIXES[format]:
        expected = " or ".join(SUFFIXES[format])
        raise UsageError(f"expected a {format} file that ends in {expected}, got {output.name!r}", parameter="output")
    if format == "safetensors" and input != "waveform":
        raise UsageError(
            "a .safetensors file holds weights, not a graph that reads features",
            fix="Leave out `input=features`, or export another format.",
            parameter="input",
        )


def _describe(model: ModelFile, loaded: LoadedModel, cache_dir: Path, input: GraphInput) -> GraphMetadata:
    """Return the description of the model, with the calibration beside it."""
    metadata = describe_graph(model, loaded, cache_dir=cache_dir, input=input)
    calibration = find_calibration(model, metadata.fingerprint)
    content = calibration.content.model_dump(mode="json", exclude_defaults=True) if calibration else None
    return metadata.model_copy(update={"calibration": content})


@contextmanager
def _temporary_file(output: Path) -> Iterator[Path]:
    """Yield a path of the same name in a folder that is removed at the end."""
    with TemporaryDirectory(prefix="mrlspk-export-") as folder:
        yield Path(folder) / output.name


def _write(
    path: Path,
    format: ExportFormat,
    model: ModelFile,
    loaded: LoadedModel,
    network: Encoder,
    metadata: GraphMetadata,
    cache_dir: Path,
) -> None:
    if format == "onnx":
        from mrlspk.models.export.onnx_file import write_onnx

        write_onnx(network, path, metadata)
    elif format == "torchscript":
        from mrlspk.models.export.torchscript import write_torchscript

        write_torchscript(network, path, metadata)
    elif format == "openvino":
        from mrlspk.models.export.openvino_file import write_openvino

        write_openvino(network, path, metadata)
    else:
        base = describe_base(model, loaded, cache_dir=cache_dir)
        portable = portable_entries(replace(loaded, provenance=provenance_of_converted(loaded, base)))
        save_checkpoint(path, {schema.CONVERTED_FROM: describe_source(model.path, loaded, base)} | portable)


def _keep(claim: Claim, made: Path) -> None:
    with claim.writing() as partial:
        shutil.copyfile(made.with_suffix(claim.path.suffix), partial)
