"""Order the crops of an epoch and split them into batches, as a function of seed, epoch and place."""

from collections.abc import Iterator
from itertools import batched, islice
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch.utils.data import Sampler

from mrlspk.data.crops.dataset import SampleKey
from mrlspk.data.shards.order import ShardWindow


class Order(Protocol):
    """An order of the crops of an epoch."""

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration."""

    def __len__(self) -> int:
        """Return the number of crops."""

    def __iter__(self) -> Iterator[SampleKey]:
        """Yield the crops."""


class ShuffleSampler(Sampler[SampleKey]):
    """Shuffle all indices, pass after pass.

    With ``n_crops`` an epoch continues where the last one ended, so that every index is used.

    Args:
        n_items: Length of the dataset.
        seed: Seed of the order.
        n_crops: Length of an epoch; None for one of each.
        window: Shuffle the indices of a few shards at a time; None: all of them.
    """

    def __init__(
        self, n_items: int, *, seed: int, n_crops: int | None = None, window: ShardWindow | None = None
    ) -> None:
        self.n_items = n_items
        self.seed = seed
        self.n_crops = n_crops or n_items
        self.window = window
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.n_crops

    def __iter__(self) -> Iterator[SampleKey]:
        start = self.epoch * self.n_crops
        first_pass, skipped = divmod(start, self.n_items)
        return islice(self._walk(self.epoch, first_pass), skipped, skipped + self.n_crops)

    def _walk(self, epoch: int, first_pass: int) -> Iterator[SampleKey]:
        repeat = 0
        while True:
            for index in self._shuffled(np.random.default_rng([self.seed, first_pass + repeat])):
                yield SampleKey(int(index), epoch, repeat)
            repeat += 1

    def _shuffled(self, rng: np.random.Generator) -> NDArray[np.int64]:
        return rng.permutation(self.n_items) if self.window is None else self.window.permutation(rng)


class SpeakerBalancedSampler(Sampler[SampleKey]):
    """Balance classes: each round visits every class once and takes some of its utterances side by side.

    A class uses all of its utterances before one repeats; it skips a few between epochs if the last round of an epoch
    ended before the class.

    Args:
        classes: Class of every index of the dataset, (items,).
        utterances_per_speaker: Crops of a class side by side.
        seed: Seed of the order.
        n_crops: Length of an epoch; None for as many as there are items.
    """

    def __init__(
        self, classes: ArrayLike, *, utterances_per_speaker: int = 1, seed: int, n_crops: int | None = None
    ) -> None:
        class_of = np.asarray(classes)
        order = np.argsort(class_of, kind="stable")
        self.members: list[NDArray[np.int64]] = np.split(order, np.flatnonzero(np.diff(class_of[order])) + 1)
        self.utterances_per_speaker = utterances_per_speaker
        self.seed = seed
        self.n_crops = n_crops or len(order)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.n_crops

    def __iter__(self) -> Iterator[SampleKey]:
        return islice(self._walk(self.epoch), self.n_crops)

    def _walk(self, epoch: int) -> Iterator[SampleKey]:
        first_round = epoch * -(-self.n_crops // (self.utterances_per_speaker * len(self.members)))
        first_visit = first_round * self.utterances_per_speaker
        orders: dict[int, tuple[int, NDArray[np.int64]]] = {}  # of each class, the pass it is in and its order there
        number = first_round
        while True:
            for class_ in np.random.default_rng([self.seed, number]).permutation(len(self.members)):
                members = self.members[class_]
                for visit in range(number * self.utterances_per_speaker, (number + 1) * self.utterances_per_speaker):
                    pass_, place = divmod(visit, len(members))
                    if orders.get(class_, (None,))[0] != pass_:
                        orders[class_] = pass_, np.random.default_rng([self.seed, pass_, class_]).permutation(members)
                    yield SampleKey(int(orders[class_][1][place]), epoch, pass_ - first_visit // len(members))
            number += 1


class RankBatches(Sampler[list[SampleKey]]):
    """The batches of one process: all processes together consume the crops of an epoch in order.

    At each step ``n_ranks`` processes with batches of n see the same crops as one process with batches of
    n * ``n_ranks``. Crops that do not fill a batch of every process are left out.

    Args:
        order: Order of the crops of an epoch.
        batch_size: Crops per batch in each process.
        rank: Rank of this process, from 0.
        n_ranks: Number of processes.
    """

    def __init__(self, order: Order, *, batch_size: int, rank: int = 0, n_ranks: int = 1) -> None:
        self.order, self.batch_size, self.rank, self.n_ranks = order, batch_size, rank, n_ranks
        self._n_crops_done = 0

    @property
    def crops_of_all(self) -> int:
        """Crops per batch over all processes."""
        return self.batch_size * self.n_ranks

    def go_to(self, epoch: int, *, n_crops_done: int = 0) -> None:
        """Let the next iteration start in an epoch after its first crops, counted over all processes."""
        self.order.set_epoch(epoch)
        self._n_crops_done = n_crops_done

    def __len__(self) -> int:
        """Return the number of batches in a whole epoch."""
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
