"""Pick the backend that loads a model file: a registered or installed one by its suffix, else PyTorch.

A plug-in adds a backend with `register_loader`, or as an entry point of the group ``mrlspk.backends`` whose name is the
suffix without its dot, such as ``onnx``, and whose object is a loader.
"""

from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import EntryPoint, entry_points

from mrlspk.inference.backend import LoadedBackend
from mrlspk.inference.model_file import ModelFile

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
