"""Read and write checkpoint files: .pt without running what it holds, and .safetensors."""

import io
import json
import pickle
import re
import struct
import sys
import zipfile
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor

from mrlspk.errors import CheckpointError, MissingDependencyError, UsageError
from mrlspk.file_kinds import recognise
from mrlspk.files import Claim, claimed_file
from mrlspk.models.checkpoints import schema
from mrlspk.reading import is_file, load_json, reading

SAFETENSORS = ".safetensors"
_HEADER = "mrlspk"  # key of the header of a .safetensors file; it holds all entries but the weights, as JSON
_WRITTEN_BY_TORCH = "Give a checkpoint that torch.save wrote; if it was downloaded, fetch it again."
_UNSAFE = re.compile(r"GLOBAL ([\w.]{1,200})")  # what torch.load names when it refuses a class
_AS_ONNX = (
    "Export the model to ONNX and give that file; docs/any-model.md says how. "
    "`mrlspk embed|verify|eval|compare|calibrate` run a program that you trust with `trust_code`."
)
_ZIP_BEGINS = b"PK\x03\x04"
# Struct codes of the NumPy numbers that a checkpoint may hold, by NumPy's own codes.
_NUMBERS = {"f2": "e", "f4": "f", "f8": "d", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "b1": "?"} | {
    "u1": "B", "u2": "H", "u4": "I", "u8": "Q"
}  # fmt: skip


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return the entries of a checkpoint file: tensors and plain values only; no code in it is run.

    NumPy numbers, which some published checkpoints hold, become Python numbers.

    Raises:
        CheckpointError: If the file is missing, is no checkpoint, or holds anything else.
        MissingDependencyError: If it is a .safetensors file and that package is not installed.
    """
    if not is_file(path, CheckpointError, "Check the path."):
        raise CheckpointError("no such checkpoint file", path, "Check the path; `mrlspk pretrained list` shows names.")
    if path.suffix == SAFETENSORS:
        return _read_safetensors(path)
    _check_zip(path)
    try:
        with torch.serialization.safe_globals(_NUMPY_STAND_INS):
            entries = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"is refused: it holds more than tensors and plain values: {_unsafe(error)}",
            path,
            "Ask its author for a checkpoint that holds weights, settings and metrics only.",
        ) from error
    except Exception as error:  # noqa: BLE001 - a damaged file fails anywhere in torch's reader, in many ways
        raise CheckpointError(f"is damaged or no checkpoint: {_first_line(error)}", path, _remedy(path)) from error
    if not isinstance(entries, dict):
        raise CheckpointError(f"expected a dict of entries, found a {type(entries).__name__}", path, _WRITTEN_BY_TORCH)
    return entries


def check_suffix(path: Path) -> None:
    """Refuse, before any work, a file name that ends in neither .pt nor .safetensors.

    Raises:
        UsageError: If it ends otherwise.
        MissingDependencyError: If it ends in .safetensors and that package is not installed.
    """
    if path.suffix == SAFETENSORS:
        import_safetensors(path)
    elif path.suffix != ".pt":
        fix = "`mrlspk export` writes ONNX." if path.suffix.lower() == ".onnx" else None
        what = f"expected a file that ends in .pt or {SAFETENSORS}, got {path.name!r}"
        raise UsageError(what, fix=fix, parameter="output")


def save_checkpoint(path: Path, entries: dict[str, Any]) -> None:
    """Write entries as `write_checkpoint` does, over the file that may be there."""
    with claimed_file(path, force=True) as claim:
        write_checkpoint(claim, entries)


def write_checkpoint(claim: Claim, entries: dict[str, Any]) -> None:
    """Write entries as the suffix of the file says, whole or not at all; equal entries make equal files.

    Raises:
        UsageError: If the suffix is neither .pt nor .safetensors.
        CheckpointError: If an entry beside the weights cannot be written to .safetensors.
        MissingDependencyError: If it is .safetensors and that package is not installed.
        MrlspkError: If the file cannot be written.
    """
    check_suffix(claim.path)
    write = _write_safetensors if claim.path.suffix == SAFETENSORS else write_entries
    with claim.writing() as partial:
        write(partial, entries)


def write_entries(path: Path, entries: dict[str, Any]) -> None:
    """Write a .pt file in place; equal entries make equal files, byte for byte.

    The file does not hold its own name, and does not depend on which Python objects the entries share.
    """
    buffer = io.BytesIO()  # torch.save straight to a full disk fails with an error that does not say so
    torch.save(_without_sharing(entries), buffer)
    path.write_bytes(buffer.getvalue())  # no copy; a view of it can crash CPython 3.12 when writing fails


def _without_sharing(value: Any) -> Any:
    """Return ``value`` with every container an object of its own, equal strings one object, and no views of tensors.

    Pickle writes an object that occurs again as a reference to its first occurrence. Whether two equal strings are one
    object depends on where they come from, and would change the bytes. So would the storage behind a view.
    """
    if isinstance(value, str):
        return sys.intern(value)
    if isinstance(value, OrderedDict):
        ordered = OrderedDict((_without_sharing(key), _without_sharing(item)) for key, item in value.items())
        if "_metadata" in vars(value):  # versions of modules, in a state dict
            vars(ordered)["_metadata"] = _without_sharing(vars(value)["_metadata"])
        return ordered
    if isinstance(value, dict):
        return {_without_sharing(key): _without_sharing(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(map(_without_sharing, value))
    if isinstance(value, Tensor) and value.untyped_storage().nbytes() > value.nbytes:
        return value.clone()
    return value


def _write_safetensors(path: Path, entries: dict[str, Any]) -> None:
    safetensors = import_safetensors(path)
    state: dict[str, Tensor] = {name: values.contiguous() for name, values in entries[schema.MODEL].items()}
    try:
        rest = json.dumps({key: value for key, value in entries.items() if key != schema.MODEL})
    except (TypeError, ValueError, RecursionError) as error:
        raise CheckpointError(
            f"its entries beside the weights cannot be written as JSON: {error}", path, "Convert it to .pt."
        ) from error
    content = safetensors.torch.save(state, metadata={_HEADER: rest})
    path.write_bytes(content)  # its save_file fails on a full disk with an error of its own


def _read_safetensors(path: Path) -> dict[str, Any]:
    safetensors = import_safetensors(path)
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
        rest = load_json(metadata[_HEADER])
    except KeyError as error:
        raise CheckpointError(
            "holds tensors without a configuration of mrlspk's, so no network can be built for them",
            path,
            "Give a .safetensors file that `mrlspk pretrained convert` wrote.",
        ) from error
    except (safetensors.SafetensorError, ValueError, OSError) as error:
        raise CheckpointError(f"is damaged or no safetensors file: {error}", path, "Write it again.") from error
    if not isinstance(rest, dict):
        raise CheckpointError("its header is not a mapping", path, "Write it again with `mrlspk pretrained convert`.")
    return rest | {schema.MODEL: state}


def import_safetensors(path: Path) -> ModuleType:
    """Return safetensors, with its functions for torch.

    Raises:
        MissingDependencyError: If it is not installed; ``path`` is the file that needs it.
    """
    try:
        import safetensors.torch
    except ModuleNotFoundError as error:
        raise MissingDependencyError(".safetensors needs safetensors", path, "Type: pip install safetensors") from error
    return safetensors


def _check_zip(path: Path) -> None:
    """Refuse a file that is no zip archive, and one whose entries `torch.save` did not write or that are damaged."""
    with reading(path, CheckpointError, _WRITTEN_BY_TORCH), path.open("rb") as file:
        begins_as_zip = file.read(len(_ZIP_BEGINS)) == _ZIP_BEGINS
    if not begins_as_zip:
        kind = recognise(path)
        raise CheckpointError(
            f"is not a checkpoint but {kind.name}" if kind else "is not a checkpoint: expected a file of torch.save",
            path,
            (kind and kind.fix) or _remedy(path),
        )
    try:
        with zipfile.ZipFile(path) as archive:
            _check_entries(archive, path)
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, EOFError) as error:
        fault = error if zipfile.is_zipfile(path) else "its end is missing"
        raise CheckpointError(f"is damaged or no checkpoint: {fault}", path, _remedy(path)) from error


def _remedy(path: Path) -> str:
    """Return what to do about a damaged file: its run, if it is of one, has other checkpoints."""
    if not (path.parent / "config.yaml").is_file():
        return _WRITTEN_BY_TORCH
    others = ", ".join(str(other) for other in sorted(path.parent.glob("*.pt")) if other != path)
    return (
        f"It is of the run {path.parent}: "
        + (f"use another of its checkpoints ({others}), or " if others else "")
        + "give another model."
    )


def _check_entries(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse entries that are compressed, too large, doubled or of another checksum; torch.load checks none of it."""
    entries = archive.infolist()
    if any(entry.filename.endswith(".npy") for entry in entries) and (kind := recognise(path)):
        raise CheckpointError(f"is not a checkpoint but {kind.name}", path, kind.fix)
    if any(entry.filename.partition("/")[2] == "constants.pkl" for entry in entries):
        raise CheckpointError("is a TorchScript program, and no program in a model file is run", path, _AS_ONNX)
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise CheckpointError("its entries are compressed, which torch.save does not do", path, _WRITTEN_BY_TORCH)
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise CheckpointError("its entries claim more bytes than the file has", path, _WRITTEN_BY_TORCH)
    if len({entry.filename for entry in entries}) < len(entries):
        raise CheckpointError("holds two entries of one name", path, _WRITTEN_BY_TORCH)
    if damaged := archive.testzip():
        raise CheckpointError(f"is damaged: the checksum of its entry {damaged!r} does not match", path, _remedy(path))


def _unsafe(error: pickle.UnpicklingError) -> str:
    """Return the class or function that torch refused to build, else the first line of its message."""
    found = _UNSAFE.search(str(error))
    return f"the class or function {found[1]}" if found else _first_line(error)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


class _NumberType:
    """Take the place of ``numpy.dtype`` while a file is read: number types only."""

    def __init__(self, code: str, align: bool = False, copy: bool = True) -> None:  # noqa: ARG002, FBT001, FBT002
        if code not in _NUMBERS:
            raise pickle.UnpicklingError(f"a NumPy value of type {code!r}")
        self.format = _NUMBERS[code]
        self.byte_order = "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Read the byte order from NumPy's pickled description of a type."""
        self.byte_order = ">" if state[1] == ">" else "<"


def _number(number_type: _NumberType, value: bytes) -> float | int | bool:
    """Take the place of NumPy's constructor of scalars: return a Python number."""
    number: float | int | bool = struct.unpack(number_type.byte_order + number_type.format, value)[0]
    return number


# Under the names that pickles of NumPy 1 and 2 have. NumPy's own functions stay out: they build far more than numbers.
_NUMPY_STAND_INS: list[Any] = [
    (_number, "numpy.core.multiarray.scalar"),
    (_number, "numpy._core.multiarray.scalar"),
    (_NumberType, "numpy.dtype"),
]
