"""Save and load a transform as an .npz file that a few lines of NumPy can apply."""

import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import ValidationError

from mrlspk.config.architecture import BaseFile
from mrlspk.config.evaluation import SpeechMode
from mrlspk.config.value_problems import problem_text
from mrlspk.errors import DataError, UsageError, shorten
from mrlspk.files import whole_file
from mrlspk.reading import reading
from mrlspk.rotation.transform import LARGEST_POWER, ORDERS, Order, Transform

SUFFIX = ".npz"
_ARRAYS = "mean", "matrix", "scales", "dims", "centred", "flatten", "order"
_VECTORS = "`mrlspk vectors inspect` shows them, and `mrlspk eval|compare|calibrate` take them as `vectors=FILE`."
_MAKE = "Make it with `mrlspk rotate`."
_FAULTS = (OSError, EOFError, ValueError, TypeError, RuntimeError, zipfile.BadZipFile, zlib.error)


def check_transform_suffix(path: Path) -> None:
    """Check the suffix of a file to write.

    Raises:
        UsageError: If it is not .npz.
    """
    if path.suffix != SUFFIX:
        raise UsageError(f"expected a name that ends in {SUFFIX}, got {path.name}", parameter="output")


def save_transform(transform: Transform, path: Path, *, force: bool) -> None:
    """Write a transform: arrays ``mean``, ``matrix``, ``scales`` and ``dims``, and how it was fitted.

    Raises:
        MrlspkError: If the file exists and ``force`` is false, or cannot be written.
    """
    arrays = {name: np.asarray(getattr(transform, name)) for name in _ARRAYS}
    if transform.fingerprint is not None:
        arrays["fingerprint"] = np.asarray(transform.fingerprint)
    if transform.speech is not None:
        arrays |= {"speech": np.asarray(transform.speech)}
        arrays |= {"speech_detector": np.asarray(transform.speech_detector or "")}
    if transform.base is not None:
        arrays |= {"base_file": np.asarray(transform.base.file), "base_sha256": np.asarray(transform.base.sha256)}
    with whole_file(path, force=force) as partial, partial.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]  # its stub takes the names for `allow_pickle`


def load_transform(path: Path) -> Transform:
    """Return the transform in a file.

    Raises:
        DataError: If it is not a transform, or is damaged.
    """
    arrays = _read(path)
    if {"ids", "embeddings"} <= set(arrays):
        raise DataError("expected a transform, got vectors", path, _VECTORS)
    if absent := [name for name in _ARRAYS if name not in arrays]:
        found = shorten(", ".join(arrays)) or "none"
        raise DataError(f"expected the arrays {', '.join(_ARRAYS[:4])}, got {found} without {absent[0]}", path, _MAKE)
    try:
        return _transform(arrays)
    except (ValueError, TypeError) as error:
        raise DataError(f"holds no transform: {error}", path, _MAKE) from error


def is_transform(path: Path) -> bool:
    """Whether a file is an .npz with the arrays of a transform; `load_transform` says what is wrong with it."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            return isinstance(archive, Mapping) and set(_ARRAYS) <= set(archive)
    except _FAULTS:
        return False


def _read(path: Path) -> dict[str, NDArray[np.generic]]:
    with reading(path, DataError, "Check the path."):
        file = path.open("rb")
    try:
        with file, np.load(file, allow_pickle=False) as archive:
            if not isinstance(archive, Mapping):
                raise ValueError("one array")
            return dict(archive)
    except _FAULTS as error:
        cause = error.strerror if isinstance(error, OSError) and error.strerror else shorten(str(error))
        raise DataError(f"expected a transform (.npz), got {cause}", path, _MAKE) from error


def _transform(arrays: Mapping[str, NDArray[Any]]) -> Transform:
    mean, matrix, scales = (arrays[name] for name in _ARRAYS[:3])
    for name, values, n_axes in (("mean", mean, 1), ("matrix", matrix, 2), ("scales", scales, 1)):
        if values.dtype != np.float64 or values.ndim != n_axes or not np.isfinite(values).all():
            raise ValueError(f"expected finite float64 of {n_axes} axes as {name}, got {values.dtype} {values.shape}")
    if not len(mean) or matrix.shape != (len(mean),) * 2 or scales.shape != mean.shape:
        raise ValueError(
            f"shapes {mean.shape}, {matrix.shape} and {scales.shape} of mean, matrix and scales do not fit"
        )
    return Transform(
        mean,
        matrix,
        scales,
        _dims(arrays["dims"], len(mean)),
        bool(arrays["centred"]),
        _power(arrays["flatten"]),
        _order(arrays["order"]),
        str(arrays["fingerprint"]) if "fingerprint" in arrays else None,
        _base(arrays),
        _speech(arrays),
        (str(arrays["speech_detector"]) if "speech_detector" in arrays else "") or None,
    )


def _base(arrays: Mapping[str, NDArray[Any]]) -> BaseFile | None:
    if "base_file" not in arrays:
        return None
    if "base_sha256" not in arrays:
        raise ValueError("base_sha256 is absent")
    try:
        return BaseFile(file=str(arrays["base_file"]), sha256=str(arrays["base_sha256"]))
    except ValidationError as error:
        raise ValueError(problem_text(error.errors()[0])) from error


def _speech(arrays: Mapping[str, NDArray[Any]]) -> SpeechMode | None:
    found = str(arrays["speech"]) if "speech" in arrays else None
    mode = next((mode for mode in get_args(SpeechMode) if mode == found), None)
    if found is not None and mode is None:
        raise ValueError(f"expected {', '.join(get_args(SpeechMode))} as speech, got {shorten(found)!r}")
    return mode


def _dims(values: NDArray[Any], embed_dim: int) -> tuple[int, ...]:
    if values.dtype.kind != "i" or values.ndim != 1 or not len(values):
        raise ValueError(f"expected integers (n,) as dims, got {values.dtype} {values.shape}")
    dims = tuple(map(int, values))
    if list(dims) != sorted(set(dims)) or dims[0] < 1 or dims[-1] != embed_dim:
        raise ValueError(f"expected rising widths up to {embed_dim} as dims, got {shorten(str(dims))}")
    return dims


def _power(value: NDArray[Any]) -> float:
    power = float(value)
    if not 0 <= power <= LARGEST_POWER:
        raise ValueError(f"expected a power from 0 to {LARGEST_POWER} as flatten, got {power:g}")
    return power


def _order(value: NDArray[Any]) -> Order:
    found = next((order for order in ORDERS if order == str(value)), None)
    if found is None:
        raise ValueError(f"expected {' or '.join(ORDERS)} as order, got {shorten(str(value))!r}")
    return found
