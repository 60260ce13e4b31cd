"""Start and connect the processes of a run, and leave none behind."""

import atexit
import os
import threading
import time

from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from torch import distributed

from mrlspk.distributed import Ranks, ranks_of

CHECK_SECONDS = 1.0  # between two looks at the parent
GRACE_SECONDS = 5.0  # for a process without a parent to end by itself, with a traceback of its own
CLOSE_SECONDS = 5.0  # for gloo to end its threads at exit


def launch(fabric: Fabric) -> Ranks:
    """Start the other processes, unless a launcher did, connect all, and return them.

    Processes that the first one started exit when it is gone: a collective operation of NCCL would wait for it forever.
    Processes of torchrun exit with torchrun, because nothing else would end them. In the other direction, Fabric ends
    all processes of the machine when one that it started fails.
    """
    fabric.launch()
    ranks = ranks_of(fabric)
    if _is_started_by_first(fabric, ranks) or _is_started_by_torchrun(fabric):
        threading.Thread(target=_exit_after, args=(os.getppid(),), name="parent-observer", daemon=True).start()
    if not ranks.is_alone and distributed.get_backend() == "gloo":
        close_at_exit()
    return ranks


def close_at_exit() -> None:
    """Destroy the process group of gloo before Python exits; wait for it `CLOSE_SECONDS` at most.

    A thread of gloo may free a tensor of the last collective operation late. If Python is already exiting, that aborts
    a process whose work is complete ("terminate called without an active exception"). Fabric destroys groups of NCCL
    alone. The wait is bounded, because gloo does not close while it waits for another process.
    """
    asked = threading.Event()

    def close() -> None:
        asked.wait()
        distributed.destroy_process_group()

    closing = threading.Thread(target=close, name="gloo-close", daemon=True)
    closing.start()  # now: an exiting interpreter starts no threads

    def ask() -> None:
        asked.set()
        closing.join(CLOSE_SECONDS)

    atexit.register(ask)


def _is_started_by_first(fabric: Fabric, ranks: Ranks) -> bool:
    """Return whether the first process of this machine is the parent of this one; with torchrun and SLURM it is not."""
    started = ranks.all_gather((fabric.node_rank, fabric.local_rank, os.getpid()))
    return fabric.local_rank > 0 and (fabric.node_rank, 0, os.getppid()) in started


def _is_started_by_torchrun(fabric: Fabric) -> bool:
    """Return whether torchrun is the parent; false for a process that is alone."""
    return isinstance(getattr(fabric.strategy, "cluster_environment", None), TorchElasticEnvironment)


def _exit_after(parent: int) -> None:
    """End this process some seconds after its parent is gone, whatever it waits for."""
    while os.getppid() == parent:
        time.sleep(CHECK_SECONDS)
    time.sleep(GRACE_SECONDS)
    os._exit(1)
