"""The protocol of inference backends, and the widths that may be asked of one."""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import UsageError

if TYPE_CHECKING:
    from mrlspk.inference.model_file import ModelFile
    from mrlspk.models.checkpoints import LoadedModel
    from mrlspk.models.graph_metadata import GraphMetadata

type BackendName = Literal["auto", "torch", "onnxruntime", "openvino"]
type Precision = Literal["f32", "bf16", "int8"]


class Backend(Protocol):
    """A model that maps waveforms to embeddings, whatever computes them."""

    @property
    def dims(self) -> tuple[int, ...]:
        """The prefix widths that the model was trained for, rising; the last is the full width."""

    @property
    def embed_dim(self) -> int:
        """The full width."""

    @property
    def sample_rate(self) -> int:
        """Hz of the waveforms."""

    @property
    def min_samples(self) -> int:
        """The fewest samples of a waveform."""

    @property
    def fingerprint(self) -> str:
        """What identifies the model: equal fingerprints mean equal embeddings, up to rounding."""

    @property
    def runtime(self) -> Mapping[str, str]:
        """Library versions, that of the network first, and device type.

        Embeddings cached under another runtime are not reused.
        """

    @property
    def concurrency(self) -> int:
        """How many threads may call `embed` at once, each on its share of the processors; 1: one call uses them all."""

    def embed(self, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map (batch, samples) in [-1, 1] to (batch, embed_dim), not of unit length."""


@dataclass(frozen=True)
class PrecisionCosine:
    """Cosines of embeddings in a lower precision with those of the same recordings in f32.

    Attributes:
        mean: Over the recordings.
        min: The lowest.
        files: How many recordings.
    """

    mean: float
    min: float
    files: int


@dataclass(frozen=True)
class LoadedBackend:
    """A backend, and what else its model file holds.

    Attributes:
        backend: On its device.
        config: The resolved configuration of the training run; None if the file holds none.
        checkpoint: The PyTorch checkpoint that the backend was loaded from; None for other kinds of model file.
        metadata: The description of the exported graph that the backend runs; None for PyTorch and plug-ins.
        precision_cosine: Of a precision below f32 to f32; None for f32, or without recordings.
    """

    backend: Backend
    config: dict[str, Any] | None = None
    checkpoint: "LoadedModel | None" = None
    metadata: "GraphMetadata | None" = None
    precision_cosine: PrecisionCosine | None = None


def runtime_name(backend: Backend) -> str:
    """Return the name of the library that runs a backend: the first entry of its `runtime`."""
    return next(iter(backend.runtime))


def check_dims(
    trained: tuple[int, ...],
    dims: tuple[int, ...] | None,
    *,
    allow_untrained: bool = False,
    model: "ModelFile | None" = None,
) -> tuple[int, ...]:
    """Return ``dims``, or all trained widths if it is None; the error names a command for ``model``.

    Raises:
        UsageError: If a width is wider than the model, or is one that the model was not trained for and
            ``allow_untrained`` is false.
    """
    if dims is None:
        return trained
    known = ", ".join(map(str, trained))
    for dim in dims:
        if not 0 < dim <= trained[-1]:
            raise UsageError(
                f"the model has {trained[-1]} values, so it has no width {dim}",
                fix=f"Its widths: {known}.",
                parameter="dim",
            )
        if dim not in trained and not allow_untrained:
            raise UsageError(
                f"the model was not trained for a width of {dim}",
                fix=_more_widths(trained, dims, model)
                + f"`allow_untrained_dim=True` takes the first {dim} values anyway.",
                parameter="dim",
            )
    return dims


def _more_widths(trained: tuple[int, ...], dims: tuple[int, ...], model: "ModelFile | None") -> str:
    """Return the widths of a model; if it has one, how to give it more."""
    if len(trained) > 1 or model is None or model.is_vectors:
        return f"Its widths: {', '.join(map(str, trained))}. "
    wanted = ",".join(str(dim) for dim in sorted(dims) if dim < trained[-1])
    suffix = ".npz" if model.path.suffix.lower() in {".onnx", ".npz"} else ".pt"
    command = f"mrlspk rotate {shlex.quote(model.typed)} --speech DIR --dims {wanted} -o rotated{suffix}"
    return f"It has one width, {trained[0]}. To give it more: {command}\n"
