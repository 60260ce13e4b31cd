"""Describe the inputs and outputs of an ONNX graph, and find those of a speaker model among them."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mrlspk.errors import CheckpointError

if TYPE_CHECKING:
    import onnx

type Axis = Literal["batch", "time", "bins", "channel"]  # a channel axis has the size 1

FLOAT, INTEGERS = "float32", ("int64", "int32")


@dataclass(frozen=True)
class Port:
    """An input or output of a graph.

    Attributes:
        name: In the graph.
        kind: Such as ``float32``.
        shape: A size, or the name of one that is free, per axis; None if the graph does not say.
    """

    name: str
    kind: str
    shape: tuple[int | str, ...] | None

    def __str__(self) -> str:
        shape = "unknown shape" if self.shape is None else f"({', '.join(map(str, self.shape))})"
        return f"{self.name} {shape} {self.kind}"


@dataclass(frozen=True)
class Ports:
    """All inputs and outputs of a graph."""

    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]

    def __str__(self) -> str:
        return f"{', '.join(map(str, self.inputs))} → {', '.join(map(str, self.outputs))}"


def read_ports(proto: "onnx.ModelProto") -> Ports:
    """Return the inputs and outputs of a graph; values with a default are no inputs."""
    defaults = {tensor.name for tensor in proto.graph.initializer}
    inputs = tuple(_port(each) for each in proto.graph.input if each.name not in defaults)
    return Ports(inputs, tuple(_port(each) for each in proto.graph.output))


def _port(value: "onnx.ValueInfoProto") -> Port:
    import onnx

    tensor = value.type.tensor_type
    known = onnx.TensorProto.DataType.items()
    kind = next((name.lower() for name, number in known if number == tensor.elem_type), "unknown")
    kind = FLOAT if kind == "float" else kind
    if not tensor.HasField("shape"):
        return Port(value.name, kind, None)
    sizes = tuple(
        dim.dim_value if dim.HasField("dim_value") else dim.dim_param or f"axis{number}"
        for number, dim in enumerate(tensor.shape.dim)
    )
    return Port(value.name, kind, sizes)


def named_port(ports: tuple[Port, ...], name: str, role: str, where: Path) -> Port:
    """Return the port of this name.

    Raises:
        CheckpointError: If there is none.
    """
    for port in ports:
        if port.name == name:
            return port
    found = ", ".join(port.name for port in ports) or "none"
    raise CheckpointError(f"has no {role} called {name}, only {found}", where, "Correct the name in its description.")


def find_signal(ports: Ports, where: Path) -> Port:
    """Return the only input of floating-point numbers with more than one axis.

    Raises:
        CheckpointError: If there is none, or more than one.
    """
    found = [port for port in ports.inputs if port.kind == FLOAT and (port.shape is None or len(port.shape) > 1)]
    if len(found) != 1:
        raise CheckpointError(f"expected one input of features or samples, found {ports}", where, _name_it("input"))
    return found[0]


def find_lengths(ports: Ports, signal: Port, where: Path) -> Port | None:
    """Return the input of lengths, which has one axis; None if the signal is the only input.

    Raises:
        CheckpointError: If there are other inputs.
    """
    others = [port for port in ports.inputs if port != signal]
    if not others:
        return None
    usable = [port for port in others if port.kind in {FLOAT, *INTEGERS} and port.shape and len(port.shape) == 1]
    if len(others) != 1 or not usable:
        listed = ", ".join(map(str, others))
        raise CheckpointError(f"expected at most an input of lengths beside {signal.name}, found {listed}", where)
    return usable[0]


def find_output(ports: Ports, where: Path, *, embed_dim: int | None = None) -> Port:
    """Return the output of embeddings (batch, embed_dim): the only one, or the one of that width.

    Raises:
        CheckpointError: If that is not one.
    """
    floats = [port for port in ports.outputs if port.kind == FLOAT]
    flat = [port for port in floats if port.shape is None or len(port.shape) == 2]
    of_width = [port for port in flat if port.shape and port.shape[-1] == embed_dim]
    found = flat if len(flat) == 1 else of_width
    if len(found) != 1:
        raise CheckpointError(f"expected one output of embeddings, found {ports}", where, _name_it("output"))
    return found[0]


def find_axes(port: Port, bins: int | None, where: Path) -> tuple[Axis, ...]:
    """Return what the axes of the signal are: batch first, and the axis of size ``bins`` is that of the bins.

    Args:
        port: Input of the signal.
        bins: None for samples.
        where: Path of the graph.

    Raises:
        CheckpointError: If the shape tells otherwise, or does not tell.
    """
    shape = port.shape
    expected = "(batch, samples)" if bins is None else f"(batch, time, {bins}) or (batch, {bins}, time)"
    if shape is not None and bins is None and len(shape) in {2, 3}:
        return ("batch", "time") if len(shape) == 2 else ("batch", "channel", "time")
    if shape is not None and bins is not None and len(shape) == 3:
        fits = [axis for axis in (1, 2) if shape[axis] == bins]
        if len(fits) == 1:
            return ("batch", "time", "bins") if fits == [2] else ("batch", "bins", "time")
        if not fits and isinstance(shape[1], int) != isinstance(shape[2], int):
            fix = "Correct the bins of its description."
            raise CheckpointError(f"expected {bins} mel bins, found {port}", where, fix)
    raise CheckpointError(f"expected an input {expected}, found {port}", where, _name_it("axes"))


def check_axes(port: Port, axes: tuple[Axis, ...], bins: int | None, where: Path) -> None:
    """Check that the sizes of a signal fit its axes, and that its time is free.

    Raises:
        CheckpointError: If not.
    """
    if sorted(axes) not in (sorted(("batch", "time", "bins")), ["batch", "time"], ["batch", "channel", "time"]) or (
        ("bins" in axes) != (bins is not None)
    ):
        raise CheckpointError(f"the axes {', '.join(axes)} do not fit the front end", where, _name_it("axes"))
    if port.shape is None:
        return
    if len(port.shape) != len(axes):
        raise CheckpointError(f"expected an input of the axes {', '.join(axes)}, found {port}", where)
    for axis, size in zip(axes, port.shape, strict=True):
        if not isinstance(size, int):
            continue
        if axis == "time":
            what = f"reads exactly {size} values in time, and recordings have any length: {port}"
            raise CheckpointError(what, where, "Export it with a free time axis.")
        wanted = {"batch": size if size > 0 else 1, "channel": 1, "bins": bins}[axis]
        if size != wanted:
            raise CheckpointError(f"expected {wanted} {axis}, found {port}", where, "Correct its description.")


def _name_it(key: str) -> str:
    return f"Name the {key} in a YAML file beside it: `mrlspk model describe` drafts one."
