"""Order the crops of an epoch and split them into batches, as a function of seed, epoch and place."""

import math
from collections.abc import Iterator
from dataclasses import replace
from itertools import batched, count, islice
from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch.utils.data import Sampler

from mrlspk.data.crops.dataset import SampleKey
from mrlspk.data.crops.weights import WeightedPasses
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
        weights: How often each index is used in a pass, (n_items,); None: once.
    """

    def __init__(
        self,
        n_items: int,
        *,
        seed: int,
        n_crops: int | None = None,
        window: ShardWindow | None = None,
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        self.n_items = n_items
        self.seed = seed
        self.passes = None if weights is None else WeightedPasses(weights, seed)
        self.n_crops = n_crops or (n_items if weights is None else max(1, round(weights.sum())))
        self.window = window
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.n_crops

    def __iter__(self) -> Iterator[SampleKey]:
        start = self.epoch * self.n_crops
        first_pass, skipped = self.passes.find(start) if self.passes else divmod(start, self.n_items)
        return islice(self._walk(self.epoch, first_pass), skipped, skipped + self.n_crops)

    def _walk(self, epoch: int, first_pass: int) -> Iterator[SampleKey]:
        for number in count(first_pass):
            rng = np.random.default_rng([self.seed, number])
            if self.passes is None:
                for index in self._shuffled(self.n_items, self.window, rng):
                    yield SampleKey(int(index), epoch, number - first_pass)
                continue
            items, repeats = self.passes.draw(number, since=first_pass)
            window = self.window and replace(self.window, shards=self.window.shards[items])
            for place in self._shuffled(len(items), window, rng):
                yield SampleKey(int(items[place]), epoch, int(repeats[place]))

    @staticmethod
    def _shuffled(n_items: int, window: ShardWindow | None, rng: np.random.Generator) -> NDArray[np.int64]:
        return rng.permutation(n_items) if window is None else window.permutation(rng)


class SpeakerBalancedSampler(Sampler[SampleKey]):
    """Balance classes: each round visits every class once and takes some of its utterances side by side.

    A class uses all of its utterances before one repeats; it skips a few between epochs if the last round of an epoch
    ended before the class.

    Args:
        classes: Class of every index of the dataset, (items,).
        utterances_per_speaker: Crops of a class side by side.
        seed: Seed of the order.
        n_crops: Length of an epoch; None for as many as there are items.
        weights: How often each class is visited in a round, (classes,), classes in order; None: once.
    """

    def __init__(
        self,
        classes: ArrayLike,
        *,
        utterances_per_speaker: int = 1,
        seed: int,
        n_crops: int | None = None,
        weights: NDArray[np.float64] | None = None,
    ) -> None:
        class_of = np.asarray(classes)
        order = np.argsort(class_of, kind="stable")
        self.members: list[NDArray[np.int64]] = np.split(order, np.flatnonzero(np.diff(class_of[order])) + 1)
        self.utterances_per_speaker = utterances_per_speaker
        self.seed = seed
        self.n_crops = n_crops or len(order)
        self.passes = None if weights is None else WeightedPasses(weights, seed)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.n_crops

    def __iter__(self) -> Iterator[SampleKey]:
        return islice(self._walk(self.epoch), self.n_crops)

    def _walk(self, epoch: int) -> Iterator[SampleKey]:
        first_round, per_visit = epoch * self._n_rounds(), self.utterances_per_speaker
        orders: dict[int, tuple[int, NDArray[np.int64]]] = {}  # of each class, the pass it is in and its order there
        for number in count(first_round):
            for class_, visit, first_visit in self._visits(number, first_round):
                members = self.members[class_]
                for nth in range(visit * per_visit, (visit + 1) * per_visit):
                    pass_, place = divmod(nth, len(members))
                    if orders.get(class_, (None,))[0] != pass_:
                        orders[class_] = pass_, np.random.default_rng([self.seed, pass_, class_]).permutation(members)
                    repeat = pass_ - first_visit * per_visit // len(members)
                    yield SampleKey(int(orders[class_][1][place]), epoch, repeat)

    def _n_rounds(self) -> int:
        """Return the rounds that are set aside for an epoch."""
        if self.passes is None:
            return -(-self.n_crops // (self.utterances_per_speaker * len(self.members)))
        return math.ceil(self.n_crops / (self.utterances_per_speaker * float(self.passes.weights.sum()))) + 1

    def _visits(self, number: int, first_round: int) -> Iterator[tuple[int, int, int]]:
        """Yield the classes of a round, how often each was visited before, and before the first round."""
        rng = np.random.default_rng([self.seed, number])
        if self.passes is None:
            yield from ((int(class_), number, first_round) for class_ in rng.permutation(len(self.members)))
            return
        items, repeats = self.passes.draw(number, since=first_round)
        before = self.passes.draws_before(first_round)
        for place in rng.permutation(len(items)):
            first = int(before[items[place]])
            yield int(items[place]), first + int(repeats[place]), first


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
