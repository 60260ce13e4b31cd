"""What those who start the processes of a run say of them, in variables of the environment."""

from collections.abc import Mapping
from dataclasses import dataclass

from mrlspk.errors import ConfigError

INTERACTIVE_JOBS = {"bash", "interactive"}  # job names under which nothing is started by srun


@dataclass(frozen=True)
class Launch:
    """How this process was started.

    Attributes:
        processes: On each machine, as torchrun or SLURM started them; None where neither did.
        nodes: Machines, of the same.
        rank: Of this process among all. Where Fabric starts the others of a machine, the configuration alone says how
            many they are: 0 is the first process of all, as everywhere, and any other number one of the others.
    """

    processes: int | None = None
    nodes: int | None = None
    rank: int = 0

    @property
    def is_first(self) -> bool:
        """Whether this is the process that writes, logs and shows."""
        return self.rank == 0


def read_launch(environment: Mapping[str, str]) -> Launch:
    """Return what the environment says, understood as Fabric does: torchrun before SLURM, and both before Fabric.

    Raises:
        ConfigError: If a variable is missing or no number, or if the machines have unequal shares of the processes.
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
    """Return a number of the environment divided by ``parts``, which must leave no rest."""
    total = _number(environment, name)
    if parts < 1 or total % parts or not total:
        raise ConfigError(f"expected a multiple of {parts}, got {total}", name, fix)
    return total // parts


def _number(environment: Mapping[str, str], name: str, default: int | None = None) -> int:
    """Return a variable as a number from 0; ``default`` where it is not set, None for a variable that has to be."""
    text = environment.get(name)
    if text is None and default is not None:
        return default
    if text is None or not text.isdecimal():
        found = "is not set" if text is None else f"is {text!r}"
        fix = "Start the run with srun or torchrun, or unset the other variables of theirs."
        raise ConfigError(f"expected a number, it {found}", name, fix)
    return int(text)
