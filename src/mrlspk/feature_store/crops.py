"""Pooled vectors of random crops, shard after shard."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import batched

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Sampler

from mrlspk.data.dataset import CropDataset, SampleKey
from mrlspk.data.loader import WatchedLoader
from mrlspk.feature_store.layout import Layout, Shard
from mrlspk.feature_store.pooling import as_stored


class ShardBatches(Sampler[list[SampleKey]]):
    """The crops of some shards in batches, none of which reaches from one shard into the next.

    Row ``k * n_items + index`` of a store is crop ``k`` of an index of the dataset.

    Args:
        shards: Whose rows are wanted, in this order.
        n_items: Length of the dataset.
        batch_size: Crops in a batch; the last of a shard may have fewer.
    """

    def __init__(self, shards: Sequence[Shard], *, n_items: int, batch_size: int) -> None:
        self.shards, self.n_items, self.batch_size = shards, n_items, batch_size

    def __len__(self) -> int:
        return sum(-(-len(shard) // self.batch_size) for shard in self.shards)

    def __iter__(self) -> Iterator[list[SampleKey]]:
        for shard in self.shards:
            for rows in batched(shard.rows, self.batch_size):
                yield [SampleKey(row % self.n_items, epoch=row // self.n_items, repeat=0) for row in rows]


@dataclass(frozen=True)
class Crops:
    """What makes the shards of a store of crops.

    Attributes:
        pool: Maps crops (batch, samples) to their vectors (batch, features).
        dataset: Of the crops.
        batch_size: Crops that go through the network together.
        num_workers: Processes that decode; 0: this one.
        timeout_seconds: Without a batch, after which they count as dead; 0: never.
    """

    pool: Callable[[Tensor], Tensor]
    dataset: CropDataset
    batch_size: int
    num_workers: int
    timeout_seconds: float = 0.0

    def vectors(
        self, shards: Sequence[Shard], *, layout: Layout, on_rows: Callable[[int], None]
    ) -> Iterator[NDArray[np.floating]]:
        """Yield the vectors (rows, features) of each shard; ``on_rows`` is told how many more there are.

        Raises:
            DataError: If a file cannot be read, or gives a vector that cannot be stored.
            MrlspkError: If memory runs out.
        """
        n_items = len(self.dataset)
        batches = iter(self._loader(ShardBatches(shards, n_items=n_items, batch_size=self.batch_size)))
        for shard in shards:
            parts: list[NDArray[np.floating]] = []
            for rows in batched(shard.rows, self.batch_size):
                waveforms, _ = next(batches)
                names = [str(self.dataset.source_of(row % n_items)) for row in rows]
                parts.append(as_stored(self.pool(waveforms), names, dtype=layout.dtype))
                on_rows(len(rows))
            yield np.concatenate(parts)

    def _loader(self, order: ShardBatches) -> WatchedLoader:
        return WatchedLoader(
            self.dataset,
            order,
            num_workers=self.num_workers,
            timeout_seconds=self.timeout_seconds,
            pin_memory=torch.cuda.is_available(),
        )
