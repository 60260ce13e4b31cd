"""Files of NumPy arrays, read with one error for whatever is wrong with them."""

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import DataError


@contextmanager
def open_arrays(path: Path, *, expected: str, fix: str) -> Iterator[Mapping[str, NDArray[np.generic]]]:
    """Give the arrays of an .npz file by name; what goes wrong while they are read is an error of the file.

    Args:
        path: The file.
        expected: What the error says that it should be.
        fix: What the error says that the user can do.

    Raises:
        DataError: If it cannot be read, or lacks an array.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            if not isinstance(arrays, Mapping):
                raise ValueError("one array")
            yield arrays
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"expected {expected}, got what is none ({error})", path, fix) from error
