"""The order of an epoch, as a function of seed and epoch alone: there is no state to save."""

from collections.abc import Iterator
from itertools import islice

import numpy as np
from numpy.typing import ArrayLike, NDArray
from torch.utils.data import Sampler

from mrlspk.data.dataset import SampleKey


class ShuffleSampler(Sampler[SampleKey]):
    """Every index in a new random order, again and again.

    With ``n_crops`` an epoch is the next ``n_crops`` of that endless walk, so that all indices get their turn.

    Args:
        n_items: Length of the dataset.
        seed: Of the order.
        n_crops: Length of an epoch; None for one of each.
    """

    def __init__(self, n_items: int, *, seed: int, n_crops: int | None = None) -> None:
        self.n_items = n_items
        self.seed = seed
        self.n_crops = n_crops or n_items
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch that the next iteration gives."""
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
            for index in np.random.default_rng([self.seed, first_pass + repeat]).permutation(self.n_items):
                yield SampleKey(int(index), epoch, repeat)
            repeat += 1


class SpeakerBalancedSampler(Sampler[SampleKey]):
    """Classes evenly: round after round, each class once, with some of its utterances side by side.

    A class gives all of its utterances before one comes again; between epochs, where a class was not drawn in the
    last round of one, it skips a few.

    Args:
        classes: Class of every index of the dataset, (items,).
        utterances_per_speaker: Crops of a class side by side.
        seed: Of the order.
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
        """Choose the epoch that the next iteration gives."""
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
