"""Give freed memory back to the operating system."""

import ctypes
import sys
from collections.abc import Callable
from functools import cache


def release_freed_memory() -> None:
    """Return the pages that hold nothing, if the C library can: only glibc keeps many of them.

    A network's buffers are allocated and freed window after window. glibc cuts new ones from the gaps between the old,
    and the gaps add up: over three hours of windows a process would grow by a third.
    """
    if trim := _find_trim():
        trim(0)


@cache
def _find_trim() -> Callable[[int], int] | None:
    if sys.platform == "win32":  # no library without a name
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)
