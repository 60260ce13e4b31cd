"""Spread work on many files over processes, which end with the one that started them."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice

from mrlspk.errors import MrlspkError

MOST_JOBS = 8  # by default
WAITING_PER_JOB = 2  # tasks that are handed over in advance
CHECK_SECONDS = 0.2


def default_jobs() -> int:
    """Return one process for each processor, up to eight."""
    return min(MOST_JOBS, os.cpu_count() or 1)


def in_processes[Task, Result](
    function: Callable[[Task], Result], tasks: Iterable[Task], *, jobs: int
) -> Iterator[Result]:
    """Yield the results of tasks in the order in which they are done; one job works in this process.

    Args:
        function: Of a module, since it is named to the processes.
        tasks: Taken as they are needed.
        jobs: Processes.

    Raises:
        MrlspkError: If a process is killed, such as by a lack of memory, or one that ``function`` raises.
    """
    if jobs == 1:
        yield from map(function, tasks)
        return
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _begin, (os.getpid(),))
    waiting, running = iter(tasks), set[Future[Result]]()
    try:
        running |= {pool.submit(function, task) for task in islice(waiting, WAITING_PER_JOB * jobs)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
            running |= {pool.submit(function, task) for task in islice(waiting, len(done))}
    except BrokenProcessPool as error:
        fix = "Check the memory, or lower `jobs`."
        raise MrlspkError("a process that read audio was killed", fix=fix) from error
    finally:
        processes = tuple((pool._processes or {}).values())
        if running:  # an error, or the rest is not wanted: what others are doing is not waited for
            for process in processes:
                process.terminate()
        pool.shutdown(cancel_futures=True)


def _begin(owner: int) -> None:
    """Leave Ctrl-C to the owner of this process, and end when it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(owner,), name="owner", daemon=True).start()


def _end_with(owner: int) -> None:
    while os.getppid() == owner:
        time.sleep(CHECK_SECONDS)
    os._exit(1)
