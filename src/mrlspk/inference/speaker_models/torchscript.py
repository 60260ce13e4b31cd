"""Run TorchScript speaker models of other toolkits: programs, which are run only where the user trusts them."""

import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import CheckpointError, UsageError, shorten
from mrlspk.files import file_sha256
from mrlspk.inference.backend import BackendName, LoadedBackend, Precision
from mrlspk.inference.speaker_models.backend import SpeakerModelBackend
from mrlspk.inference.speaker_models.description import SAMPLE_RATE, Description, Settings, read_settings, settings_path
from mrlspk.inference.speaker_models.front_ends import Waveform, front_end_version
from mrlspk.inference.speaker_models.graph_ports import FLOAT, Axis, Port, check_axes, named_port
from mrlspk.inference.speaker_models.loading import try_model

if TYPE_CHECKING:
    import torch

SUFFIXES = ".pt", ".pth", ".ts", ".jit"
FIRST = "0"  # the output of a program that returns one tensor
INTEGER = "int64"
NO_PROGRAM = "Give a file that torch.jit.save wrote."


def is_torchscript(path: Path) -> bool:
    """Return whether a file holds a program that torch.jit.save wrote; nothing in it is run."""
    if path.suffix.lower() not in SUFFIXES:
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.partition("/")[2] == "constants.pkl" for name in archive.namelist())
    except (zipfile.BadZipFile, OSError, ValueError):  # loading it as a checkpoint says what it is
        return False


class ScriptSession:
    """A program, called as a session of ONNX Runtime is.

    Args:
        module: On its device.
        inputs: Names of its tensors, in order.
        device: Of the module.
        where: Its file.
    """

    def __init__(self, module: "torch.jit.ScriptModule", inputs: Sequence[str], device: str, where: Path) -> None:
        self._module, self._inputs, self.device, self._where = module, inputs, device, where

    def run(self, outputs: Sequence[str], feeds: Mapping[str, NDArray[np.generic]]) -> list[NDArray[np.float32]]:
        """Return the output of a number, such as ``0``.

        Raises:
            CheckpointError: If the program returns no such tensor.
            RuntimeError: If it fails.
        """
        import torch

        tensors = [torch.from_numpy(np.ascontiguousarray(feeds[name])).to(self.device) for name in self._inputs]
        try:
            with torch.inference_mode():
                found = self._module(*tensors)
        except (RuntimeError, torch.jit.Error) as error:  # their first lines are a traceback of the program
            raise RuntimeError(str(error).strip().splitlines()[-1]) from error
        results = [found] if isinstance(found, torch.Tensor) else found
        number = int(outputs[0])
        if not isinstance(results, list | tuple) or number >= len(results) or not torch.is_tensor(results[number]):
            what = f"expected a tensor as output {number}, got {shorten(_kinds(found))}"
            raise CheckpointError(what, self._where, f"Name the output by its number in {settings_path(self._where)}.")
        return [results[number].float().cpu().numpy()]


class ScriptModelBackend(SpeakerModelBackend):
    """A program as a `Backend`; a call uses all threads of PyTorch."""

    _session: ScriptSession

    @property
    def runtime(self) -> Mapping[str, str]:
        """The versions of PyTorch and of the library of the front end, the device and the precision."""
        import torch

        versions = {"torch": torch.__version__} | front_end_version(self.description.front_end)
        return versions | {"device": self._session.device, "network": "torchscript", "precision": "f32"}

    @property
    def concurrency(self) -> int:
        """1: PyTorch uses all processors for one call."""
        return 1


def load_script_model(
    path: Path, *, device: str = "auto", backend: BackendName = "auto", precision: Precision = "f32"
) -> LoadedBackend:
    """Run a program that the user trusts behind the front end that its YAML file describes, and return its backend.

    Args:
        path: Of the program.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        backend: ``torch``; ``auto`` means the same.
        precision: ``f32``.

    Raises:
        CheckpointError: If no YAML file describes it, the description does not fit, or it makes no embeddings.
        UsageError: If another runtime or precision is asked for, or no device is called ``device``.
        MissingDependencyError: If a package is not installed, or this machine has no such device.
    """
    if backend not in {"auto", "torch"}:
        raise UsageError("a TorchScript model runs in PyTorch only", fix="Use `backend=torch`.", parameter="backend")
    if precision != "f32":
        raise UsageError(f"a TorchScript model does not embed in {precision}", fix="Use f32.", parameter="precision")
    settings = read_settings(path)
    if settings is None:
        what = f"is a TorchScript model whose front end nothing describes: there is no {settings_path(path).name}"
        raise CheckpointError(
            what, path, "Write that file, such as `front_end: waveform`; docs/any-model.md has its keys."
        )
    from mrlspk.inference.torch_device import find_device

    place = str(find_device(device))
    module = _load(path, place)
    description = _describe(settings, _tensors_of(module), path)
    inputs = [description.input.name, *([description.lengths.name] if description.lengths else [])]
    order = [name for name in _tensors_of(module) if name in inputs]
    session = ScriptSession(module, order, place, path)
    return LoadedBackend(
        try_model(ScriptModelBackend, session, description, sha256=file_sha256(path), path=path, faults=(RuntimeError,))
    )


def _load(path: Path, device: str) -> "torch.jit.ScriptModule":
    import torch

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)
            module: torch.jit.ScriptModule = torch.jit.load(path, device)  # type: ignore[no-untyped-call]
    except (RuntimeError, ValueError) as error:
        raise CheckpointError(f"cannot be loaded: {shorten(str(error).splitlines()[0])}", path, NO_PROGRAM) from error
    return module.eval()


def _tensors_of(module: "torch.jit.ScriptModule") -> tuple[str, ...]:
    """Return the names of the arguments of a program that have no default."""
    arguments = module.forward.schema.arguments[1:]  # type: ignore[attr-defined]
    return tuple(each.name for each in arguments if not each.has_default_value())


def _describe(settings: Settings, names: tuple[str, ...], path: Path) -> Description:
    """Return the description of a program, whose arguments have no known shapes.

    Raises:
        CheckpointError: If settings and arguments contradict each other.
    """
    front_end = settings.front_end
    if settings.sample_rate != SAMPLE_RATE:
        what = f"expected a model for {SAMPLE_RATE} Hz, found one for {settings.sample_rate} Hz"
        raise CheckpointError(what, path, "Give a model for 16 kHz.")
    ports = tuple(Port(name, FLOAT, None) for name in names)
    signal = named_port(ports, settings.input or next(iter(names), ""), "input", path)
    lengths = named_port(ports, settings.lengths, "input", path) if settings.lengths else None
    if others := set(names) - {signal.name, lengths.name if lengths else ""}:
        what = f"needs {', '.join(sorted(others))} beside {signal.name}"
        raise CheckpointError(what, path, f"Name an input of lengths as lengths in {settings_path(path).name}.")
    usual: tuple[Axis, ...] = ("batch", "time") if isinstance(front_end, Waveform) else ("batch", "time", "bins")
    axes = settings.axes or usual
    check_axes(signal, axes, None if isinstance(front_end, Waveform) else front_end.bins, path)
    output = settings.output or FIRST
    if not output.isdecimal():
        raise CheckpointError(
            f"expected a number as output, got {output!r}", settings_path(path), 'Such as output: "0".'
        )
    return Description(
        front_end,
        SAMPLE_RATE,
        signal,
        axes,
        lengths and Port(lengths.name, INTEGER, ("batch",)),
        Port(output, FLOAT, None),
        settings.embed_dim,
        recognised_as=None,
        source=settings_path(path).name,
    )


def _kinds(found: object) -> str:
    several = isinstance(found, list | tuple)
    return f"{len(found)} outputs" if several else f"a {type(found).__name__}"  # type: ignore[arg-type]
