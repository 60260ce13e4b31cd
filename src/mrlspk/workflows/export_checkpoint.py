"""Export a checkpoint from PyTorch."""

from dataclasses import dataclass, replace
from pathlib import Path

from mrlspk.config.architecture import HeadArchitecture
from mrlspk.evaluation.score_ranges import read_score_ranges
from mrlspk.inference.export_parity import Difference, ExportFormat
from mrlspk.inference.exported_file import compare_with_pytorch
from mrlspk.inference.graph_description import describe_graph
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.provenance import describe_base, describe_source, provenance_of_converted
from mrlspk.inference.torch_backend import load_checkpoint
from mrlspk.models.checkpoints import LoadedModel, network_of, portable_entries, save_checkpoint, schema
from mrlspk.models.encoder import Encoder
from mrlspk.models.graph_metadata import GraphInput, GraphMetadata
from mrlspk.workflows.export_one_graph import OneGraphSource, open_one_graph


@dataclass(frozen=True)
class CheckpointSource:
    """A checkpoint as what is exported.

    Attributes:
        model: Its file.
        loaded: The model in it.
        network: Its encoder.
        metadata: Of the exported file.
        cache_dir: Folder of fetched models.
    """

    model: ModelFile
    loaded: LoadedModel
    network: Encoder
    metadata: GraphMetadata
    cache_dir: Path | None

    def with_metadata(self, metadata: GraphMetadata) -> "CheckpointSource":
        """Return the same with other metadata."""
        return replace(self, metadata=metadata)

    def write(self, path: Path, format: ExportFormat) -> None:
        """Write the file of a format."""
        encoder, metadata = self.network, self.metadata
        if format == "onnx":
            from mrlspk.models.export.onnx_file import write_onnx

            write_onnx(encoder, path, metadata)
        elif format == "torchscript":
            from mrlspk.models.export.torchscript import write_torchscript

            write_torchscript(encoder, path, metadata)
        elif format == "openvino":
            from mrlspk.models.export.openvino_file import write_openvino

            write_openvino(encoder, path, metadata)
        else:
            self._write_safetensors(path)

    def _write_safetensors(self, path: Path) -> None:
        base = describe_base(self.model, self.loaded, cache_dir=self.cache_dir)
        portable = portable_entries(replace(self.loaded, provenance=provenance_of_converted(self.loaded, base)))
        source = describe_source(self.model.path, self.loaded, base)
        save_checkpoint(path, {schema.CONVERTED_FROM: source} | portable)

    def compare(self, path: Path, format: ExportFormat) -> Difference:
        """Return the difference of a written file from PyTorch.

        Raises:
            CheckpointError: If it is too large.
        """
        return compare_with_pytorch(path, format, self.network, input=self.metadata.input)


def open_checkpoint(
    model: ModelFile, *, cache_dir: Path | None, input: GraphInput, format: ExportFormat
) -> CheckpointSource | OneGraphSource:
    """Return a checkpoint to export; a head on a model of another toolkit is exported with that model.

    Raises:
        CheckpointError: If the file is not a checkpoint, or the model of its head cannot be loaded.
        UsageError: If a head is not to be had in this format.
        MissingDependencyError: If a package is not installed.
    """
    loaded = load_checkpoint(model)
    if isinstance(loaded.architecture, HeadArchitecture):
        return open_one_graph(model, cache_dir=cache_dir, input=input, format=format)
    ranges = {"score_ranges": read_score_ranges(loaded.contents, model.path)} if loaded.family == "mrlspk" else {}
    metadata = describe_graph(model, loaded, cache_dir=cache_dir, input=input).model_copy(update=ranges)
    return CheckpointSource(model, loaded, network_of(loaded, model.path), metadata, cache_dir)
