"""Export a speaker model of another toolkit, with its front end and a head or transform, as one ONNX graph."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from mrlspk.config.architecture import BaseFile
from mrlspk.errors import CheckpointError, UsageError
from mrlspk.files import file_sha256
from mrlspk.inference.backend import Backend, LoadedBackend
from mrlspk.inference.backend_registry import GRAPH_SUFFIX, load_backend
from mrlspk.inference.base_file import find_base
from mrlspk.inference.export_parity import (
    CHECKED_SECONDS,
    Difference,
    ExportFormat,
    Values,
    checked_waveforms,
    measure_small,
    open_graph,
)
from mrlspk.inference.mapped_backend import MappedBackend
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.one_graph.assembly import OUTPUT, build_one_graph
from mrlspk.inference.one_graph.base_nodes import BaseGraph
from mrlspk.inference.speaker_models.backend import SpeakerModelBackend
from mrlspk.inference.speaker_models.description import Settings, resolve
from mrlspk.inference.speaker_models.front_ends import Waveform, build_front_end
from mrlspk.inference.speaker_models.graph_ports import read_ports
from mrlspk.inference.speaker_models.graph_safety import SafeGraph, check_graph, read_safe_graph
from mrlspk.models.export.openvino_conversion import save_openvino
from mrlspk.models.graph_metadata import GraphInput, GraphMetadata, check_signal
from mrlspk.pretrained.own_models import UNKNOWN_LICENCE
from mrlspk.pretrained.verification import published_as
from mrlspk.rotation.transform_file import load_transform

FAMILY = "onnx"  # of speaker models of other toolkits, as in the registry
FORMATS = {"onnx", "openvino"}
SIGNAL_SECONDS = CHECKED_SECONDS[:2]  # of the signals that every runtime embeds when it loads the file


@dataclass(frozen=True)
class OneGraphSource:
    """A speaker model, and maybe a head or transform after it, as what is exported.

    Attributes:
        path: Of the speaker model, or of the checkpoint that it is in.
        base: Its graph.
        backend: Runs both.
        metadata: Of the exported file.
    """

    path: Path
    base: BaseGraph
    backend: Backend
    metadata: GraphMetadata

    def with_metadata(self, metadata: GraphMetadata) -> "OneGraphSource":
        """Return the same with other metadata."""
        return replace(self, metadata=metadata)

    def write(self, path: Path, format: ExportFormat) -> None:
        """Write the file of a format.

        Raises:
            CheckpointError: If the graph of the speaker model cannot be extended.
            MissingDependencyError: If a package is not installed.
        """
        rate, least = self.backend.sample_rate, self.backend.min_samples
        lengths = (max(least, round(seconds * rate)) for seconds in SIGNAL_SECONDS)
        metadata = self.metadata.with_checks({n: self.backend.embed(check_signal(n)[None])[0] for n in lengths})
        map = self.backend.map if isinstance(self.backend, MappedBackend) else None
        content = build_one_graph(self.base, map, metadata, self.path)
        if format == "openvino":
            save_openvino(content, path, self.metadata)
        else:
            path.write_bytes(content)

    def compare(self, path: Path, format: ExportFormat) -> Difference:
        """Return the difference of a written file from the models that it was made from.

        Raises:
            CheckpointError: If it is too large.
        """
        run = open_graph(path, format, self.metadata.input)
        pairs = (
            (run(self._read(waveforms)), self.backend.embed(waveforms))
            for waveforms in checked_waveforms(self.backend.min_samples)
        )
        return measure_small(pairs, path, self.path.name)

    def _read(self, waveforms: Values) -> Values:
        """Return what the exported graph reads."""
        if self.metadata.input == "waveform":
            return waveforms
        compute = build_front_end(self.base.description.front_end, self.backend.sample_rate)
        return np.stack([compute(waveform) for waveform in waveforms])


def open_one_graph(
    model: ModelFile, *, cache_dir: Path | None, input: GraphInput, format: ExportFormat
) -> OneGraphSource:
    """Return a speaker model, or a head or transform with its speaker model, to export.

    Args:
        model: The .onnx file, the .npz file of a transform, or the checkpoint of a head.
        cache_dir: Folder of fetched models, whose registry may know the licence.
        input: What the graph reads.
        format: Of the file to write.

    Raises:
        CheckpointError: If the model cannot be loaded, or is a checkpoint.
        UsageError: If it is not to be had in this format, or without its front end.
        DataError: If the transform is damaged.
        MissingDependencyError: If a package is not installed.
    """
    if format not in FORMATS:
        what = f"{model.path.name} has no PyTorch network, which {format} needs"
        raise UsageError(what, fix="Export it as onnx or openvino.", parameter="format")
    loaded = load_backend(model, device="cpu", backend="auto")
    backend, found = loaded.backend, _find_base(model, loaded)
    path = found.path
    base = _base_graph(backend.base if isinstance(backend, MappedBackend) else backend, found.graph, path)
    front_end = base.description.front_end
    if input == "features" and isinstance(front_end, Waveform):
        what = f"{path.name} reads samples: it has no features that the graph could read"
        raise UsageError(what, fix="Leave out `input=features`.", parameter="input")
    metadata = GraphMetadata(
        input=input,
        dims=backend.dims,
        sample_rate=backend.sample_rate,
        min_samples=backend.min_samples,
        fingerprint=backend.fingerprint,
        family=FAMILY,
        licence=_licence(model, found.file, cache_dir),
        base=found.file.model_dump(),
        front_end=front_end.model_dump(),
        config=loaded.config,
        transform=found.transform,
    )
    return OneGraphSource(path, base, backend, metadata)


@dataclass(frozen=True)
class _Base:
    """A speaker model, and what cards say of the transform after it; None for a head."""

    file: BaseFile
    path: Path
    graph: SafeGraph
    transform: dict[str, Any] | None = None


def _find_base(model: ModelFile, loaded: LoadedBackend) -> _Base:
    """Return the speaker model of a file: the file itself, one beside it, or one inside a checkpoint.

    Raises:
        CheckpointError: If it is a checkpoint, or was taken away.
    """
    if loaded.checkpoint is not None:
        from mrlspk.inference.external_base import find_source  # only a head needs PyTorch

        source = find_source(loaded.checkpoint, model.path)
        assert source is not None  # else it would not have been loaded
        if source.bundled is not None:
            return _Base(source.file, model.path, check_graph(source.bundled.content, model.path))
        assert source.path is not None
        return _Base(source.file, source.path, _read_graph(source.path))
    if not isinstance(loaded.backend, MappedBackend):
        file = BaseFile(file=model.path.name, sha256=file_sha256(model.path))
        return _Base(file, model.path, _read_graph(model.path))
    transform = load_transform(model.path)
    assert transform.base is not None  # else it would not have been loaded
    path = find_base(transform.base, model.path)
    return _Base(transform.base, path, _read_graph(path), transform.summary())


def _read_graph(path: Path) -> SafeGraph:
    if path.suffix.lower() != GRAPH_SUFFIX:
        fix = f"Export it first, and make the transform for that file: mrlspk export {path.name} -o {path.stem}.onnx"
        raise CheckpointError("is a checkpoint, not an ONNX graph that a transform could be added to", path, fix)
    return read_safe_graph(path)


def _base_graph(backend: Backend, graph: SafeGraph, path: Path) -> BaseGraph:
    """Return the graph of a speaker model that is loaded, or of a model that we exported, which reads waveforms."""
    if isinstance(backend, SpeakerModelBackend):
        return BaseGraph(graph.proto, backend.description, one_by_one=not backend.takes_batches)
    settings = Settings(front_end=Waveform(), output=OUTPUT)
    described = resolve(settings, read_ports(graph.proto), path, recognised_as=None, source="mrlspk")
    return BaseGraph(graph.proto, described, one_by_one=False)


def _licence(model: ModelFile, base: BaseFile, cache_dir: Path | None) -> str:
    """Return the licence of a speaker model, from the registry or the user's own models."""
    known = model.published or published_as(base.sha256, cache_dir) or model.own
    return known.licence if known else UNKNOWN_LICENCE
