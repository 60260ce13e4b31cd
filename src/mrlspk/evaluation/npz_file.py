"""Open .npz files and report every reading error as one error of the file."""

import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import DataError
from mrlspk.reading import reading


@contextmanager
def open_arrays(path: Path, *, expected: str, fix: str) -> Iterator[Mapping[str, NDArray[np.generic]]]:
    """Yield the arrays of an .npz file by name; an error while they are read is a `DataError`.

    Args:
        path: The file.
        expected: What the file should be, for the error.
        fix: What the user can do, for the error.

    Raises:
        DataError: If the file cannot be read or lacks an array.
    """
    try:
        with reading(path, DataError, "Check the path."):
            file = path.open("rb")
        with file, np.load(file, allow_pickle=False) as arrays:
            if not isinstance(arrays, Mapping):
                raise ValueError("one array")
            yield arrays
    except (OSError, EOFError, ValueError, KeyError, TypeError, zipfile.BadZipFile, zlib.error) as error:
        raise DataError(f"is not {expected} ({error})", path, fix) from error
