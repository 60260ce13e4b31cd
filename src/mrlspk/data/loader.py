"""Load batches of crops with worker processes; a worker that dies or hangs is an error that names its file."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any
from weakref import WeakSet, finalize

import torch
from torch.utils.data import DataLoader, Sampler

from mrlspk.data.augmentation import RecordedNoise, RoomResponse
from mrlspk.data.dataset import CropDataset, SampleKey
from mrlspk.data.workers import (
    Board,
    NotedDataset,
    dead_worker,
    death_error,
    is_timeout,
    plain_error,
    resources_error,
    timeout_error,
    without_frames,
)
from mrlspk.errors import MrlspkError


class WatchedLoader:
    """Load crops (batch, samples) and classes (batch,); a worker that dies or hangs is an error that names its file.

    The error is raised when a batch is requested and nowhere else: between two batches the state is consistent.

    Args:
        dataset: Dataset of the crops.
        batches: Keys of the crops of each batch.
        num_workers: Worker processes that decode; 0: decode in this process.
        prefetch_factor: Batches that each worker keeps ready.
        keeps_workers: Keep the workers from one iteration to the next.
        timeout_seconds: Time without a batch after which the workers count as dead; 0: never.
        pin_memory: Page-lock the batches.
    """

    def __init__(
        self,
        dataset: CropDataset,
        batches: Sampler[list[SampleKey]],
        *,
        num_workers: int,
        prefetch_factor: int = 2,
        keeps_workers: bool = False,
        timeout_seconds: float = 0.0,
        pin_memory: bool = False,
    ) -> None:
        self._dataset, self._timeout_seconds, self._board = dataset, timeout_seconds, Board(num_workers)
        self._num_workers, options = num_workers, dict[str, Any]()
        if num_workers:
            noted = NotedDataset(dataset, self._board)
            options = {"prefetch_factor": prefetch_factor, "persistent_workers": keeps_workers}
            options |= {"timeout": timeout_seconds, "worker_init_fn": noted.begin_worker}
        self._loader: DataLoader[Any] = DataLoader(
            noted if num_workers else dataset,
            batch_sampler=batches,
            num_workers=num_workers,
            pin_memory=pin_memory,
            generator=torch.Generator(),  # its own, so that the number of workers does not change other draws
            **options,
        )
        finalize(self, _end_processes, self._loader).atexit = False  # type: ignore[misc]

    def __len__(self) -> int:
        """Return the number of batches in a whole iteration."""
        return len(self._loader)

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches.

        Raises:
            DataError: If a file cannot be read, or a worker crashes or hangs while reading it.
            MrlspkError: If memory or shared memory runs out.
        """
        if not self._num_workers:
            yield from self._loader
            return
        with self._explained():
            batches = iter(self._loader)
            _DEATHS.watch(self)
        try:
            while True:
                with self._explained():
                    batch = next(batches, None)
                if batch is None:
                    return
                yield batch
        finally:
            del batches  # workers that are not kept end here, not when the caller drops the error

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Replace the errors of the loader in the block by our own."""
        try:
            with _DEATHS.told_to(self):
                yield
        except (MrlspkError, RuntimeError, OSError) as error:
            ours = plain_error(error) if isinstance(error, MrlspkError) else self._explain(error)
            if ours is None:
                raise
            try:
                raise ours from without_frames(error)
            finally:
                del ours  # the frame would keep the error alive, and with it the workers

    def _explain(self, error: Exception) -> MrlspkError | None:
        """Return our error for an error of the loader; None if the loader did not raise it."""
        if is_timeout(error):
            ours = timeout_error(self._timeout_seconds, self._names(), hint=self._hint)
            self._board.kill_readers()
            return ours
        if dead := dead_worker(error):
            pid, how = dead
            return death_error(pid, how, self._names(pid), hint=self._hint)
        return resources_error(error)

    def _names(self, pid: int | None = None) -> list[str]:
        return [str(self._dataset.source_of(index)) for index in self._board.indices(pid)]

    @property
    def _hint(self) -> str:
        """Other recordings that a worker may have been reading, for the end of a sentence."""
        steps = self._dataset.augmentation.steps if self._dataset.augmentation else ()
        if not any(isinstance(step, RecordedNoise | RoomResponse) for step in steps):
            return ""
        return " and at the noise and room-response files: a worker may have been reading one"


def _end_processes(loader: "DataLoader[Any]") -> None:
    """End the workers of a loader that is no longer used, and ignore how they end."""
    with _DEATHS.ignored():
        if loader._iterator is not None:
            loader._iterator._shutdown_workers()  # type: ignore[attr-defined]  # an iterator has workers


class _Deaths:
    """Delays the error of a dead worker until a batch is requested.

    torch's handler of SIGCHLD raises wherever the main thread is: in the middle of an optimiser step, or in a decoder
    whose caller mistakes the error for one of the file. This handler replaces it and keeps the error until a batch is
    requested; once no watched loader is in use, the error is raised at once again.
    """

    def __init__(self) -> None:
        self._loaders: WeakSet[WatchedLoader] = WeakSet()
        self._waits, self._ignores = False, False
        self._kept: RuntimeError | None = None
        self._raise_at_once: Any = None

    def watch(self, loader: WatchedLoader) -> None:
        """Replace torch's handler, which a loader installs when it starts its workers."""
        self._loaders.add(loader)
        if self._raise_at_once is None and threading.current_thread() is threading.main_thread():
            self._raise_at_once = signal.signal(signal.SIGCHLD, self)

    @contextmanager
    def told_to(self, loader: WatchedLoader) -> Iterator[None]:
        """Let the error be raised in the block; at its start if the worker died earlier.

        Raises:
            RuntimeError: The error of the loader.
        """
        self._waits = True
        try:
            kept, self._kept = self._kept, None
            if kept is not None and loader in self._loaders:  # else it belongs to a loader that is no longer used
                raise kept
            yield
        finally:
            self._waits = False

    @contextmanager
    def ignored(self) -> Iterator[None]:
        """Neither raise nor keep errors in the block."""
        before, self._ignores = self._ignores, True
        try:
            yield
        finally:
            self._ignores = before

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self._ignores:
            return
        try:
            self._raise_at_once(number, frame)
        except RuntimeError as error:
            if self._waits or not self._loaders:
                raise
            self._kept = error


_DEATHS = _Deaths()  # a single one, as a signal has one handler
