"""Tell how far a long listing has come."""

import logging
import time

TELL_SECONDS = 10.0  # a shorter listing says nothing

log = logging.getLogger("mrlspk.data")


class SlowCount:
    """Log a growing count every ten seconds.

    Args:
        what: Is done with what, such as ``/corpus: files found``.
    """

    def __init__(self, what: str) -> None:
        self._what, self._next = what, time.monotonic() + TELL_SECONDS

    def reached(self, count: int) -> None:
        """Log the count if the last one was logged long ago."""
        if (now := time.monotonic()) >= self._next:
            self._next = now + TELL_SECONDS
            log.info("%s: %s so far", self._what, f"{count:,}")
