"""Load a speaker model of another toolkit, and find out by trying what its graph takes."""

import logging
import shlex
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import CheckpointError, MissingDependencyError, UsageError, shorten
from mrlspk.inference.backend import BackendName, LoadedBackend, Precision
from mrlspk.inference.onnx_backend import open_session, runtime_faults
from mrlspk.inference.parity import to_unit
from mrlspk.inference.speaker_models.backend import Session, SpeakerModelBackend
from mrlspk.inference.speaker_models.description import (
    Description,
    Settings,
    differences,
    parse_settings,
    read_settings,
    resolve,
    settings_path,
)
from mrlspk.inference.speaker_models.front_ends import samples_for
from mrlspk.inference.speaker_models.graph_ports import read_ports
from mrlspk.inference.speaker_models.graph_safety import SafeGraph, check_graph, read_safe_graph
from mrlspk.inference.speaker_models.recognition import recognise
from mrlspk.models.graph_metadata import check_signal

FRAMES = 10, 25, 50, 100, 200  # tried in this order, until the graph makes an embedding of so few
SHIFT = 1_037  # samples between the signals of a batch
TOLERANCE = 1e-3  # of a value of unit vectors, between a recording alone and in a batch

FIX = "Check its front end and axes: `mrlspk model describe` shows them."

type Values = NDArray[np.float32]

log = logging.getLogger("mrlspk.inference")


def load_speaker_model(
    path: Path, *, device: str = "auto", backend: BackendName = "auto", precision: Precision = "f32"
) -> LoadedBackend:
    """Return the backend of an ONNX speaker model that another toolkit exported.

    Args:
        path: Of the model.
        device: ``auto`` or ``cpu``.
        backend: ``onnxruntime``; ``auto`` and ``torch`` mean the same.
        precision: ``f32``.

    Raises:
        CheckpointError: If the file is damaged or refused, nothing describes its front end, its description does not
            fit its graph, or it makes no embeddings.
        UsageError: If another runtime or precision is asked for.
        MissingDependencyError: If a package is not installed, or the device is not the CPU.
    """
    if device not in {"auto", "cpu"}:
        what = f"an ONNX speaker model does not run on {device}"
        raise MissingDependencyError(what, path, "Use `device=cpu`.", parameter="device")
    graph = read_safe_graph(path)
    description = _describe(graph, read_settings(path), path)
    if backend == "openvino":
        what = "an ONNX speaker model of another toolkit runs in ONNX Runtime only"
        raise UsageError(what, fix="Use `backend=onnxruntime`.", parameter="backend")
    if precision != "f32":
        raise UsageError(f"an ONNX speaker model does not embed in {precision}", fix="Use f32.", parameter="precision")
    return LoadedBackend(open_speaker_model(graph, description, path))


def load_bundled_model(content: bytes, settings: str | None, where: Path) -> SpeakerModelBackend:
    """Return the backend of a speaker model that is inside another file; nothing is written to disk.

    Args:
        content: Of its ONNX file.
        settings: Of the YAML file that described it; None without one.
        where: The file that it is in.

    Raises:
        CheckpointError: As `load_speaker_model`, or if its weights are not inside.
        MissingDependencyError: If a package is not installed.
    """
    graph = check_graph(content, where)
    description = _describe(graph, None if settings is None else parse_settings(settings, where), where)
    return open_speaker_model(graph, description, where)


def _describe(graph: SafeGraph, written: Settings | None, path: Path) -> Description:
    """Return the description of a graph, and warn of what it is at odds with."""
    description = describe_graph(graph, written, path)
    if description is None:
        raise CheckpointError(
            "is an ONNX file whose front end nothing describes: none of mrlspk, WeSpeaker, 3D-Speaker and NeMo is "
            f"recognised, and there is no {settings_path(path).name} beside it",
            path,
            f"Type: mrlspk model describe {shlex.quote(str(path))}",
        )
    for note in description.notes:
        log.warning("%s: %s", path.name, note)
    return description


def find_description(graph: SafeGraph, path: Path) -> Description | None:
    """Return what the YAML file beside a model says of it, else what its metadata or names mean; None without either.

    Raises:
        CheckpointError: If that does not fit the graph, or cannot be.
    """
    return describe_graph(graph, read_settings(path), path)


def describe_graph(graph: SafeGraph, written: Settings | None, path: Path) -> Description | None:
    """Return what settings say of a graph, else what its metadata or names mean; None without either.

    Raises:
        CheckpointError: If that does not fit the graph, or cannot be.
    """
    ports = read_ports(graph.proto)
    if written is None:
        meant = recognise(graph.properties, ports, path)
        if meant is None:
            return None
        return resolve(meant.settings, ports, path, recognised_as=meant.framework, source=meant.source)
    name, framework, notes = settings_path(path).name, None, tuple[str, ...]()
    try:
        if meant := recognise(graph.properties, ports, path):
            framework = meant.framework
            notes = differences(written, meant.settings, name=name, framework=framework)
    except CheckpointError as error:  # wrong metadata are a reason to write such a file
        notes = (error.what,)
    return resolve(written, ports, path, recognised_as=framework, source=name, notes=notes)


def open_speaker_model(graph: SafeGraph, description: Description, path: Path) -> SpeakerModelBackend:
    """Return the backend of a model, after it has embedded a test signal.

    Raises:
        CheckpointError: If ONNX Runtime cannot read it, or it makes no embeddings of up to two seconds.
    """
    session, faults = open_session(graph.content, path), runtime_faults()
    return try_model(SpeakerModelBackend, session, description, sha256=graph.sha256, path=path, faults=faults)


def try_model[Built: SpeakerModelBackend](
    kind: type[Built],
    session: Session,
    description: Description,
    *,
    sha256: str,
    path: Path,
    faults: tuple[type[Exception], ...],
) -> Built:
    """Return the backend of a model, after it has embedded a test signal.

    Args:
        kind: Of the backend.
        session: Runs the model.
        description: Of the model.
        sha256: Of its file and weights.
        path: Of its file.
        faults: What the session raises for a signal that it cannot embed.

    Raises:
        CheckpointError: If it makes no embeddings of up to two seconds, or of another width.
    """
    build = partial(kind, session, description, sha256=sha256)
    alone = build(embed_dim=description.embed_dim or 1, min_samples=1, one_by_one=True)
    n_samples, vector = _fewest_samples(alone, path, faults)
    if description.embed_dim not in {None, len(vector)}:
        what = f"expected {description.embed_dim} values, found embeddings of {len(vector)}"
        raise CheckpointError(what, path, "Correct its description.")
    complete = partial(build, embed_dim=len(vector), min_samples=n_samples)
    several = complete(one_by_one=False)
    return complete(one_by_one=not _takes_batches(several, alone, faults))


def _fewest_samples(
    backend: SpeakerModelBackend, path: Path, faults: tuple[type[Exception], ...]
) -> tuple[int, Values]:
    """Return the fewest samples that a model makes an embedding of, and that embedding of the test signal.

    Raises:
        CheckpointError: If it makes none of the longest signal.
    """
    fault = ""
    for n_frames in FRAMES:
        n_samples = samples_for(backend.description.front_end, n_frames, backend.sample_rate)
        try:
            vector = backend.embed(check_signal(n_samples)[None])[0]
        except faults as error:
            fault = str(error).splitlines()[0]
            continue
        if np.isfinite(vector).all() and vector.any():
            return n_samples, vector
        fault = "its embedding is zero or no number"
    raise CheckpointError(f"makes no embedding of {n_samples / backend.sample_rate:g} s: {shorten(fault)}", path, FIX)


def _takes_batches(
    backend: SpeakerModelBackend, alone: SpeakerModelBackend, faults: tuple[type[Exception], ...]
) -> bool:
    """Return whether a graph computes two recordings at once as it does one after the other."""
    if backend.description.input.shape and backend.description.input.shape[0] == 1:
        return False
    n_samples = 2 * backend.min_samples
    signal = check_signal(n_samples + SHIFT)
    waveforms = np.stack([signal[:n_samples], signal[SHIFT:]])
    try:
        vectors = backend.embed(waveforms)
    except faults:
        return False
    expected = alone.embed(waveforms)
    return vectors.shape == expected.shape and bool(np.abs(to_unit(vectors) - to_unit(expected)).max() <= TOLERANCE)
