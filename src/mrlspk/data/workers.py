"""Track which file each decoding process reads, and explain why a process died or hung."""

import errno
import os
import re
import signal
import threading
from collections.abc import Iterator, Sequence
from multiprocessing.sharedctypes import RawArray

from torch import Tensor
from torch.utils.data import Dataset, get_worker_info

from mrlspk.data.dataset import CropDataset, SampleKey
from mrlspk.errors import DataError, MrlspkError

CHECK_SECONDS = 2.0  # between two checks that the owner of a worker still runs
SHOWN = 5  # files named in a message
_KILLED = re.compile(r"DataLoader worker \(pid (?P<pid>\d+)\) is killed by signal: (?P<how>.+?)\. ")
_EXITED = re.compile(r"DataLoader worker \(pid (?P<pid>\d+)\) exited unexpectedly with (?P<how>exit code \d+)")
_GONE = re.compile(r"DataLoader worker \(pid\(s\) (?P<pid>\d+)[\d, ]*\) exited unexpectedly")
_LATE = re.compile(r"DataLoader timed out after")
_NO_ROOM = re.compile(
    r"(unable to (allocate|open) shared memory|unable to mmap|received 0 items of ancdata|Too many open files)"
    r".*"
)
_NO_RESOURCES = frozenset({errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EAGAIN})
_MORE_SHARED_MEMORY = (
    "Lower data.num_workers or data.prefetch_factor, or enlarge /dev/shm (in a container: --shm-size) and the limit of "
    "open files (ulimit -n)"
)
_FIXES = {
    "SIGKILL": "The kernel kills processes when memory runs out; check dmesg. Lower data.num_workers, "
    "or give the run more memory",
    "SIGBUS": f"Shared memory is full, or a file changed while it was read. {_MORE_SHARED_MEMORY}",
}
_LOOK = "Look at the file: write it again, or take it out of the corpus. data.num_workers=0 shows the error itself"


class Board:
    """Shared memory in which each worker notes what it reads; each writes its own entry, so that no lock is needed.

    Args:
        n_workers: Number of entries.

    Attributes:
        owner: The process that made the board and receives the batches.
    """

    def __init__(self, n_workers: int) -> None:
        self.owner = os.getpid()
        self._pids = RawArray("q", n_workers)
        self._reading = RawArray("q", n_workers)  # an index of the dataset plus 1; 0: none

    def enter(self, worker: int) -> None:
        """Note the process of a worker; the worker calls it."""
        self._pids[worker] = os.getpid()

    def begin(self, worker: int, index: int) -> None:
        """Note that a worker reads the audio of an index of the dataset."""
        self._reading[worker] = index + 1

    def end(self, worker: int) -> None:
        """Note that a worker reads nothing."""
        self._reading[worker] = 0

    def indices(self, pid: int | None = None) -> list[int]:
        """Return the indices that one process, or all of them, are reading; the entry of a dead process stays."""
        return [index for found, index in self._entries() if pid in {None, found}]

    def kill_readers(self) -> None:
        """Kill the processes that are reading; a process that hangs does not answer a request to end."""
        for pid, _ in self._entries():
            os.kill(pid, signal.SIGKILL)

    def _entries(self) -> Iterator[tuple[int, int]]:
        """Yield process and index of each worker that is reading."""
        for pid, number in zip(self._pids, self._reading, strict=True):
            if number:
                yield pid, number - 1


class NotedDataset(Dataset[tuple[Tensor, int]]):
    """A dataset that notes on a board which sample each worker loads.

    Args:
        dataset: The samples.
        board: With an entry for each worker.
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
        """Enter the board, and leave signals that all processes of a run receive to the main process."""
        self._board.enter(worker)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if hasattr(signal, "sigtimedwait"):  # not on macOS
            signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
            threading.Thread(target=_end_for_owner, args=(self._board.owner,), name="sigterm", daemon=True).start()


def _end_for_owner(owner: int) -> None:
    """End this process when its owner sends SIGTERM or is gone.

    The owner need not be the parent: a fork server is the parent of the processes that it starts.
    """
    while is_running(owner):
        found = signal.sigtimedwait({signal.SIGTERM}, CHECK_SECONDS)
        if found is not None and found.si_pid == owner:
            break
    os._exit(0)


def is_running(pid: int) -> bool:
    """Return whether a process with this number exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it belongs to another user
        return True
    return True


def plain_error(error: MrlspkError) -> MrlspkError | None:
    """Return an error of a worker without the traceback in its text; None if it has none."""
    _, mark, text = error.what.rpartition(f"{type(error).__module__}.{type(error).__qualname__}: ")
    return type(error)(text.strip(), error.where, error.fix) if mark else None


def is_timeout(error: Exception) -> bool:
    """Return whether a loader reports that no batch came in time."""
    return _LATE.match(str(error)) is not None


def dead_worker(error: Exception) -> tuple[int, str] | None:
    """Return the dead process that a loader reports, and how it ended; None for another error."""
    for text in map(str, _chain(error)):
        if found := _KILLED.search(text):
            return int(found["pid"]), f"was killed by {_signal_name(found['how'])}"
        if found := _EXITED.search(text):
            return int(found["pid"]), f"ended with {found['how']}"
    found = _GONE.match(str(error))
    return (int(found["pid"]), "ended for an unknown reason") if found else None


def death_error(pid: int, how: str, names: Sequence[str], *, hint: str = "") -> MrlspkError:
    """Return the error of a dead worker.

    Args:
        pid: Its process.
        how: As `dead_worker` returns it.
        names: The recording it was reading; if that is unknown, those that all workers were reading.
        hint: Other recordings that it may have been reading.
    """
    name = how.rpartition(" ")[2]
    fix = _FIXES.get(name)
    if not names:
        fix = fix or "Resume with `resume=auto`; data.num_workers=0 shows the error itself"
        return MrlspkError(f"decoding process {pid} {how}, between two files", "data.num_workers", f"{fix}.")
    what = f"a decoding process {how} while reading this file{_others(names)}"
    if fix:
        return MrlspkError(what, names[0], f"{fix}. If it is this file every time, look at it{hint}.")
    return DataError(what, names[0], f"{_LOOK}{hint}.")


def timeout_error(seconds: float, names: Sequence[str], *, hint: str = "") -> MrlspkError:
    """Return the error of workers that delivered no batch in time; ``names`` are the recordings they were reading."""
    key = "data.worker_timeout_seconds"
    if not names:
        what = f"no batch for {seconds:g} s, though no process is reading a file"
        return MrlspkError(what, key, f"The machine is overloaded, or shared memory is full. {_MORE_SHARED_MEMORY}.")
    what = f"no batch for {seconds:g} s while a worker was reading this file{_others(names)}"
    fix = f"Look at the file and at the disk or network that it comes from{hint}; if they are merely slow, raise {key}."
    return DataError(what, names[0], fix)


def resources_error(error: Exception) -> MrlspkError | None:
    """Return the error for exhausted shared memory or process limits; None for another error."""
    found = _NO_ROOM.search(str(error))
    if found is None and not (isinstance(error, OSError) and error.errno in _NO_RESOURCES):
        return None
    reason = found[0] if found else error
    what = f"no room for batches in the memory that processes share: {reason}"
    return MrlspkError(what, "data.num_workers", f"{_MORE_SHARED_MEMORY}.")


def without_frames(error: Exception) -> Exception:
    """Return an error of a loader without its frames, and without those of its causes.

    Frames keep the processes alive until the garbage collector runs; each then takes seconds to end.
    """
    for each in _chain(error):
        each.with_traceback(None)
    return error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and its causes: only the first cause may say how a process ended."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _signal_name(description: str) -> str:
    """Return the name of a signal from its description."""
    return next((each.name for each in signal.Signals if signal.strsignal(each) == description), description)


def _others(names: Sequence[str]) -> str:
    """Return the end of a sentence that names more files."""
    if len(names) == 1:
        return ""
    shown = ", ".join(names[1:SHOWN]) + (", …" if len(names) > SHOWN else "")
    return f"; other workers were reading {shown}"
