"""Collect the nodes and constants of a part of an ONNX graph, each under a name that no other part has."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

if TYPE_CHECKING:
    import onnx


class Nodes:
    """Nodes in the order of computation, and the constants that they read.

    The operators that are used here mean the same in every opset from 11 on.

    Args:
        prefix: Of the names of all nodes and values.
    """

    def __init__(self, prefix: str) -> None:
        self.prefix = prefix
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []
        self.sparse: list[onnx.SparseTensorProto] = []

    def add(self, operator: str, *inputs: str, name: str | None = None, **attributes: Any) -> str:
        """Append a node with one output; return the name of that."""
        from onnx import helper

        label = f"{self.prefix}/{len(self.nodes)}_{operator}"
        output = name or label
        self.nodes.append(helper.make_node(operator, list(inputs), [output], label, **attributes))
        return output

    def constant(self, values: ArrayLike) -> str:
        """Add a constant and return its name; whole numbers become int64, others float32."""
        from onnx import numpy_helper

        array = np.asarray(values)
        array = array.astype(np.int64 if array.dtype.kind == "i" else np.float32)
        name = f"{self.prefix}/constant{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(array, name))
        return name

    def reshape(self, value: str, shape: list[int], *, name: str | None = None) -> str:
        """Reshape a value; 0 keeps an axis, -1 takes what is left."""
        return self.add("Reshape", value, self.constant(shape), name=name)
