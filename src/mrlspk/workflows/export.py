"""Export a model as a file that other programs run, after comparing it with the model itself."""

import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol, Self

from mrlspk.errors import UsageError
from mrlspk.evaluation.calibration_file import CalibrationFile, calibration_path, find_calibration, write_calibration
from mrlspk.files import Claim, claimed_file, file_sha256
from mrlspk.inference.export_parity import Difference, ExportFormat
from mrlspk.inference.graph_file import is_ours
from mrlspk.inference.model_file import ModelFile
from mrlspk.models.graph_metadata import GraphInput, GraphMetadata
from mrlspk.partial_files import write_errors

SUFFIXES: dict[ExportFormat, tuple[str, ...]] = {
    "onnx": (".onnx",),
    "torchscript": (".ts", ".pt"),
    "safetensors": (".safetensors",),
    "openvino": (".xml",),
}
TRANSFORM = ".npz"
WEIGHTS = ".bin"  # of OpenVINO, beside the .xml file


@dataclass(frozen=True)
class ExportedModel:
    """A model that was exported.

    Attributes:
        path: Of the file.
        files: All files that were written.
        format: Of the file.
        difference: From PyTorch, or from a speaker model of another toolkit with its transform, at worst.
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


class Source(Protocol):
    """A model that can be written in a format and compared with what was written."""

    @property
    def metadata(self) -> GraphMetadata:
        """Of the exported file."""

    def with_metadata(self, metadata: GraphMetadata) -> Self:
        """Return the same with other metadata."""

    def write(self, path: Path, format: ExportFormat) -> None:
        """Write the file of a format."""

    def compare(self, path: Path, format: ExportFormat) -> Difference:
        """Return the difference of a written file, which must be small."""


def export(
    model: ModelFile,
    output: Path,
    *,
    cache_dir: Path | None,
    format: ExportFormat | None = None,
    input: GraphInput = "waveform",
    force: bool = False,
) -> ExportedModel:
    """Write a model as a file for other programs; it is kept only if it gives the embeddings of the model.

    Args:
        model: Checkpoint of any layout, ONNX speaker model of another toolkit, or transform of one.
        output: File to write. OpenVINO also writes a .bin file beside it.
        cache_dir: Folder of fetched models, whose registry may know the licence.
        format: None: from the suffix of ``output``.
        input: What the exported model reads; ``features`` leaves the front end out.
        force: Overwrite existing files.

    Raises:
        CheckpointError: If the file is not such a model, its calibration is damaged, or the exported model differs by
            more than 1e-4 in a value of a unit vector.
        UsageError: If the suffix does not fit the format, or the model is not to be had in it or without a front end.
        DataError: If a transform is damaged.
        MissingDependencyError: If a package for this format is not installed.
        MrlspkError: If a file exists and ``force`` is false, or it cannot be written.
    """
    format = format or format_of(output)
    _check_request(output, format, input)
    targets = (output, output.with_suffix(WEIGHTS)) if format == "openvino" else (output,)
    with ExitStack() as stack:
        claims = [stack.enter_context(claimed_file(path, force=force)) for path in targets]
        opened = _open(model, format, cache_dir, input)
        calibration = find_calibration(model, opened.metadata.fingerprint)
        source = _with_calibration(opened, calibration)
        beside = _claim_beside(stack, calibration, output, format, force=force)
        made = stack.enter_context(_temporary_file(output))
        with write_errors(output):
            source.write(made, format)
        difference = source.compare(made, format)
        for claim in reversed(claims):  # the weights before the file that names them
            _keep(claim, made)
        if calibration and beside:
            write_calibration(beside, calibration.content)
    return ExportedModel(
        path=output,
        files=targets,
        format=format,
        difference=difference,
        metadata=source.metadata,
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


def _open(model: ModelFile, format: ExportFormat, cache_dir: Path | None, input: GraphInput) -> Source:
    """Return the model of a file, by its suffix; only a checkpoint needs PyTorch."""
    suffix = model.path.suffix.lower()
    if suffix == TRANSFORM or (suffix == SUFFIXES["onnx"][0] and not is_ours(model.path)):
        from mrlspk.workflows.export_one_graph import open_one_graph

        return open_one_graph(model, cache_dir=cache_dir, input=input, format=format)
    from mrlspk.workflows.export_checkpoint import open_checkpoint

    return open_checkpoint(model, cache_dir=cache_dir, input=input, format=format)


def _claim_beside(
    stack: ExitStack, calibration: CalibrationFile | None, output: Path, format: ExportFormat, *, force: bool
) -> Claim | None:
    """Return the right to write a calibration beside a file that cannot hold it; None if nothing is to be written."""
    path = calibration_path(ModelFile(output, str(output)))
    if format != "safetensors" or calibration is None or (path.exists() and path.samefile(calibration.path)):
        return None
    return stack.enter_context(claimed_file(path, force=force))


def _with_calibration[S: Source](source: S, calibration: CalibrationFile | None) -> S:
    """Return a source with the calibration of its model in the metadata."""
    content = calibration.content.model_dump(mode="json", exclude_defaults=True) if calibration else None
    return source.with_metadata(source.metadata.model_copy(update={"calibration": content}))


@contextmanager
def _temporary_file(output: Path) -> Iterator[Path]:
    """Yield a path of the same name in a folder that is removed at the end."""
    with TemporaryDirectory(prefix="mrlspk-export-") as folder:
        yield Path(folder) / output.name


def _keep(claim: Claim, made: Path) -> None:
    with claim.writing() as partial:
        shutil.copyfile(made.with_suffix(claim.path.suffix), partial)
