"""Keep the graphs of checkpoints, so that the second use of a checkpoint needs no PyTorch.

A new graph removes those that older versions of the program kept.
"""

import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.config.sources import no_cache_folder
from mrlspk.errors import CheckpointError
from mrlspk.files import file_sha256, one_at_a_time, remove_file, whole_file
from mrlspk.inference.backend import BackendName, LoadedBackend, Precision
from mrlspk.inference.graph_loading import load_graph
from mrlspk.inference.model_file import ModelFile
from mrlspk.models.graph_metadata import EXPORTER
from mrlspk.reading import reading

FOLDER = "graphs"
LARGEST_GRAPH = 2**31  # bytes of an ONNX file; more is not even hashed

log = logging.getLogger("mrlspk.inference")


def load_cached_graph(
    model: ModelFile,
    *,
    cache_dir: Path | None,
    device: str,
    backend: BackendName,
    precision: Precision,
    sample: Sequence[NDArray[np.float32]],
) -> LoadedBackend:
    """Return the graph of a checkpoint in a runtime; a kept graph that is damaged is made again.

    Args:
        model: Checkpoint.
        cache_dir: Graphs are kept in its folder ``graphs``.
        device: See `load_graph`, also for the others.
        backend: What runs the graph.
        precision: Of the network.
        sample: Waveforms (samples,) for a lower precision.

    Raises:
        HeadOnlyError: If it is a head on another model, which is a CheckpointError.
        CheckpointError: If the file is no checkpoint, or its graph fails its parity check.
        UsageError: If the runtime or the processor has no such precision, or int8 has no sample.
        MissingDependencyError: If the runtime, or the package that writes graphs, is not installed.
        ConfigError: If there is no ``cache_dir``.
        MrlspkError: If the graph cannot be kept.
    """
    if cache_dir is None:
        raise no_cache_folder()
    load = partial(load_graph, device=device, backend=backend, precision=precision, sample=sample)
    path, is_new = cached_graph(model, cache_dir=cache_dir)
    try:
        loaded = load(path)
    except CheckpointError as error:
        if is_new:
            raise
        log.warning("%s: %s; made again", path, error.what)
        remove_file(path)
        loaded = load(cached_graph(model, cache_dir=cache_dir)[0])
    model.check_family(loaded.metadata.family if loaded.metadata else "")
    return loaded


def cached_graph(model: ModelFile, *, cache_dir: Path) -> tuple[Path, bool]:
    """Return the kept graph of a checkpoint, and whether it was made now; one process makes it, others wait.

    Raises:
        CheckpointError: If the file is no checkpoint.
        MissingDependencyError: If the package that writes graphs is not installed.
        MrlspkError: If the graph cannot be kept.
    """
    path = _graph_path(model, cache_dir)
    if path.is_file():
        return path, False
    with one_at_a_time(path.with_suffix(".lock"), on_wait=lambda: log.info("another process makes %s", path)):
        is_new = not path.is_file()
        if is_new:
            _make_graph(model, path, cache_dir)
            _remove_older(path.parent)
    return path, is_new


def is_kept(model: ModelFile, *, cache_dir: Path) -> bool:
    """Return whether the graph of a checkpoint has been made.

    Raises:
        CheckpointError: If the file cannot be read, or is too large.
    """
    return _graph_path(model, cache_dir).is_file()


def _graph_path(model: ModelFile, cache_dir: Path) -> Path:
    """Return where the graph of a checkpoint is kept.

    Raises:
        CheckpointError: If the file cannot be read, or is larger than an ONNX file can be.
    """
    with reading(model.path, CheckpointError):
        if model.path.stat().st_size > LARGEST_GRAPH:
            raise CheckpointError("is too large to become one ONNX file", model.path, "Use `backend=torch`.")
        name = f"{file_sha256(model.path)}-{EXPORTER}.onnx"
    return cache_dir / FOLDER / name


def _remove_older(folder: Path) -> None:
    """Remove the graphs of older exporters, which this version never reads."""
    for path in folder.glob("*.onnx"):
        _, _, exporter = path.stem.rpartition("-")
        if exporter.isdecimal() and int(exporter) < EXPORTER:
            log.info("removing %s, which an older version made", path)
            remove_file(path)


def _make_graph(model: ModelFile, path: Path, cache_dir: Path) -> None:
    from mrlspk.inference.graph_description import describe_graph  # only here is PyTorch needed
    from mrlspk.inference.torch_backend import load_checkpoint
    from mrlspk.models.checkpoints import network_of
    from mrlspk.models.export.onnx_file import write_onnx

    loaded = load_checkpoint(model)
    network = network_of(loaded, model.path)
    metadata = describe_graph(model, loaded, cache_dir=cache_dir)
    with whole_file(path, force=False) as unfinished:
        write_onnx(network, unfinished, metadata)
