"""Run collective operations between the processes of a run, and raise errors on all of them."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, distributed
from torch.distributed.nn.functional import all_gather as gather_with_gradient

from mrlspk.errors import MrlspkError


@dataclass(frozen=True)
class Ranks:
    """All processes of a run, seen from one of them; all must call each method except `shard` and `per_machine`.

    Attributes:
        rank: Rank of this process, from 0.
        world_size: Number of processes.
        device: Device of this process; collective operations on a GPU use it.
        are_started: False if the other processes are only planned; this one is then alone.
    """

    rank: int = 0
    world_size: int = 1
    device: torch.device = torch.device("cpu")
    are_started: bool = True

    @property
    def is_first(self) -> bool:
        """True for the process that writes and logs."""
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        """True if there is no other process to communicate with."""
        return self.world_size == 1 or not self.are_started

    def per_machine(self, nodes: int) -> int:
        """Return the number of processes on each of so many machines."""
        return max(1, self.world_size // nodes)

    def shard[Item](self, items: Sequence[Item]) -> Sequence[Item]:
        """Return the items of this process: every ``world_size``-th."""
        return items[self.rank :: self.world_size]

    def all_reduce(self, values: Sequence[float]) -> list[float]:
        """Return the sums over all processes, identical in each to the bit."""
        if self.is_alone:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(total)
        found: list[float] = total.tolist()
        return found

    def broadcast[Value](self, value: Value | None) -> Value:
        """Return the value of the first process in all of them."""
        box: list[Any] = [value]
        if not self.is_alone:
            distributed.broadcast_object_list(box, device=self.device)
        found: Value = box[0]
        return found

    def all_gather[Value](self, value: Value) -> list[Value]:
        """Return the values of all processes by rank, in all of them."""
        if self.is_alone:
            return [value]
        found: list[Any] = [None] * self.world_size
        distributed.all_gather_object(found, value)
        return found

    def broadcast_tensors(self, tensors: Iterable[Tensor]) -> None:
        """Copy the values of ``tensors`` from the first process, in place."""
        if not self.is_alone:
            for tensor in tensors:
                distributed.broadcast(tensor.detach(), src=0)

    def all_gather_rows(self, rows: Tensor) -> Tensor:
        """Return the rows (n, …) of all processes by rank, (world_size * n, …); gradients flow back.

        The gradient of each row is the sum over the gradients of all processes.
        """
        if self.is_alone:
            return rows
        if not rows.requires_grad:
            parts = [torch.empty_like(rows) for _ in range(self.world_size)]
            distributed.all_gather(parts, rows.contiguous())
            return torch.cat(parts)
        return torch.cat(gather_with_gradient(rows.contiguous()))  # type: ignore[no-untyped-call]

    def barrier(self) -> None:
        """Wait for all processes."""
        if not self.is_alone:
            distributed.barrier()


ALONE = Ranks()


def ranks_of(fabric: Fabric) -> Ranks:
    """Return the processes of a launched Fabric."""
    return Ranks(fabric.global_rank, fabric.world_size, fabric.device)


def shown_by_rank_zero[Error: MrlspkError](ranks: Ranks, error: Error) -> Error:
    """Mark an error that all processes raise, so that only the first shows it."""
    error.is_shown_elsewhere = not ranks.is_first
    return error


def on_rank_zero[Value](ranks: Ranks, make: Callable[[], Value]) -> Value:
    """Call ``make`` in the first process only, and return its result in all of them.

    Raises:
        MrlspkError: In all processes, if ``make`` raises it.
    """
    outcome: Any = None
    if ranks.is_first:
        try:
            outcome = make()
        except MrlspkError as error:
            outcome = error
    outcome = ranks.broadcast(outcome)
    if isinstance(outcome, MrlspkError):
        raise shown_by_rank_zero(ranks, outcome)
    found: Value = outcome
    return found


@contextmanager
def raising_on_all_ranks(ranks: Ranks) -> Iterator[None]:
    """Raise an error of one process in all of them, after all have left the block.

    Raises:
        MrlspkError: The error of the lowest rank that failed.
    """
    own = None
    try:
        yield
    except MrlspkError as error:
        own = error
    for found in ranks.all_gather(own):
        if found is not None:
            raise shown_by_rank_zero(ranks, found)
