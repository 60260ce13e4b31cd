"""Errors of decoding processes: as they were before they travelled, or put together from what a dead one left."""

import errno
import re
import signal
from collections.abc import Iterator, Sequence

from mrlspk.errors import DataError, MrlspkError

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
    "SIGKILL": "The kernel does that where memory runs out, and says so in its log (dmesg): lower data.num_workers, "
    "or give the run more memory",
    "SIGBUS": f"Shared memory is full, or a file changed while it was read. {_MORE_SHARED_MEMORY}",
}
_LOOK = "Look at the file: write it again, or take it out of the corpus. data.num_workers=0 shows the error itself"


def plain_error(error: MrlspkError) -> MrlspkError | None:
    """Return an error of a worker without the traceback that the loader put into its text; None where there is none."""
    _, mark, text = error.what.rpartition(f"{type(error).__module__}.{type(error).__qualname__}: ")
    return type(error)(text.strip(), error.where, error.fix) if mark else None


def is_timeout(error: Exception) -> bool:
    """Return whether a loader says that no batch came in time."""
    return _LATE.match(str(error)) is not None


def dead_worker(error: Exception) -> tuple[int, str] | None:
    """Return the process that a loader's error says is dead, and how it ended; None for another error."""
    for text in map(str, _chain(error)):
        if found := _KILLED.search(text):
            return int(found["pid"]), f"was killed by {_signal_name(found['how'])}"
        if found := _EXITED.search(text):
            return int(found["pid"]), f"ended with {found['how']}"
    found = _GONE.match(str(error))
    return (int(found["pid"]), "ended without saying why") if found else None


def death_error(pid: int, how: str, names: Sequence[str], *, hint: str = "") -> MrlspkError:
    """Return the error of a dead worker.

    Args:
        pid: Its process.
        how: As `dead_worker` says it.
        names: What it was reading; where that cannot be told, what all of them were.
        hint: What else it may have been reading.
    """
    name = how.rpartition(" ")[2]
    fix = _FIXES.get(name)
    if not names:
        fix = fix or "Go on with --resume auto; data.num_workers=0 shows the error itself"
        return MrlspkError(f"decoding process {pid} {how}, between two files", "data.num_workers", f"{fix}.")
    what = f"the process that was reading it {how}{_others(names)}"
    if fix:
        return MrlspkError(what, names[0], f"{fix}. If it is this file every time, look at it{hint}.")
    return DataError(what, names[0], f"{_LOOK}{hint}.")


def timeout_error(seconds: float, names: Sequence[str], *, hint: str = "") -> MrlspkError:
    """Return the error of workers that gave no batch for so long, by what they were reading."""
    key = "data.worker_timeout_seconds"
    if not names:
        what = f"no batch for {seconds:g} s, though no process is reading a file"
        return MrlspkError(what, key, f"The machine is overloaded, or shared memory is full. {_MORE_SHARED_MEMORY}.")
    what = f"still being read, and no batch for {seconds:g} s{_others(names)}"
    fix = f"Look at the file and at the disk or network that it comes from{hint}; if they are merely slow, raise {key}."
    return DataError(what, names[0], fix)


def resources_error(error: Exception) -> MrlspkError | None:
    """Return the error of processes or batches that found no room in what processes share; None for another error."""
    found = _NO_ROOM.search(str(error))
    if found is None and not (isinstance(error, OSError) and error.errno in _NO_RESOURCES):
        return None
    reason = found[0] if found else error
    what = f"no room for batches in the memory that processes share: {reason}"
    return MrlspkError(what, "data.num_workers", f"{_MORE_SHARED_MEMORY}.")


def without_frames(error: Exception) -> Exception:
    """Return an error of a loader after it, and those that led to it, have let go of the frames they came through.

    The frames hold the processes, which then would end late, each after seconds: when the garbage collector finds them.
    """
    for each in _chain(error):
        each.with_traceback(None)
    return error


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that led to it: only the first of them may say how a process ended."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _signal_name(description: str) -> str:
    """Return the name of a signal that the system describes."""
    return next((each.name for each in signal.Signals if signal.strsignal(each) == description), description)


def _others(names: Sequence[str]) -> str:
    """Return the end of a sentence that names further files."""
    if len(names) == 1:
        return ""
    shown = ", ".join(names[1:SHOWN]) + (", …" if len(names) > SHOWN else "")
    return f"; others are at {shown}"
