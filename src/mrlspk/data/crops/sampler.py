"""Order the crops of an epoch and split them into batches, as a function of seed, epoch and place."""

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

_PART = 65_536  # keys made at a time


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
        n_crops: Length of an epoch; None for one pass.
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
        self.passes = WeightedPasses(n_items, weights, seed=seed)
        self.seed = seed
        self.n_crops = n_crops or self.passes.mean_length
        self.window = window
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.n_crops

    def __iter__(self) -> Iterator[SampleKey]:
        start = self.epoch * self.n_crops
        first_pass = self.passes.find(start)
        skipped = start - self.passes.start(first_pass)
        return islice(self._walk(self.epoch, first_pass), skipped, skipped + self.n_crops)

    def _walk(self, epoch: int, first_pass: int) -> Iterator[SampleKey]:
        before = self.passes.uses_before(first_pass)
        for number in count(first_pass):
            items, uses = self.passes.uses(number)
            repeats = uses - before[items]
            order = self._shuffled(items, np.random.default_rng([self.seed, number]))
            for part in np.split(order, range(_PART, len(order), _PART)):
                for index, repeat in zip(items[part].tolist(), repeats[part].tolist(), strict=True):
                    yield SampleKey(index, epoch, repeat)

    def _shuffled(self, items: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
        """Return the places of items, shuffled."""
        if self.window is None:
            return rng.permutation(len(items))
        return replace(self.window, shards=self.window.shards[items]).permutation(rng)


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
        self._members = np.argsort(class_of, kind="stable")  # class by class
        self._bounds = np.flatnonzero(np.diff(class_of[self._members], prepend=-1, append=-1))
        self.utterances_per_speaker = utterances_per_speaker
        self.seed = seed
        self.rounds = WeightedPasses(len(self._bounds) - 1, weights, seed=seed)
        self.n_crops = n_crops or len(class_of)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch of the next iteration."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.n_crops

    def __iter__(self) -> Iterator[SampleKey]:
        return islice(self._walk(self.epoch), self.n_crops)

    def _walk(self, epoch: int) -> Iterator[SampleKey]:
        side_by_side = self.utterances_per_speaker
        first_round = epoch * self.rounds.n_passes_for(-(-self.n_crops // side_by_side))
        first_visits = self.rounds.uses_before(first_round) * side_by_side
        orders = self._members.copy()  # the order of each class in the pass that it is in
        passes = np.full(len(first_visits), -1)
        for number in count(first_round):
            classes, turns = self.rounds.uses(number)
            for place in np.random.default_rng([self.seed, number]).permutation(len(classes)).tolist():
                class_, visit = int(classes[place]), int(turns[place]) * side_by_side
                own = slice(self._bounds[class_], self._bounds[class_ + 1])
                order = orders[own]
                first_pass = int(first_visits[class_]) // len(order)
                for each in range(visit, visit + side_by_side):
                    pass_, member = divmod(each, len(order))
                    if passes[class_] != pass_:
                        passes[class_] = pass_
                        order[:] = np.random.default_rng([self.seed, pass_, class_]).permutation(self._members[own])
                    yield SampleKey(int(order[member]), epoch, pass_ - first_pass)


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
