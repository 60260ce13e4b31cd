"""Pooled vectors of whole utterances, shard after shard."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mrlspk.data.audio import load_audio
from mrlspk.data.manifest import Utterance
from mrlspk.feature_store.layout import Layout, Shard, little_endian
from mrlspk.feature_store.pooling import as_stored
from mrlspk.inference.batching import Batches, check_length, mean_over_windows
from mrlspk.inference.recording import Recording


@dataclass(frozen=True)
class WholeFiles:
    """What makes the shards of a store of utterances.

    Attributes:
        pool: Maps waveforms (batch, samples) to their vectors (batch, features).
        utterances: One row each.
        batch_size: Files of equal length that go through the network together.
        max_seconds: Of longer files the vectors of equal windows are averaged.
        crop_seconds: Take the middle of each file; one that is shorter is taken whole. None: all of it.
        min_samples: The fewest that make a vector.
    """

    pool: Callable[[Tensor], Tensor]
    utterances: Sequence[Utterance]
    batch_size: int
    max_seconds: float
    crop_seconds: float | None
    min_samples: int

    def vectors(
        self, shards: Sequence[Shard], *, layout: Layout, on_rows: Callable[[int], None]
    ) -> Iterator[NDArray[np.floating]]:
        """Yield the vectors (rows, features) of each shard; ``on_rows`` is told how many more there are.

        Raises:
            DataError: If a file cannot be read, is too short, or gives a vector that cannot be stored.
        """
        for shard in shards:
            vectors = np.empty((len(shard), layout.n_features), little_endian(layout.dtype))

            def put(
                row: int, vector: Tensor, *, vectors: NDArray[np.floating] = vectors, start: int = shard.start
            ) -> None:
                name = str(self.utterances[row].source)
                vectors[row - start] = as_stored(vector[None], [name], dtype=layout.dtype)[0]
                on_rows(1)

            batches = Batches[int](self._pool_windows, batch_size=self.batch_size, on_embedded=put)
            for row in shard.rows:
                batches.add(row, self._load(self.utterances[row]))
            batches.embed_all()
            yield vectors

    def _load(self, utterance: Utterance) -> Tensor:
        whole = load_audio(utterance.source)
        middle = Recording(utterance.path, self.crop_seconds).crop(whole)
        waveform = whole if middle is None else middle
        check_length(waveform, self.min_samples, str(utterance.source))
        return waveform

    def _pool_windows(self, waveforms: Tensor) -> Tensor:
        return mean_over_windows(self.pool, waveforms, max_seconds=self.max_seconds)
