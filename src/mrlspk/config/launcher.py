"""Read rank and world size from the variables of torchrun and SLURM."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from mrlspk.errors import ConfigError, shorten

INTERACTIVE_JOBS = {"bash", "interactive"}  # job names of interactive shells, in which srun starts nothing


@dataclass(frozen=True)
class Launch:
    """How this process was started.

    Attributes:
        processes: Processes per machine, if torchrun or SLURM started them; else None.
        nodes: Machines, if torchrun or SLURM started the processes; else None.
        rank: Rank of this process. If Fabric starts the processes, only the configuration knows their number, and any
            number above 0 means another process than the first.
    """

    processes: int | None = None
    nodes: int | None = None
    rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this process writes, logs and prints."""
        return self.rank == 0


def read_launch(environment: Mapping[str, str]) -> Launch:
    """Return how this process was started, with Fabric's precedence: torchrun, then SLURM, then Fabric.

    Raises:
        ConfigError: If a variable is missing or not a number, or if the machines have unequal numbers of processes.
    """
    if "TORCHELASTIC_RUN_ID" in environment:
        processes = _number(environment, "LOCAL_WORLD_SIZE")
        nodes = _share(environment, "WORLD_SIZE", processes, "Give --nproc-per-node the same number on each machine.")
        return Launch(processes, nodes, _number(environment, "RANK"))
    if "SLURM_NTASKS" in environment and environment.get("SLURM_JOB_NAME") not in INTERACTIVE_JOBS:
        return _read_slurm(environment)
    node = _number(environment, "NODE_RANK", _number(environment, "GROUP_RANK", 0))
    return Launch(rank=node + _number(environment, "LOCAL_RANK", 0))


def _read_slurm(environment: Mapping[str, str]) -> Launch:
    nodes = _number(environment, "SLURM_NNODES", 1)
    fix = "Give --ntasks-per-node, so that each machine has as many processes as the others."
    processes = _share(environment, "SLURM_NTASKS", nodes, fix)
    if processes * nodes > 1 and _number(environment, "SLURM_NTASKS_PER_NODE", 0) != processes:
        raise ConfigError(f"expected {processes} processes on each machine", "SLURM_NTASKS_PER_NODE", fix)
    return Launch(processes, nodes, _number(environment, "SLURM_PROCID"))


def _share(environment: Mapping[str, str], name: str, parts: int, fix: str) -> int:
    """Return a variable divided by ``parts``, which must leave no remainder."""
    total = _number(environment, name)
    if parts < 1 or total % parts or not total:
        raise ConfigError(f"expected a multiple of {parts}, got {total}", name, fix)
    return total // parts


def _number(environment: Mapping[str, str], name: str, default: int | None = None) -> int:
    """Return a variable as a non-negative integer; without ``default`` it is required."""
    text = environment.get(name)
    if text is None and default is not None:
        return default
    if text is None or not re.fullmatch("[0-9]{1,9}", text):
        found = "is not set" if text is None else f"is {shorten(text)!r}"
        fix = "Start the run with srun or torchrun, or unset their other variables."
        raise ConfigError(f"expected a number, it {found}", name, fix)
    return int(text)
