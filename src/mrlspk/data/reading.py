"""What each decoding process is reading, told by the process itself while it still can."""

import os
import signal
import threading
from collections.abc import Iterator
from multiprocessing.sharedctypes import RawArray

from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from mrlspk.data.dataset import CropDataset, SampleKey

CHECK_SECONDS = 2.0  # between two looks at the process that a worker decodes for


class Board:
    """A place for each worker in memory that all processes share; each writes its own, so that no lock is needed.

    Args:
        n_workers: Places.

    Attributes:
        owner: The process that made it, for which the workers work.
    """

    def __init__(self, n_workers: int) -> None:
        self.owner = os.getpid()
        self._pids = RawArray("q", n_workers)
        self._reading = RawArray("q", n_workers)  # an index of the dataset plus 1; 0: none

    def enter(self, worker: int) -> None:
        """Say which process a worker is; to be called by itself."""
        self._pids[worker] = os.getpid()

    def begin(self, worker: int, index: int) -> None:
        """Say that a worker reads what an index of the dataset is cut from."""
        self._reading[worker] = index + 1

    def end(self, worker: int) -> None:
        """Say that it no longer does."""
        self._reading[worker] = 0

    def indices(self, pid: int | None = None) -> list[int]:
        """Return what is being read by a process, or by all; what one that died was reading stays."""
        return [index for found, index in self._entries() if pid in {None, found}]

    def kill_readers(self) -> None:
        """End the processes that are reading: nobody waits for them any more, and they cannot be asked."""
        for pid, _ in self._entries():
            os.kill(pid, signal.SIGKILL)

    def _entries(self) -> Iterator[tuple[int, int]]:
        """Yield process and index of each worker that is reading."""
        for pid, number in zip(self._pids, self._reading, strict=True):
            if number:
                yield pid, number - 1


class NotedDataset(Dataset[tuple[Tensor, int]]):
    """The samples of a dataset; the board says which of them a worker is at.

    Args:
        dataset: Of the samples.
        board: With a place for each worker.
    """

    def __init__(self, dataset: CropDataset, board: Board) -> None:
        self._dataset, self._board = dataset, board

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, key: SampleKey) -> tuple[Tensor, int]:
        """Return a crop (samples,) and its class, in a worker.

        Raises:
            DataError: If the file cannot be read.
        """
        info = get_worker_info()
        assert info is not None
        worker = info.id
        self._board.begin(worker, key.index)
        try:
            return self._dataset[key]
        finally:
            self._board.end(worker)

    def begin_worker(self, worker: int) -> None:
        """Enter the board, and leave it to the main process to answer signals that are sent to all of a run."""
        self._board.enter(worker)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if hasattr(signal, "sigtimedwait"):  # not on macOS
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            threading.Thread(target=_end_for_owner, args=(self._board.owner,), name="sigterm", daemon=True).start()


def _end_for_owner(owner: int) -> None:
    """End this process at a SIGTERM of the one that it decodes for, or once that one is gone.

    That one need not be its parent: where processes are made by a server of their own, the server is.
    """
    while is_running(owner):
        found = signal.sigtimedwait({signal.SIGTERM}, CHECK_SECONDS)
        if found is not None and found.si_pid == owner:
            break
    os._exit(0)


def is_running(pid: int) -> bool:
    """Return whether there is a process of this number."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is somebody else's
        return True
    return True
