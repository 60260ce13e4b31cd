"""Which crops make which batch: a function of seed, epoch and place alone, for any number of processes."""

from collections.abc import Iterator
from itertools import batched, islice
from typing import Protocol

from torch.utils.data import Sampler

from mrlspk.data.dataset import SampleKey


class Order(Protocol):
    """The crops of an epoch, in order."""

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration gives."""

    def __len__(self) -> int:
        """Return how many there are."""

    def __iter__(self) -> Iterator[SampleKey]:
        """Yield them."""


class RankBatches(Sampler[list[SampleKey]]):
    """The batches of one process: all processes together take the crops of an epoch in order, side by side.

    ``n_ranks`` processes with batches of n see at each step the crops that one process with batches of n * ``n_ranks``
    sees. What does not fill a batch of all of them is left out.

    Args:
        order: Of an epoch's crops.
        batch_size: Crops of a batch in each process.
        rank: Of this process, from 0.
        n_ranks: Processes.
    """

    def __init__(self, order: Order, *, batch_size: int, rank: int = 0, n_ranks: int = 1) -> None:
        self.order, self.batch_size, self.rank, self.n_ranks = order, batch_size, rank, n_ranks
        self._n_crops_done = 0

    @property
    def crops_of_all(self) -> int:
        """Crops that all processes see together in a batch."""
        return self.batch_size * self.n_ranks

    def go_to(self, epoch: int, *, n_crops_done: int = 0) -> None:
        """Choose what the next iteration gives: an epoch without its first crops, of all processes together."""
        self.order.set_epoch(epoch)
        self._n_crops_done = n_crops_done

    def __len__(self) -> int:
        """Return the batches of a whole epoch."""
        return len(self.order) // self.crops_of_all

    def __iter__(self) -> Iterator[list[SampleKey]]:
        start = self.rank * self.batch_size
        for keys in self._batches_of_all(self._n_crops_done):
            yield list(keys[start : start + self.batch_size])

    def crops_at(self, epoch: int, *, n_crops_done: int, n_batches: int) -> list[SampleKey]:
        """Return the crops of all processes in the batches after the first ``n_crops_done`` crops of an epoch."""
        self.order.set_epoch(epoch)
        return [key for keys in islice(self._batches_of_all(n_crops_done), n_batches) for key in keys]

    def _batches_of_all(self, n_crops_done: int) -> Iterator[tuple[SampleKey, ...]]:
        keys = islice(iter(self.order), n_crops_done, None)
        return (group for group in batched(keys, self.crops_of_all) if len(group) == self.crops_of_all)
