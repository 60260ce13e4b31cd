"""Note SIGTERM and Ctrl-C during a run, so that it saves before it stops."""

import logging
import signal
import threading
from collections.abc import Sequence
from types import FrameType, TracebackType
from typing import Any

log = logging.getLogger("mrlspk.training")

SIGNALS = signal.SIGINT, signal.SIGTERM


class StopRequest:
    """Handles both signals in its ``with`` block; the second one goes to the previous handler.

    Outside the main thread Python allows no signal handlers, and no stop is ever requested.
    """

    def __init__(self) -> None:
        self.number = 0
        self._before: dict[int, Any] = {}

    def __enter__(self) -> "StopRequest":
        if threading.current_thread() is threading.main_thread():
            self._before = {number: signal.signal(number, self._note) for number in SIGNALS}
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    @property
    def flags(self) -> tuple[float, ...]:
        """Return for each of `SIGNALS` whether it was received."""
        return tuple(float(self.number == number) for number in SIGNALS)

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.number and callable(self._before[number]):
            self._before[number](number, frame)
            return
        self.number = number
        log.warning(
            "%s: stopping: finishing this step or validation, then saving; a second signal quits without saving",
            signal_name(number),
        )


def signal_name(number: int) -> str:
    """Return the name of a signal."""
    return signal.Signals(number).name


def asked_signal(sums: Sequence[float]) -> int:
    """Return the signal that any process received, from the sums of their `flags`; 0 for none."""
    return next((int(number) for number, count in zip(SIGNALS, sums, strict=True) if count), 0)
