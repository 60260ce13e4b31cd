"""Checkpoint files read without running what they hold."""

import pickle
import struct
import zipfile
from pathlib import Path
from typing import Any

import torch

from mrlspk.errors import CheckpointError
from mrlspk.models.checkpoints import safetensors_file

ZIP_OF_TORCH = "Give a checkpoint that torch.save wrote; if it was downloaded, fetch it again."
_ZIP_BEGINS = b"PK\x03\x04"
# Struct codes of the NumPy numbers that a checkpoint may hold, by NumPy's own codes.
_NUMBERS = {"f2": "e", "f4": "f", "f8": "d", "i1": "b", "i2": "h", "i4": "i", "i8": "q", "b1": "?"} | {
    "u1": "B", "u2": "H", "u4": "I", "u8": "Q"
}  # fmt: skip


def read_checkpoint(path: Path) -> dict[str, Any]:
    """Return the entries of a checkpoint file: tensors and plain values only, nothing is run.

    NumPy numbers, which some checkpoints hold among their figures, become numbers of Python.

    Raises:
        CheckpointError: If the file is missing, is no checkpoint, or holds anything else.
        MissingDependencyError: If it is a .safetensors file and that package is not installed.
    """
    if not path.is_file():
        raise CheckpointError("no such checkpoint file", path, "Check the path; `mrlspk pretrained list` shows names.")
    if path.suffix == safetensors_file.SUFFIX:
        return safetensors_file.read_entries(path)
    _check_zip(path)
    try:
        with torch.serialization.safe_globals(_NUMPY_STAND_INS):
            contents = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        raise CheckpointError(
            f"holds more than tensors and plain values, and is refused: {_first_line(error)}",
            path,
            "Give a checkpoint that holds weights, settings and figures only.",
        ) from error
    except Exception as error:  # noqa: BLE001 - a damaged file fails anywhere in torch's reader, in many ways
        raise CheckpointError(f"is damaged or no checkpoint: {_first_line(error)}", path, ZIP_OF_TORCH) from error
    if not isinstance(contents, dict):
        raise CheckpointError(f"expected a dict of entries, found a {type(contents).__name__}", path, ZIP_OF_TORCH)
    return contents


def _check_zip(path: Path) -> None:
    """Refuse what is no zip from its first byte, and entries that would unpack to more than the file holds."""
    with path.open("rb") as file:
        begins_as_zip = file.read(len(_ZIP_BEGINS)) == _ZIP_BEGINS
    if not begins_as_zip:
        raise CheckpointError(
            "is not a checkpoint: expected the zip layout of torch.save (a bare pickle is refused unread)",
            path,
            ZIP_OF_TORCH,
        )
    try:
        with zipfile.ZipFile(path) as archive:
            _check_entries(archive, path)
    except (zipfile.BadZipFile, OSError, ValueError, RuntimeError, EOFError) as error:
        raise CheckpointError(f"is damaged or no checkpoint: {error}", path, ZIP_OF_TORCH) from error


def _check_entries(archive: zipfile.ZipFile, path: Path) -> None:
    """Refuse entries that are not as torch.save writes them, or not as they were written; torch checks none of it."""
    entries = archive.infolist()
    if any(entry.compress_type != zipfile.ZIP_STORED for entry in entries):
        raise CheckpointError("its entries are compressed, which torch.save does not do", path, ZIP_OF_TORCH)
    if sum(entry.file_size for entry in entries) > path.stat().st_size:
        raise CheckpointError("its entries claim more bytes than the file has", path, ZIP_OF_TORCH)
    if len({entry.filename for entry in entries}) < len(entries):
        raise CheckpointError("holds two entries of one name", path, ZIP_OF_TORCH)
    if damaged := archive.testzip():
        raise CheckpointError(f"is damaged: its entry {damaged!r} is not what was written", path, ZIP_OF_TORCH)


def _first_line(error: Exception) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)


class _NumberType:
    """Stands for ``numpy.dtype`` while a file is read: number types only."""

    def __init__(self, code: str, align: bool = False, copy: bool = True) -> None:  # noqa: ARG002, FBT001, FBT002
        if code not in _NUMBERS:
            raise pickle.UnpicklingError(f"a NumPy value of type {code!r}")
        self.format = _NUMBERS[code]
        self.byte_order = "<"

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        """Take the byte order out of NumPy's description of a type."""
        self.byte_order = ">" if state[1] == ">" else "<"


def _number(number_type: _NumberType, value: bytes) -> float | int | bool:
    """Stand for NumPy's constructor of scalars: return a number of Python."""
    number: float | int | bool = struct.unpack(number_type.byte_order + number_type.format, value)[0]
    return number


# Under the names that pickles of NumPy 1 and 2 have. NumPy's own functions stay out: they build far more than numbers.
_NUMPY_STAND_INS: list[Any] = [
    (_number, "numpy.core.multiarray.scalar"),
    (_number, "numpy._core.multiarray.scalar"),
    (_NumberType, "numpy.dtype"),
]
