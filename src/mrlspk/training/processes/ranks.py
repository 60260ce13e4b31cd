"""The processes of a run, and what they tell each other."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, distributed
from torch.distributed.nn.functional import all_gather


@dataclass(frozen=True)
class Ranks:
    """All processes of a run as one of them sees them; every method but the properties must be called by all.

    Attributes:
        number: Of this process, from 0.
        size: How many there are.
        device: Where this process computes; on a GPU it is where values pass through.
        are_started: Whether the others are there; where they are only planned, this one speaks to itself.
    """

    number: int = 0
    size: int = 1
    device: torch.device = torch.device("cpu")
    are_started: bool = True

    @property
    def is_first(self) -> bool:
        """Whether this is the one that writes and logs."""
        return self.number == 0

    @property
    def is_alone(self) -> bool:
        """Whether there is nobody to speak to."""
        return self.size == 1 or not self.are_started

    def part[Item](self, items: Sequence[Item]) -> Sequence[Item]:
        """Return those of ``items`` that this process takes: every ``size``-th."""
        return items[self.number :: self.size]

    def sum(self, values: Sequence[float]) -> list[float]:
        """Return the sums over all processes, the same in each, bit for bit."""
        if self.is_alone:
            return list(values)
        total = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(total)
        found: list[float] = total.tolist()
        return found

    def share[Value](self, value: Value | None) -> Value:
        """Return what the first process gives, in all of them."""
        box: list[Any] = [value]
        if not self.is_alone:
            distributed.broadcast_object_list(box, device=self.device)
        found: Value = box[0]
        return found

    def gather[Value](self, value: Value) -> list[Value]:
        """Return what each process gives, in their order, in all of them."""
        if self.is_alone:
            return [value]
        found: list[Any] = [None] * self.size
        distributed.all_gather_object(found, value)
        return found

    def share_tensors(self, tensors: Iterable[Tensor]) -> None:
        """Give ``tensors`` the values that they have in the first process."""
        if not self.is_alone:
            for tensor in tensors:
                distributed.broadcast(tensor.detach(), src=0)

    def gather_rows(self, rows: Tensor) -> Tensor:
        """Return the rows (n, …) of all processes, (size * n, …), in their order; gradients find their way back.

        The gradient of each row is the sum over what all processes computed from it.
        """
        if self.is_alone:
            return rows
        if not rows.requires_grad:
            parts = [torch.empty_like(rows) for _ in range(self.size)]
            distributed.all_gather(parts, rows.contiguous())
            return torch.cat(parts)
        return torch.cat(all_gather(rows.contiguous()))  # type: ignore[no-untyped-call]

    def wait(self) -> None:
        """Go on once all processes have come here."""
        if not self.is_alone:
            distributed.barrier()


ALONE = Ranks()


def ranks_of(fabric: Fabric) -> Ranks:
    """Return the processes of a launched Fabric."""
    return Ranks(fabric.global_rank, fabric.world_size, fabric.device)
