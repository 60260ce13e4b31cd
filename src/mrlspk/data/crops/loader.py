"""Load batches of crops with worker processes; a worker that dies or hangs is an error that names its file."""

import logging
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, partial
from multiprocessing.connection import wait
from multiprocessing.sharedctypes import RawArray
from typing import Any

import torch
from torch._C import _remove_worker_pids
from torch.utils.data import DataLoader, Sampler

from mrlspk.data.augmentation.noise import RecordedNoise
from mrlspk.data.augmentation.rooms import RoomResponse
from mrlspk.data.crops.dataset import CropDataset, SampleKey
from mrlspk.data.crops.unreadable import Unreadable, check_unreadable
from mrlspk.data.crops.worker import MORE_ROOM, Batches, begin_worker, no_room
from mrlspk.errors import DataError, MrlspkError

log = logging.getLogger("mrlspk.data")

CHECK_SECONDS = 1.0  # between two looks at the workers
GRACE_SECONDS = 1.0  # for a process to end
SHOWN = 5  # utterances of a batch named in a message
_TIMED_OUT = "DataLoader timed out"  # begins the message of torch
_BUG = "\nOriginal Traceback"  # in the message of torch about an exception in a worker
_MEMORY_FIXES = {
    "SIGKILL": "The kernel kills processes when memory runs out; check dmesg. Lower data.num_workers, or give the run "
    "more memory. If it is this file every time, look at it.",
    "SIGBUS": f"Shared memory is full, or a file changed while it was read. {MORE_ROOM}",
}
_DEATH_FIX = (
    "If it is this file every time, write it again or take it out of the corpus. data.num_workers=0 shows more."
)
_LATE_FIX = "Check the file, its disk or network, and the memory. If they are slow, raise data.worker_timeout_seconds."

MOST_WORKERS = 8  # by default: decoding is seldom slower than training on so many


class _WorkerLoader(DataLoader[Any]):
    """A loader of torch that leaves it to ``_warn_of_cores`` to warn of too many workers."""

    def check_worker_number_rationality(self) -> None:
        """Say nothing."""


def _usable_cores() -> int:
    if hasattr(os, "sched_getaffinity"):  # not on macOS and Windows
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def count_workers(wanted: int | None, *, n_processes: int = 1) -> int:
    """Return the number of decoding processes: as wanted; None: this process's share of the cores, from 1 to 8.

    Args:
        wanted: As configured.
        n_processes: Processes of the run on this machine, each with as many decoding processes.
    """
    return max(1, min(MOST_WORKERS, _usable_cores() // n_processes)) if wanted is None else wanted


@cache  # a run has several loaders
def _warn_of_cores(num_workers: int, cores: int) -> None:
    if num_workers > cores:
        log.warning("data.num_workers: %d decoding processes share %d cores; lower it", num_workers, cores)


class WatchedLoader:
    """Load crops (batch, samples), classes (batch,) and extras; a worker that dies or hangs is an error with its file.

    The error is raised when a batch is requested and nowhere else: between two batches the state is consistent. The
    workers serve one iteration after the other.

    Args:
        dataset: Dataset of the crops.
        batches: Keys of the crops of each batch.
        num_workers: Worker processes that decode; 0: decode in this process.
        prefetch_factor: Batches that each worker keeps ready.
        timeout_seconds: Time without a batch after which the workers count as dead; 0: never.
        pin_memory: Page-lock the batches.

    Attributes:
        unreadable: What is wrong with the utterances that other ones replaced in the batches so far, by id.
    """

    def __init__(
        self,
        dataset: CropDataset,
        batches: Sampler[list[SampleKey]],
        *,
        num_workers: int,
        prefetch_factor: int = 2,
        timeout_seconds: float = 0.0,
        pin_memory: bool = False,
    ) -> None:
        self._dataset, self._timeout_seconds, self._is_late = dataset, timeout_seconds, False
        self._awaited = deque[list[SampleKey]]()
        self.unreadable: dict[str, str] = {}
        self._reading = RawArray("q", num_workers or 1)  # the index that each worker reads, plus 1; 0: none
        options: dict[str, Any] = {}
        if num_workers:
            options = {"prefetch_factor": prefetch_factor, "persistent_workers": True}
            _warn_of_cores(num_workers, _usable_cores())
        self._loader: DataLoader[Any] = _WorkerLoader(
            Batches(dataset, self._reading),
            batch_size=None,  # an item is a batch
            sampler=_Noted(batches, self._awaited),
            num_workers=num_workers,
            pin_memory=pin_memory,
            generator=torch.Generator(),  # its own, so that the number of workers does not change other draws
            worker_init_fn=partial(begin_worker, os.getpid()),
            **options,
        )

    def __len__(self) -> int:
        """Return the number of batches in a whole iteration."""
        return len(self._loader)

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches.

        Raises:
            DataError: If more files cannot be read than the dataset allows, or a worker crashes or hangs while reading
                one.
            MrlspkError: If memory or shared memory runs out.
        """
        with self._explained():
            batches = self._begin()
        while True:
            with self._explained():
                batch = self._next(batches)
            if batch is None:
                return
            self._awaited.popleft()
            if isinstance(batch, MrlspkError):
                self.close()
                raise batch
            tensors, unreadable = batch
            self._note(unreadable)
            yield tensors

    def _note(self, unreadable: Sequence[Unreadable]) -> None:
        """Note what other utterances replaced in a batch.

        Raises:
            DataError: If more files of this process cannot be read than the dataset allows.
        """
        if not unreadable:
            return
        self.unreadable.update({each.utterance_id: each.message for each in unreadable})
        try:
            check_unreadable(self.unreadable, self._dataset.max_unreadable)
        except DataError:
            self.close()
            raise

    def close(self) -> None:
        """End the workers; another iteration starts new ones."""
        batches: Any = self._loader._iterator
        self._loader._iterator, self._is_late = None, False
        if batches is None:
            return
        for worker, index in zip(batches._workers, self._reading, strict=True):
            if index:  # torch would wait for it
                worker.kill()
        batches._shutdown_workers()
        for worker in batches._workers:
            worker.kill()  # a stopped process does not end at the SIGTERM of torch
            worker.join(GRACE_SECONDS)
        self._reading[:] = [0] * len(self._reading)

    def _begin(self) -> Iterator[Any]:
        """Start an iteration; its workers are those of the last one, if there was one.

        Raises:
            RuntimeError: If one of those has died, which torch would find out seconds later.
        """
        batches: Any = self._loader._iterator
        if batches is not None:
            if not all(worker.is_alive() for worker in batches._workers):
                raise RuntimeError("a worker has died")
            batches._timeout = 0  # of torch, for workers that have to finish an abandoned iteration
        batches = iter(self._loader)
        if self._loader.num_workers:
            batches._timeout = CHECK_SECONDS
            if batches._worker_pids_set:  # torch would raise a death anywhere, such as in the middle of a step
                _remove_worker_pids(id(batches))
                batches._worker_pids_set = False
        return batches  # type: ignore[no-any-return]

    def _next(self, batches: Iterator[Any]) -> Any:
        """Return the next batch; None at the end.

        Raises:
            RuntimeError: If a worker has died.
        """
        while True:
            try:
                return next(batches, None)
            except RuntimeError as error:
                if not str(error).startswith(_TIMED_OUT):
                    raise

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Kill the workers if the block takes too long; replace the errors of torch in it by our own.

        A time-out of torch does not suffice: it is blocked while it takes over a batch from a process that is stopped.
        """
        timer = threading.Timer(self._timeout_seconds, self._kill)
        if self._timeout_seconds and self._loader._iterator is not None:
            timer.start()
        try:
            yield
        except (RuntimeError, OSError, EOFError) as error:
            ours = self._explain(error)
            self.close()
            if ours is None:
                raise
            raise ours from error.with_traceback(None)  # its frames may keep the workers of a loader that failed early
        finally:
            timer.cancel()

    def _kill(self) -> None:
        """Kill the workers, which are late."""
        self._is_late = True
        for worker in getattr(self._loader._iterator, "_workers", ()):
            worker.kill()

    def _explain(self, error: Exception) -> MrlspkError | None:
        """Return our error for one of torch's loader; None for a bug, whose own text has a traceback."""
        if _BUG in str(error) or not self._loader.num_workers:
            return None
        if self._is_late:
            reading = {number - 1 for number in self._reading}
            index = next((key.index for batch in self._awaited for key in batch if key.index in reading), -1)
            did = f"delivered no batch for {self._timeout_seconds:g} s"
            return self._error(did, index, fix=_LATE_FIX, key="data.worker_timeout_seconds")
        workers: list[Any] = getattr(self._loader._iterator, "_workers", [])
        ended = wait([worker.sentinel for worker in workers], GRACE_SECONDS) if workers else []
        dead = [number for number, worker in enumerate(workers) if worker.sentinel in ended]
        if dead:
            number = max(dead, key=self._reading.__getitem__)  # one that was reading, if there is one
            workers[number].join()
            return self._death(workers[number].exitcode, self._reading[number] - 1)
        return no_room(error)

    def _death(self, exit_code: int, index: int) -> MrlspkError:
        """Return the error of a worker that died while it read an index of the dataset; -1: while it read none."""
        name = signal.Signals(-exit_code).name if exit_code < 0 else ""
        did = f"was killed by {name}" if name else f"ended with exit code {exit_code}"
        fix = _MEMORY_FIXES.get(name, _DEATH_FIX)
        return self._error(did, index, fix=fix, key="data.num_workers", blames_file=name not in _MEMORY_FIXES)

    def _error(self, did: str, index: int, *, fix: str, key: str, blames_file: bool = True) -> MrlspkError:
        """Return the error of a worker that was reading an index; -1 if it read none, and a key is the place."""
        steps = self._dataset.augmentation.steps if self._dataset.augmentation else ()
        if any(isinstance(step, RecordedNoise | RoomResponse) for step in steps):
            fix += " A noise or room-response file may be the cause too."
        what = f"a decoding process {did} while reading {'this' if index >= 0 else 'no'} file{self._batch_of(index)}"
        if index < 0:
            return MrlspkError(what, key, fix)
        return (DataError if blames_file else MrlspkError)(what, str(self._dataset.source_of(index)), fix)

    def _batch_of(self, index: int) -> str:
        """Return the end of a sentence that names the batch of an index, or the awaited batch if it is -1."""
        batches = [batch for batch in self._awaited if index in {key.index for key in batch}] or [*self._awaited]
        if not batches:
            return ""
        names = [self._dataset.utterance_id(key.index) for key in batches[0]]
        more = ", …" if len(names) > SHOWN else ""
        return f"; the batch has {len(names)} utterances: {', '.join(names[:SHOWN])}{more}"


class _Noted(Sampler[list[SampleKey]]):
    """Note the batches that are handed out.

    Args:
        batches: The batches.
        awaited: Those handed out and not delivered yet, in order; the receiver removes them.
    """

    def __init__(self, batches: Sampler[list[SampleKey]], awaited: deque[list[SampleKey]]) -> None:
        self._batches, self._awaited = batches, awaited

    def __len__(self) -> int:
        return len(self._batches)  # type: ignore[arg-type]

    def __iter__(self) -> Iterator[list[SampleKey]]:
        self._awaited.clear()
        for batch in self._batches:
            self._awaited.append(batch)
            yield batch
