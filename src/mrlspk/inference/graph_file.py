"""Read the file of a graph and the description in it, and name the values between its parts."""

from collections.abc import Mapping
from pathlib import Path

from mrlspk.errors import CheckpointError
from mrlspk.models.graph_metadata import GraphMetadata, read_metadata
from mrlspk.reading import reading

NOT_OURS = "Give a file that `mrlspk export` wrote."


def read_graph(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        CheckpointError: If it cannot be read.
    """
    with reading(path, CheckpointError):
        return path.read_bytes()


def graph_metadata(properties: Mapping[str, str], where: Path) -> GraphMetadata:
    """Return the description of a graph from the properties of its file.

    Raises:
        CheckpointError: If the file is not one of ours, or its description is damaged.
    """
    try:
        metadata = read_metadata(properties)
    except ValueError as error:
        raise CheckpointError(str(error), where, "Export it again.") from error
    if metadata is None:
        raise CheckpointError("is an ONNX file, but not a model that mrlspk exported", where, NOT_OURS)
    return metadata


def waveform_metadata(properties: Mapping[str, str], where: Path) -> GraphMetadata:
    """Return the description of a graph that reads waveforms from the properties of its file.

    Raises:
        CheckpointError: As `graph_metadata`, or if the graph reads features.
    """
    metadata = graph_metadata(properties, where)
    if metadata.input != "waveform":
        raise CheckpointError(
            "reads log-mel features, not audio", where, "Export the model with waveforms as its input."
        )
    return metadata


def no_parts(name: str, where: Path) -> CheckpointError:
    """Return the error for a graph that does not name the value ``name`` between its parts."""
    return CheckpointError(f"has no value called {name} between its parts", where, "Export it again.")
