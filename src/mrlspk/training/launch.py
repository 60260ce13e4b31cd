"""The processes of a run started, and none of them left behind."""

import os
import threading
import time

from lightning_fabric import Fabric
from lightning_fabric.plugins.environments.torchelastic import TorchElasticEnvironment

from mrlspk.distributed import Ranks, ranks_of

CHECK_SECONDS = 1.0  # between two looks at the parent
GRACE_SECONDS = 5.0  # in which a process whose parent is gone may end by itself, with a traceback of its own


def launch(fabric: Fabric) -> Ranks:
    """Start the other processes, where nobody else did, connect them all, and return them.

    Those that this started leave when the one that started them is gone: a collective call of NCCL would wait for it
    for ever. The other way round Fabric ends all processes of the machine when one that it started fails. Those of
    torchrun leave with it too: nobody would end them any more.
    """
    fabric.launch()
    ranks = ranks_of(fabric)
    if _is_started_by_first(fabric, ranks) or _is_started_by_torchrun(fabric):
        threading.Thread(target=_leave_after, args=(os.getppid(),), name="parent-observer", daemon=True).start()
    return ranks


def _is_started_by_first(fabric: Fabric, ranks: Ranks) -> bool:
    """Return whether the first process of this machine is the parent of this one: with torchrun and SLURM it is not."""
    started = ranks.all_gather((fabric.node_rank, fabric.local_rank, os.getpid()))
    return fabric.local_rank > 0 and (fabric.node_rank, 0, os.getppid()) in started


def _is_started_by_torchrun(fabric: Fabric) -> bool:
    """Return whether torchrun is the parent; it is not asked of a process that is alone."""
    return isinstance(getattr(fabric.strategy, "cluster_environment", None), TorchElasticEnvironment)


def _leave_after(parent: int) -> None:
    """End this process, whatever it waits for, some seconds after its parent is gone."""
    while os.getppid() == parent:
        time.sleep(CHECK_SECONDS)
    time.sleep(GRACE_SECONDS)
    os._exit(1)
