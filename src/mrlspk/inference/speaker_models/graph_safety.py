"""Read the ONNX file of a stranger, and refuse what a graph must not hold before a runtime sees it."""

import hashlib
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from mrlspk.errors import CheckpointError, MissingDependencyError, shorten
from mrlspk.file_kinds import GRAPH, recognise
from mrlspk.inference.speaker_models.front_ends import INSTALL
from mrlspk.reading import reading

if TYPE_CHECKING:
    import onnx

LARGEST = 2**31 - 1  # bytes of a file, of a tensor and of all tensors; protobuf allows no more
DOMAINS = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}  # the operators inside ONNX Runtime itself
SIZED = {"ConstantOfShape": 0, "Expand": 1}  # operators that make a tensor of the shape in this input
WHOLE = "Give a whole ONNX file; if it was downloaded, fetch it again."
ONE_FILE = "Save the model as one file, with its weights inside."


@dataclass(frozen=True)
class SafeGraph:
    """A graph that was checked.

    Attributes:
        proto: With its weights.
        content: The same, for a runtime.
        sha256: Of the file and of the weights beside it.
    """

    proto: "onnx.ModelProto"
    content: bytes
    sha256: str

    @property
    def parameters(self) -> int:
        """The number of values of all weights."""
        return sum(math.prod(tensor.dims) for tensor in self.proto.graph.initializer)

    @property
    def properties(self) -> dict[str, str]:
        """The metadata of the file."""
        return {each.key: each.value for each in self.proto.metadata_props}


def read_safe_graph(path: Path) -> SafeGraph:
    """Return the graph in an ONNX file, with the weights that lie beside it.

    Raises:
        CheckpointError: If it is not a whole ONNX file, keeps weights outside its folder, uses custom operators, or
            declares a tensor larger than 2 GB.
        MissingDependencyError: If the package onnx is not installed.
    """
    with reading(path, CheckpointError):
        if path.stat().st_size > LARGEST:
            raise CheckpointError(f"is too large: expected at most {LARGEST:,} bytes", path)
        content = path.read_bytes()
    proto = _parse(content, path)
    sha256 = hashlib.sha256(content)
    if outside := _outside(proto):
        _read_weights(outside, path, sha256)
        content = proto.SerializeToString()
    return SafeGraph(proto, content, sha256.hexdigest())


def check_graph(content: bytes, where: Path) -> SafeGraph:
    """Return the graph in the content of an ONNX file; all of its weights are inside.

    Raises:
        CheckpointError: As `read_safe_graph`, or if weights are in other files. ``where`` is the file that it is from.
        MissingDependencyError: If the package onnx is not installed.
    """
    if len(content) > LARGEST:
        raise CheckpointError(f"is too large: expected at most {LARGEST:,} bytes", where)
    proto = _parse(content, where)
    if _outside(proto):
        what = "expected a base model with its weights inside, found one that keeps them in other files"
        raise CheckpointError(what, where, ONE_FILE)
    return SafeGraph(proto, content, hashlib.sha256(content).hexdigest())


def weight_files(graph: "onnx.ModelProto", model: Path) -> tuple[Path, ...]:
    """Return the files beside a model that hold its weights, relative to its folder.

    Raises:
        CheckpointError: If one is outside the folder.
    """
    return tuple(dict.fromkeys(_weight_file(each, model) for each in _outside(graph)))


def parse_graph(path: Path) -> "onnx.ModelProto":
    """Return the graph in an ONNX file as `read_safe_graph` checks it, without weights in other files.

    Raises:
        CheckpointError: As `read_safe_graph`.
        MissingDependencyError: If the package onnx is not installed.
    """
    with reading(path, CheckpointError):
        return _parse(path.read_bytes(), path)


def _parse(content: bytes, path: Path) -> "onnx.ModelProto":
    """Return a graph whose operators and sizes are checked."""
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ModuleNotFoundError as error:
        raise MissingDependencyError("a speaker model needs the package onnx", path, INSTALL) from error
    proto = onnx.ModelProto()
    try:
        proto.ParseFromString(content)
    except DecodeError as error:
        raise _no_graph(path, "is not a whole ONNX file") from error
    if not (proto.graph.node and proto.graph.output and proto.opset_import):
        raise _no_graph(path, "is not an ONNX file: it holds no graph")
    _check_operators(proto, path)
    _check_sizes(proto, path)
    return proto


def _no_graph(path: Path, what: str) -> CheckpointError:
    """Return the error about a file without a graph, which says what the file is, if that is known."""
    kind = recognise(path)
    if kind is None or kind.name == GRAPH:
        return CheckpointError(what, path, WHOLE)
    return CheckpointError(f"is not an ONNX file but {kind.name}", path, kind.fix or WHOLE)


def _outside(proto: "onnx.ModelProto") -> list["onnx.TensorProto"]:
    """Return the tensors whose values are in other files."""
    import onnx

    return [each for each in _tensors(proto) if each.data_location == onnx.TensorProto.EXTERNAL]


def _check_operators(proto: "onnx.ModelProto", path: Path) -> None:
    """Refuse operators that only a library of someone else could run; functions in the file itself are graphs."""
    defined = {(each.domain, each.name) for each in proto.functions}
    custom = sorted(
        {
            f"{node.domain}.{node.op_type}"
            for node in _nodes(proto)
            if node.domain not in DOMAINS and (node.domain, node.op_type) not in defined
        }
    )
    if custom:
        raise CheckpointError(
            f"needs operators that ONNX Runtime does not have: {shorten(', '.join(custom))}",
            path,
            "Export it with standard operators only: no library of operators is loaded.",
        )


def _check_sizes(proto: "onnx.ModelProto", path: Path) -> None:
    """Refuse tensors that would take more memory than a model can need.

    Sizes that a graph computes while it runs are not known before.
    """
    total = 0
    for tensor in _tensors(proto):
        total += _check_size(tensor.name, tensor.dims, path)
    if total > LARGEST:
        raise CheckpointError(f"expected weights of at most {LARGEST:,} bytes, found {total:,}", path)
    for sparse in (each for graph in _graphs(proto) for each in graph.sparse_initializer):
        _check_size(sparse.values.name, sparse.dims, path)
    for value in (*proto.graph.input, *proto.graph.output, *proto.graph.value_info):
        _check_size(value.name, [max(dim.dim_value, 1) for dim in value.type.tensor_type.shape.dim], path)
    constants = {tensor.name: tensor for tensor in proto.graph.initializer} | {
        node.output[0]: attribute.t
        for node in _nodes(proto)
        if node.op_type == "Constant" and node.output
        for attribute in node.attribute
        if attribute.name == "value"
    }
    for node in _nodes(proto):
        place = SIZED.get(node.op_type, len(node.input))
        if place < len(node.input) and (shape := constants.get(node.input[place])) is not None:
            _check_size(node.output[0], _whole_numbers(shape), path)


def _check_size(name: str, dims: Iterable[int], path: Path) -> int:
    """Return the bytes of a tensor of at least one byte a value.

    Raises:
        CheckpointError: If it is too large, or a size is negative.
    """
    sizes = [int(size) for size in dims]
    if any(size < 0 for size in sizes) or math.prod(sizes) > LARGEST:
        shape = shorten(" × ".join(map(str, sizes)))
        raise CheckpointError(f"expected a tensor of at most {LARGEST:,} bytes, found {name} of {shape}", path)
    return math.prod(sizes)


def _whole_numbers(tensor: "onnx.TensorProto") -> list[int]:
    """Return the values of a small tensor of shapes; none if it holds something else or is not whole."""
    import onnx
    from onnx.numpy_helper import to_array

    is_shape = tensor.data_type == onnx.TensorProto.INT64 and math.prod(tensor.dims) <= 16
    has_all = len(tensor.raw_data) == 8 * math.prod(tensor.dims) or len(tensor.int64_data) == math.prod(tensor.dims)
    return [max(int(value), 1) for value in to_array(tensor).ravel()] if is_shape and has_all else []


def _read_weights(tensors: Iterable["onnx.TensorProto"], path: Path, sha256: "hashlib._Hash") -> None:
    """Read weights in files beside the model into their tensors."""
    import onnx

    for tensor in tensors:
        file = path.parent.resolve() / _weight_file(tensor, path)
        entries = {entry.key: entry.value for entry in tensor.external_data}
        with reading(file, CheckpointError, "Keep the weights of a model beside it."):
            size = file.stat().st_size
            start, length = (_place(entries.get(key), default) for key, default in (("offset", 0), ("length", -1)))
            length = size - start if length < 0 else length
            if start + length > size or length > LARGEST:
                what = f"is not whole: expected {start + length:,} bytes for {tensor.name}, found {size:,}"
                raise CheckpointError(what, file, WHOLE)
            with file.open("rb") as weights:
                weights.seek(start)
                tensor.raw_data = weights.read(length)
        sha256.update(tensor.raw_data)
        tensor.ClearField("external_data")
        tensor.data_location = onnx.TensorProto.DEFAULT


def _weight_file(tensor: "onnx.TensorProto", path: Path) -> Path:
    """Return the file of a tensor's values, relative to the folder of its model.

    Raises:
        CheckpointError: If it is outside that folder.
    """
    folder = path.parent.resolve()
    location = next((entry.value for entry in tensor.external_data if entry.key == "location"), "")
    file = (folder / location).resolve()
    if not location or not file.is_relative_to(folder):
        what = f"expected the weights of {tensor.name} in its own folder, found {location or 'no location'}"
        raise CheckpointError(what, path, ONE_FILE)
    return file.relative_to(folder)


def _place(text: str | None, default: int) -> int:
    return int(text) if text and text.isascii() and text.isdecimal() and len(text) < 19 else default


def _graphs(proto: "onnx.ModelProto") -> Iterator["onnx.GraphProto"]:
    """Yield the graph and those inside its nodes, at any depth."""
    waiting = [proto.graph]
    for function in proto.functions:
        waiting += [each for node in function.node for each in _inner(node)]
    while waiting:
        graph = waiting.pop()
        yield graph
        waiting += [each for node in graph.node for each in _inner(node)]


def _inner(node: "onnx.NodeProto") -> Iterator["onnx.GraphProto"]:
    for attribute in node.attribute:
        if attribute.HasField("g"):
            yield attribute.g
        yield from attribute.graphs


def _nodes(proto: "onnx.ModelProto") -> Iterator["onnx.NodeProto"]:
    for graph in _graphs(proto):
        yield from graph.node
    for function in proto.functions:
        yield from function.node


def _tensors(proto: "onnx.ModelProto") -> Iterator["onnx.TensorProto"]:
    """Yield every tensor of the file, in a fixed order."""
    for graph in _graphs(proto):
        yield from graph.initializer
        for sparse in graph.sparse_initializer:
            yield from (sparse.values, sparse.indices)
    for node in _nodes(proto):
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
