"""Copy from a graph what its output reads: no other outputs, no weights of those, no descriptions."""

from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def computing(graph: "onnx.GraphProto", output: str) -> "onnx.GraphProto":
    """Return a graph of the nodes and weights that ``output`` is computed from."""
    import onnx

    read, nodes = {output}, list[onnx.NodeProto]()
    for node in reversed(graph.node):
        if not read.isdisjoint(node.output):
            nodes.append(node)
            read.update(_reads(node))
    kept = onnx.GraphProto(
        node=reversed(nodes),
        input=graph.input,
        initializer=[each for each in graph.initializer if each.name in read],
        sparse_initializer=[each for each in graph.sparse_initializer if each.values.name in read],
    )
    for node in kept.node:
        node.ClearField("doc_string")
        node.ClearField("metadata_props")
    return kept


def called(functions: Sequence["onnx.FunctionProto"], nodes: Iterable["onnx.NodeProto"]) -> list["onnx.FunctionProto"]:
    """Return the functions that nodes call, and those that these call."""
    known = {(each.domain, each.name): each for each in functions}
    found, waiting = dict[tuple[str, str], "onnx.FunctionProto"](), [*nodes]
    while waiting:
        node = waiting.pop()
        key = node.domain, node.op_type
        if key in known and key not in found:
            found[key] = known[key]
            waiting += known[key].node
        for attribute in node.attribute:
            waiting += [inner for graph in (attribute.g, *attribute.graphs) for inner in graph.node]
    return [each for key, each in known.items() if key in found]


def _reads(node: "onnx.NodeProto") -> Iterator[str]:
    """Yield the names that a node reads, and all that the graphs inside it read."""
    yield from node.input
    for attribute in node.attribute:
        for graph in (attribute.g, *attribute.graphs):
            yield from (each.name for each in graph.output)
            for inner in graph.node:
                yield from _reads(inner)
