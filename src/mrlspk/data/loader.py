"""Batches of crops decoded by processes, of which none dies or hangs unnoticed."""

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
    """Crops (batch, samples) and classes (batch,); a process that dies or hangs is an error with the file that it read.

    It is told where a batch is asked for, and nowhere else: between two batches everything is whole.

    Args:
        dataset: Of the crops.
        batches: Which crops make which batch.
        num_workers: Processes that decode; 0: this one.
        prefetch_factor: Batches that each keeps ready.
        keeps_workers: From one iteration to the next.
        timeout_seconds: Without a batch, after which the processes count as dead; 0: never.
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
            generator=torch.Generator(),  # its draws are its own: those of the network do not depend on workers
            **options,
        )
        finalize(self, _end_processes, self._loader).atexit = False  # type: ignore[misc]

    def __len__(self) -> int:
        """Return the batches of a whole iteration."""
        return len(self._loader)

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches.

        Raises:
            DataError: If a file cannot be read, or a process crashes or hangs over it.
            MrlspkError: If memory runs out, of this machine or what processes share.
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
            del batches  # processes that are not kept end here, not where somebody forgets the error

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Put what the loader raises in the block in our own words."""
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
                del ours  # by this frame it would hold itself, and with it the processes

    def _explain(self, error: Exception) -> MrlspkError | None:
        """Return what a loader's error means; None for one that is not the loader's own."""
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
        """What else a process may have been reading, for the end of a sentence."""
        steps = self._dataset.augmentation.steps if self._dataset.augmentation else ()
        if not any(isinstance(step, RecordedNoise | RoomResponse) for step in steps):
            return ""
        return " and at the recordings of noise and rooms, of which one may have been read for it"


def _end_processes(loader: "DataLoader[Any]") -> None:
    """End the processes of a loader that nobody asks any more; how they end is of no interest then."""
    with _DEATHS.ignored():
        if loader._iterator is not None:
            loader._iterator._shutdown_workers()  # type: ignore[attr-defined]  # it has some where there is an iterator


class _Deaths:
    """Brings the news that a process has died to where a batch is asked for.

    The loader's own handler of SIGCHLD raises wherever the main thread is: in the middle of an optimiser step, or in a
    decoder whose caller takes the error for one of the file. This takes its place, and keeps the error until then;
    where no watched loader is in use any more, the error is raised as before.
    """

    def __init__(self) -> None:
        self._loaders: WeakSet[WatchedLoader] = WeakSet()
        self._waits, self._ignores = False, False
        self._kept: RuntimeError | None = None
        self._raise_at_once: Any = None

    def watch(self, loader: WatchedLoader) -> None:
        """Take the place of the handler, which is there once a loader has started processes."""
        self._loaders.add(loader)
        if self._raise_at_once is None and threading.current_thread() is threading.main_thread():
            self._raise_at_once = signal.signal(signal.SIGCHLD, self)

    @contextmanager
    def told_to(self, loader: WatchedLoader) -> Iterator[None]:
        """Let the error be raised in the block, at its start where the process died before.

        Raises:
            RuntimeError: That of the loader.
        """
        self._waits = True
        try:
            kept, self._kept = self._kept, None
            if kept is not None and loader in self._loaders:  # else it is of a loader that is no longer asked
                raise kept
            yield
        finally:
            self._waits = False

    @contextmanager
    def ignored(self) -> Iterator[None]:
        """Let no error be raised or kept in the block."""
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


_DEATHS = _Deaths()  # one, as the handler of a signal is
