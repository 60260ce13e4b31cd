"""Talk between the processes of a run: shards, broadcasts, reductions, and errors that all of them raise."""

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
    """All processes of a run as one of them sees them; every method but the properties must be called by all.

    Attributes:
        rank: Of this process, from 0.
        world_size: How many there are.
        device: Where this process computes; on a GPU it is where values pass through.
        are_started: Whether the others are there; where they are only planned, this one speaks to itself.
    """

    rank: int = 0
    world_size: int = 1
    device: torch.device = torch.device("cpu")
    are_started: bool = True

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes and logs."""
        return self.rank == 0

    @property
    def is_alone(self) -> bool:
        """Whether there is nobody to speak to."""
        return self.world_size == 1 or not self.are_started

    def shard[Item](self, items: Sequence[Item]) -> Sequence[Item]:
        """Return those of ``items`` that this process takes: every ``world_size``-th."""
        return items[self.rank :: self.world_size]

    def all_reduce(self, values: Sequence[float]) -> list[float]:
        """Return the sums over all processes, the same in each, bit for bit."""
        if self.is_alone:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(total)
        found: list[float] = total.tolist()
        return found

    def broadcast[Value](self, value: Value | None) -> Value:
        """Return what the first process gives, in all of them."""
        box: list[Any] = [value]
        if not self.is_alone:
            distributed.broadcast_object_list(box, device=self.device)
        found: Value = box[0]
        return found

    def all_gather[Value](self, value: Value) -> list[Value]:
        """Return what each process gives, in their order, in all of them."""
        if self.is_alone:
            return [value]
        found: list[Any] = [None] * self.world_size
        distributed.all_gather_object(found, value)
        return found

    def broadcast_tensors(self, tensors: Iterable[Tensor]) -> None:
        """Give ``tensors`` the values that they have in the first process."""
        if not self.is_alone:
            for tensor in tensors:
                distributed.broadcast(tensor.detach(), src=0)

    def all_gather_rows(self, rows: Tensor) -> Tensor:
        """Return the rows (n, …) of all processes, (world_size * n, …), in their order; gradients find their way back.

        The gradient of each row is the sum over what all processes computed from it.
        """
        if self.is_alone:
            return rows
        if not rows.requires_grad:
            parts = [torch.empty_like(rows) for _ in range(self.world_size)]
            distributed.all_gather(parts, rows.contiguous())
            return torch.cat(parts)
        return torch.cat(gather_with_gradient(rows.contiguous()))  # type: ignore[no-untyped-call]

    def barrier(self) -> None:
        """Go on once all processes have come here."""
        if not self.is_alone:
            distributed.barrier()


ALONE = Ranks()


def ranks_of(fabric: Fabric) -> Ranks:
    """Return the processes of a launched Fabric."""
    return Ranks(fabric.global_rank, fabric.world_size, fabric.device)


def told_once[Error: MrlspkError](ranks: Ranks, error: Error) -> Error:
    """Return an error that all processes raise, to be shown by the first of them alone."""
    error.is_told = not ranks.is_first
    return error


def on_rank_zero[Value](ranks: Ranks, make: Callable[[], Value]) -> Value:
    """Return what ``make`` gives in the first process, which alone calls it, in all of them.

    Raises:
        MrlspkError: If it raises one.
    """
    outcome: Any = None
    if ranks.is_first:
        try:
            outcome = make()
        except MrlspkError as error:
            outcome = error
    outcome = ranks.broadcast(outcome)
    if isinstance(outcome, MrlspkError):
        raise told_once(ranks, outcome)
    found: Value = outcome
    return found


@contextmanager
def failing_together(ranks: Ranks) -> Iterator[None]:
    """Let an error of one process in the block be raised in all of them, once all have come to its end.

    Raises:
        MrlspkError: That of the first process that had one.
    """
    own = None
    try:
        yield
    except MrlspkError as error:
        own = error
    for found in ranks.all_gather(own):
        if found is not None:
            raise told_once(ranks, found)
