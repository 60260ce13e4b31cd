"""Read the file of a graph and the description in it, and name the values between its parts."""

from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path

from mrlspk.errors import CheckpointError
from mrlspk.models.graph_metadata import PROPERTY, GraphMetadata, read_metadata
from mrlspk.reading import reading

_METADATA = 14  # number of the field metadata_props of ModelProto
_MOST_FIELDS = 10_000  # of an ONNX file; more are not searched
_BYTES = 2  # wire type of strings and messages
_VARINT_OR_BYTES = {0, _BYTES}  # the wire types that ModelProto has
NOT_OURS = "Give a file that `mrlspk export` wrote."


def read_graph(path: Path) -> bytes:
    """Return the content of a file.

    Raises:
        CheckpointError: If it cannot be read.
    """
    with reading(path, CheckpointError):
        return path.read_bytes()


def is_ours(path: Path) -> bool:
    """Return whether `mrlspk export` wrote an ONNX file, by its metadata; it is read without the package onnx.

    Raises:
        CheckpointError: If it cannot be read.
    """
    mark = b"\n" + bytes([len(PROPERTY)]) + PROPERTY.encode()  # an entry of its metadata begins with its key
    fields = islice(_fields(memoryview(read_graph(path))), _MOST_FIELDS)
    return any(number == _METADATA and value.startswith(mark) for number, value in fields)


def _fields(content: memoryview) -> Iterator[tuple[int, bytes]]:
    """Yield number and beginning of the fields of a protobuf message, up to the first that is damaged."""
    place = 0
    while place < len(content):
        tag, place = _varint(content, place)
        if tag & 7 not in _VARINT_OR_BYTES:
            return
        value, place = _varint(content, place)
        has_bytes = tag & 7 == _BYTES
        yield tag >> 3, bytes(content[place : place + 64]) if has_bytes else b""
        place += value if has_bytes else 0


def _varint(content: memoryview, place: int) -> tuple[int, int]:
    """Return the number at ``place``, and the place after it."""
    value = shift = 0
    while place < len(content):
        byte = content[place]
        value |= (byte & 127) << shift
        place, shift = place + 1, shift + 7
        if byte < 128 or shift > 63:
            break
    return value, place


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
