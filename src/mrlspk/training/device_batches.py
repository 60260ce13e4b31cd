"""Move batches to the device, each while the previous one is processed."""

import time
from collections.abc import Iterable, Iterator

import torch

from mrlspk.training.step import Batch


class DeviceBatches:
    """Yields batches on a device, in order.

    On a GPU the next batch is copied on its own stream before this one is yielded: from page-locked memory
    (``data.pin_memory``) the copy overlaps the step. The source is then one batch ahead. On other devices nothing is
    read ahead.

    Args:
        batches: Of one epoch, or the rest of one; tensors that are on the device already stay as they are. All
            tensors of a batch are moved, the extras of its augmentation too.
        device: Target device.

    Attributes:
        waited_seconds: Total time spent waiting for batches, blocking copies included.
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
        """Return the batch that was sent last, after its copy, and send the next."""
        if not self._has_begun:
            self._has_begun, self._sent = True, self._send_or_none(stream)
        if self._sent is None:
            raise StopIteration
        batch, current = self._sent, torch.cuda.current_stream(self._device)
        current.wait_stream(stream)
        for values in batch:
            values.record_stream(current)  # otherwise a later copy could reuse its memory during the step
        self._sent = self._send_or_none(stream)
        return batch

    def _send_or_none(self, stream: torch.cuda.Stream) -> Batch | None:
        batch = next(self._source, None)  # on the step's stream: a source may compute its batches there
        if batch is None:
            return None
        with torch.cuda.stream(stream):
            return tuple(values.to(self._device, non_blocking=True) for values in batch)
