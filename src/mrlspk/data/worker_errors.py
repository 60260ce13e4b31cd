"""Errors of decoding processes, as they were before they travelled."""

from collections.abc import Iterable, Iterator

from mrlspk.errors import DataError

_MARK = f"{DataError.__module__}.{DataError.__qualname__}: "


def plain_errors[Batch](batches: Iterable[Batch]) -> Iterator[Batch]:
    """Yield the batches of a loader; a `DataError` of a worker loses the traceback that the loader put into its text.

    Raises:
        DataError: If the loader does.
    """
    try:
        yield from batches
    except DataError as error:
        raise DataError(error.what.rpartition(_MARK)[2].strip(), error.where, error.fix) from error
