"""Pick the backend that loads a model file: a registered or installed one by its suffix, a graph runtime, or PyTorch.

A plug-in adds a backend with `register_loader`, or as an entry point of the group ``mrlspk.backends`` whose name is the
suffix without its dot, such as ``onnx``, and whose object is a loader.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import UsageError
from mrlspk.inference.backend import Backend, BackendName, LoadedBackend, Precision
from mrlspk.inference.base_file import LoadBase
from mrlspk.inference.model_file import ModelFile

type Loader = Callable[[ModelFile, str], LoadedBackend]  # of a model file, on the device of that name


@dataclass(frozen=True)
class MapLoader:
    """A loader of files that map the embeddings of a base model; the base is loaded as the user wants models loaded.

    Attributes:
        load: Maps the file, and what loads its base, to a backend.
    """

    load: Callable[[ModelFile, LoadBase], LoadedBackend]


ENTRY_POINTS = "mrlspk.backends"
GRAPH_SUFFIX = ".onnx"

_LOADERS: dict[str, Loader | MapLoader] = {}


def register_loader(suffix: str, loader: Loader | MapLoader) -> None:
    """Let `load_backend` load model files whose names end in ``suffix``, such as ``.onnx``, by ``loader``."""
    _LOADERS[suffix.lower()] = loader


def load_backend(
    model: ModelFile,
    *,
    device: str = "auto",
    backend: BackendName = "torch",
    precision: Precision = "f32",
    cache_dir: Path | None = None,
    sample: Sequence[NDArray[np.float32]] = (),
    makes_graph: bool = True,
    compile: bool = False,
) -> LoadedBackend:
    """Return the backend of a model file: that of a registered suffix, of an exported graph, else ``backend``.

    Args:
        model: The file.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        backend: What runs a checkpoint. An exported graph has no PyTorch network: ``torch`` means ``auto`` there.
        precision: Of the network; front end, pooling and head stay in float32.
        cache_dir: Where the graph of a checkpoint is kept.
        sample: Waveforms (samples,) that a lower precision is compared with f32 on; int8 is calibrated on them.
        compile: Call the network of a checkpoint through torch.compile: ``auto`` means ``torch`` then.
        makes_graph: Whether ``auto`` makes the graph of a checkpoint if none is kept, which takes seconds.

    Raises:
        CheckpointError: If the file is not a model, does not fit its own configuration, or fails its parity check.
        UsageError: If no device is called ``device``, the backend has no such precision, or it is not PyTorch that is
            to be compiled.
        ConfigError: If the graph of a checkpoint is needed, and ``cache_dir`` is None.
        MissingDependencyError: If this machine has no such device, or the runtime is not installed.
    """
    if model.trust_code and not compile:
        from mrlspk.inference.speaker_models.torchscript import is_torchscript, load_script_model

        if is_torchscript(model.path):
            return load_script_model(model.path, device=device, backend=backend, precision=precision)
    suffix = model.path.suffix.lower()
    load_base = partial(_load_base, device=device, backend=backend, cache_dir=cache_dir, makes_graph=makes_graph)
    load_in_torch = partial(_load_in_torch, model, device, precision, sample, load_base)
    if compile:
        _check_compiled(suffix, backend)
        return load_in_torch(compiled=True)
    if loader := _find_loader(suffix):
        if precision != "f32":
            raise UsageError(f"a {suffix} model runs in f32", fix="Use f32.", parameter="precision")
        if isinstance(loader, MapLoader):
            return loader.load(model, load_base)
        if backend == "openvino":
            raise UsageError(
                f"a {suffix} model does not run in OpenVINO", fix="Use `backend=auto`.", parameter="backend"
            )
        return loader(model, device)
    if suffix == GRAPH_SUFFIX:
        return _load_onnx(model, device, backend, precision, sample)
    if backend == "auto":
        from mrlspk.inference.automatic import load_fastest

        fastest = load_fastest(
            model,
            device=device,
            precision=precision,
            cache_dir=cache_dir,
            sample=sample,
            makes_graph=makes_graph,
        )
        return fastest or load_in_torch()
    if backend == "torch":
        return load_in_torch()
    from mrlspk.inference.graph_cache import load_cached_graph
    from mrlspk.models.checkpoints import HeadOnlyError

    try:
        return load_cached_graph(
            model, device=device, backend=backend, precision=precision, cache_dir=cache_dir, sample=sample
        )
    except HeadOnlyError:  # the backend is that of its base model
        return load_in_torch()


def _load_onnx(
    model: ModelFile, device: str, backend: BackendName, precision: Precision, sample: Sequence[NDArray[np.float32]]
) -> LoadedBackend:
    """Load a file that `mrlspk export` wrote, or a speaker model of another toolkit."""
    from mrlspk.inference.graph_file import is_ours

    if is_ours(model.path):
        from mrlspk.inference.graph_loading import load_graph

        return load_graph(model.path, device=device, backend=backend, precision=precision, sample=sample)
    from mrlspk.inference.speaker_models.loading import load_speaker_model

    model.check_family("onnx")
    return load_speaker_model(model.path, device=device, backend=backend, precision=precision)


def _load_in_torch(
    model: ModelFile,
    device: str,
    precision: Precision,
    sample: Sequence[NDArray[np.float32]],
    load_base: LoadBase,
    *,
    compiled: bool = False,
) -> LoadedBackend:
    """Load a checkpoint; a head on another model runs after that model."""
    from mrlspk.inference.torch_backend import load_torch_backend  # graphs need no PyTorch network

    return load_torch_backend(model, device, precision=precision, compiled=compiled, sample=sample, load_base=load_base)


def _load_base(
    base: ModelFile, *, device: str, backend: BackendName, cache_dir: Path | None, makes_graph: bool
) -> Backend:
    return load_backend(base, device=device, backend=backend, cache_dir=cache_dir, makes_graph=makes_graph).backend


def _check_compiled(suffix: str, backend: BackendName) -> None:
    """Raise UsageError if it is not PyTorch that runs the model."""
    if suffix == GRAPH_SUFFIX or _find_loader(suffix):
        raise UsageError("only a checkpoint can be compiled", fix="Leave out `compile`.", parameter="compile")
    if backend not in {"auto", "torch"}:
        what = f"torch.compile does not speed up {backend}"
        raise UsageError(what, fix="Use `backend=torch`, or leave out `compile`.", parameter="compile")


def _find_loader(suffix: str) -> Loader | MapLoader | None:
    """Return the loader of a suffix, a registered one before an installed one; None if there is none."""
    if suffix not in _LOADERS and (installed := _installed_loaders().get(suffix)):
        _LOADERS[suffix] = installed.load()
    return _LOADERS.get(suffix)


@cache
def _installed_loaders() -> Mapping[str, EntryPoint]:
    return {f".{entry.name.lower()}": entry for entry in entry_points(group=ENTRY_POINTS)}
