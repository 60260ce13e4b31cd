"""Write shards in several processes, which end with the one that started them."""

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from pathlib import Path

from mrlspk.data.manifest import Utterance
from mrlspk.data.shards.shard_writing import ShardFiles, write_shard
from mrlspk.errors import MrlspkError

CHECK_SECONDS = 0.2

type Task = tuple[ShardFiles, list[tuple[str, Utterance]]]


def write_in_processes(tasks: Iterable[Task], *, jobs: int, where: Path) -> Iterator[int]:
    """Write shards, ``jobs`` at a time, and yield the samples of each, in the order in which they are done.

    Raises:
        MrlspkError: If one cannot be written, or a process dies.
    """
    pool = ProcessPoolExecutor(jobs, multiprocessing.get_context("spawn"), _begin, (os.getpid(),))
    waiting, running = iter(tasks), set[Future[int]]()
    try:
        running |= {pool.submit(_write, *task) for task in islice(waiting, jobs + 1)}
        while running:
            done, running = wait(running, return_when=FIRST_COMPLETED)
            yield from (future.result() for future in done)
            running |= {pool.submit(_write, *task) for task in islice(waiting, len(done))}
    except BrokenProcessPool as error:
        fix = "Check the memory, lower `jobs`, and start the same command again: it goes on where it stopped."
        raise MrlspkError("a process that wrote a shard was killed", where, fix) from error
    finally:
        processes = tuple((pool._processes or {}).values())
        if running:  # an error: the shards that others are writing are not waited for
            for process in processes:
                process.terminate()
        pool.shutdown(cancel_futures=True)


def _write(files: ShardFiles, samples: list[tuple[str, Utterance]]) -> int:
    write_shard(files, samples)
    return len(samples)


def _begin(owner: int) -> None:
    """Leave Ctrl-C to the owner of this process, and end when it is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(owner,), name="owner", daemon=True).start()


def _end_with(owner: int) -> None:
    while os.getppid() == owner:
        time.sleep(CHECK_SECONDS)
    os._exit(1)
