"""The protocol of inference backends, and the registry that picks one for a model file.

A plug-in adds a backend with `register_loader`, or as an entry point of the group ``mrlspk.backends`` whose name is the
suffix without its dot, such as ``onnx``, and whose object is a loader.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import UsageError
from mrlspk.inference.model_file import ModelFile

if TYPE_CHECKING:
    from mrlspk.models.checkpoints import LoadedModel


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
        """Library versions and device type; embeddings cached under another runtime are not reused."""

    def embed(self, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map (batch, samples) in [-1, 1] to (batch, embed_dim), not of unit length."""


@dataclass(frozen=True)
class LoadedBackend:
    """A backend, and what else its model file holds.

    Attributes:
        backend: On its device.
        config: The resolved configuration of the training run; None if the file holds none.
        checkpoint: The PyTorch checkpoint that the backend was loaded from; None for other kinds of model file.
    """

    backend: Backend
    config: dict[str, Any] | None = None
    checkpoint: "LoadedModel | None" = None


type Loader = Callable[[ModelFile, str], LoadedBackend]  # of a model file, on the device of that name

ENTRY_POINTS = "mrlspk.backends"

_LOADERS: dict[str, Loader] = {}


def register_loader(suffix: str, loader: Loader) -> None:
    """Let `load_backend` load model files whose names end in ``suffix``, such as ``.onnx``, by ``loader``."""
    _LOADERS[suffix.lower()] = loader


def load_backend(model: ModelFile, *, device: str = "auto") -> LoadedBackend:
    """Return the backend of a model file: that of a registered suffix, else PyTorch.

    Args:
        model: The file.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.

    Raises:
        CheckpointError: If the file is not a model, or does not fit its own configuration.
        UsageError: If no device is called ``device``.
        MissingDependencyError: If this machine has no such device.
    """
    if loader := _find_loader(model.path.suffix.lower()):
        return loader(model, device)
    from mrlspk.inference.torch_backend import load_torch_backend  # other backends need no PyTorch network

    return load_torch_backend(model, device)


def _find_loader(suffix: str) -> Loader | None:
    """Return the loader of a suffix, a registered one before an installed one; None if there is none."""
    if suffix not in _LOADERS and (installed := _installed_loaders().get(suffix)):
        _LOADERS[suffix] = installed.load()
    return _LOADERS.get(suffix)


@cache
def _installed_loaders() -> Mapping[str, EntryPoint]:
    return {f".{entry.name.lower()}": entry for entry in entry_points(group=ENTRY_POINTS)}


def check_dims(
    trained: tuple[int, ...], dims: tuple[int, ...] | None, *, allow_untrained: bool = False
) -> tuple[int, ...]:
    """Return ``dims``, or all trained widths if it is None.

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
                fix=f"Its widths: {known}. `allow_untrained_dim=True` takes the first {dim} values anyway.",
                parameter="dim",
            )
    return dims
