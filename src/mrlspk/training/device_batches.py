"""Batches on the device that works on them, each sent there while the one before is worked on."""

import time
from collections.abc import Iterable, Iterator

import torch

from mrlspk.training.step import Batch


class DeviceBatches:
    """Yields batches on a device, in their order, none left out.

    A GPU is sent the next batch before it is handed this one, on a stream of its own: from page-locked memory
    (``data.pin_memory``) the copy runs beside the step. One batch more than was handed out is then taken from the
    source. On other devices nothing is taken ahead.

    Args:
        batches: Of one epoch, or what is left of it; tensors that are on the device already stay as they are.
        device: Where they are wanted.

    Attributes:
        waited_seconds: Time so far that was spent asking for batches, copies that could not wait included.
    """

    def __init__(self, batches: Iterable[Batch], device: torch.device) -> None:
        self._source, self._device = iter(batches), device
        self._stream: torch.cuda.Stream | None = None
        if device.type == "cuda":
            self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._sent: Batch | None = None
        self._has_begun = False
        self.waited_seconds = 0.0

    def __iter__(self) -> Iterator[Batch]:
        return self

    def __next__(self) -> Batch:
        began = time.monotonic()
        try:
            if self._stream is None:
                return tuple(values.to(self._device) for values in next(self._source))
            return self._take(self._stream)
        finally:
            self.waited_seconds += time.monotonic() - began

    def _take(self, stream: torch.cuda.Stream) -> Batch:
        """Return the batch that was sent last, once the copy is done, and send the next."""
        if not self._has_begun:
            self._has_begun, self._sent = True, self._send_or_none(stream)
        if self._sent is None:
            raise StopIteration
        batch, current = self._sent, torch.cuda.current_stream(self._device)
        current.wait_stream(stream)
        for values in batch:
            values.record_stream(current)  # or else its memory could be given to a later copy while it is worked on
        self._sent = self._send_or_none(stream)
        return batch

    def _send_or_none(self, stream: torch.cuda.Stream) -> Batch | None:
        batch = next(self._source, None)  # on the stream of the step: a source may compute its batches there
        if batch is None:
            return None
        with torch.cuda.stream(stream):
            return tuple(values.to(self._device, non_blocking=True) for values in batch)
