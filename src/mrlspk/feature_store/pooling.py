"""Pool random crops and whole utterances with a frozen encoder, shard by shard."""

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from itertools import batched

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Sampler

from mrlspk.data.audio import SAMPLE_RATE
from mrlspk.data.crops.dataset import CropDataset, SampleKey
from mrlspk.data.crops.loader import WatchedLoader
from mrlspk.data.crops.unreadable import REPLACED
from mrlspk.data.manifest import Utterance
from mrlspk.errors import DataError
from mrlspk.feature_store.key import Precision
from mrlspk.feature_store.shards import Layout, NumberType, Shard, little_endian
from mrlspk.inference.decoding import Decoded, OnBlock, OnPart, decode
from mrlspk.inference.pipeline import Limits, Pipeline, Steps
from mrlspk.inference.recording import EmbeddedRecording
from mrlspk.inference.windows import Vector, Windows, keep_speech
from mrlspk.inference.workers import Workers
from mrlspk.models.headed_model import HeadedModel

log = logging.getLogger("mrlspk.training")

AUTOCAST: dict[Precision, torch.dtype | None] = {"fp32": None, "bf16": torch.bfloat16, "fp16": torch.float16}


def pooling_function(encoder: HeadedModel, *, precision: Precision) -> Callable[[Tensor], Tensor]:
    """Put an encoder in evaluation mode; return a function from (batch, samples) to (batch, pooled_dim).

    The vectors are float32 on the CPU. The network runs on the encoder's device, under autocast to ``precision``.
    """
    encoder.eval()
    device, half = encoder.device, AUTOCAST[precision]

    @torch.inference_mode()
    def pool(waveforms: Tensor) -> Tensor:
        with torch.autocast(device.type, half, enabled=half is not None):
            return encoder.pooled(waveforms.to(device, non_blocking=True)).cpu()

    return pool


def as_stored(vectors: Tensor, names: Sequence[str], *, dtype: NumberType) -> NDArray[np.floating]:
    """Return vectors (batch, n_features) in the number type of a store; ``names`` are their recordings.

    Raises:
        DataError: If a vector is not finite, or too large for the number type.
    """
    _refuse(~torch.isfinite(vectors).all(1), names, "its pooled vector is not finite", "Check the recording.")
    stored = vectors.to(getattr(torch, dtype))
    what = f"its pooled vector is too large for {dtype}: the largest value is {float(vectors.abs().max()):.6g}"
    _refuse(~torch.isfinite(stored).all(1), names, what, "Store the vectors as float32.")
    array: NDArray[np.floating] = stored.numpy()
    return array


def _refuse(invalid: Tensor, names: Sequence[str], what: str, fix: str) -> None:
    if invalid.any():
        raise DataError(what, names[int(invalid.nonzero()[0])], fix)


class ShardBatches(Sampler[list[SampleKey]]):
    """Sample the crops of some shards in batches; no batch crosses from one shard to the next.

    Row ``k * n_items + index`` of a store is crop ``k`` of an index of the dataset.

    Args:
        shards: Shards to sample, in this order.
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
class CropSource:
    """Compute the vectors of a store of random crops.

    Attributes:
        pool: Maps crops (batch, samples) to vectors (batch, n_features).
        dataset: The dataset of the crops.
        batch_size: Crops that pass through the network together.
        num_workers: Processes that decode; 0: this one.
        timeout_seconds: Time without a batch after which workers count as dead; 0: never.
    """

    pool: Callable[[Tensor], Tensor]
    dataset: CropDataset
    batch_size: int
    num_workers: int
    timeout_seconds: float = 0.0

    def vectors(
        self, shards: Sequence[Shard], *, layout: Layout, on_rows: Callable[[int], None]
    ) -> Iterator[NDArray[np.floating]]:
        """Yield the vectors (rows, n_features) of each shard; ``on_rows`` is called with the number of new rows.

        Raises:
            DataError: If a file cannot be read, or its vector cannot be stored.
            MrlspkError: If memory runs out.
        """
        n_items = len(self.dataset)
        finish = self.dataset.augmentation.finish if self.dataset.augmentation else None
        loader = self._loader(ShardBatches(shards, n_items=n_items, batch_size=self.batch_size))
        batches, told = iter(loader), set[str]()
        for shard in shards:
            parts: list[NDArray[np.floating]] = []
            for rows in batched(shard.rows, self.batch_size):
                waveforms, classes, *extras = next(batches)
                self._check_replaced(loader.unreadable, told, np.array(rows) % n_items, classes.numpy())
                if finish is not None:
                    waveforms = finish(waveforms, *extras)
                names = [str(self.dataset.source_of(row % n_items)) for row in rows]
                parts.append(as_stored(self.pool(waveforms), names, dtype=layout.dtype))
                on_rows(len(rows))
            yield np.concatenate(parts)

    def _check_replaced(
        self, unreadable: Mapping[str, str], told: set[str], indices: NDArray[np.int64], classes: NDArray[np.int64]
    ) -> None:
        """Warn of files that others replaced, unless they are in ``told``, and add them there.

        Raises:
            DataError: If a crop is of another class than its index, whose row of the store has that class.
        """
        for utterance_id in unreadable.keys() - told:
            log.warning(REPLACED, unreadable[utterance_id])
            told.add(utterance_id)
        for index, class_ in zip(indices.tolist(), classes.tolist(), strict=True):
            if unreadable and class_ != self.dataset.class_of(index):
                what = f"nothing of the speaker can be read: {unreadable[self.dataset.utterance_id(index)]}"
                raise DataError(what, self.dataset.utterance_id(index), "Leave the speaker out of the corpus.")

    def _loader(self, order: ShardBatches) -> WatchedLoader:
        return WatchedLoader(
            self.dataset,
            order,
            num_workers=self.num_workers,
            timeout_seconds=self.timeout_seconds,
            pin_memory=torch.cuda.is_available(),
        )


@dataclass(frozen=True)
class UtteranceSource:
    """Compute the vectors of a store of utterances.

    Attributes:
        pool: Maps waveforms (batch, samples) to vectors (batch, n_features).
        utterances: One row each.
        batch_size: Files of equal length that pass through the network together.
        max_seconds: Longer files are split into equal windows, whose vectors become one.
        crop_seconds: Take the middle of each file; shorter files are taken whole. None: take all files whole.
        min_samples: Minimum length of a file.
        mean: Returns the vector of a file from those of its windows.
        concurrency: Threads that may call ``pool`` at once.
    """

    pool: Callable[[Tensor], Tensor]
    utterances: Sequence[Utterance]
    batch_size: int
    max_seconds: float
    crop_seconds: float | None
    min_samples: int
    mean: Callable[[Sequence[Vector]], Vector]
    concurrency: int = 1

    def vectors(
        self, shards: Sequence[Shard], *, layout: Layout, on_rows: Callable[[int], None]
    ) -> Iterator[NDArray[np.floating]]:
        """Yield the vectors (rows, n_features) of each shard; ``on_rows`` is called with the number of new rows.

        Raises:
            DataError: If a file cannot be read or is too short, or its vector cannot be stored.
        """
        for shard in shards:
            vectors = np.empty((len(shard), layout.n_features), little_endian(layout.dtype))
            workers = Workers(decoders=1, embedders=self.concurrency)
            pipeline = Pipeline(shard.rows, self._steps(), workers, Limits(self.batch_size))
            with closing(pipeline.results()) as results:
                for row, outcome in results:
                    if isinstance(outcome, DataError):
                        raise outcome
                    if not isinstance(outcome, EmbeddedRecording):  # without a crop that must be filled
                        continue
                    name = str(self.utterances[row].source)
                    stored = as_stored(torch.from_numpy(outcome.vector)[None], [name], dtype=layout.dtype)
                    vectors[row - shard.start] = stored[0]
                    on_rows(1)
            yield vectors

    def _steps(self) -> Steps[int, DataError]:
        return Steps(
            decode=self._decode,
            cut=self._cut,
            embed=self._pool,
            mean=lambda vectors, _: self.mean(vectors),
            same_audio=lambda *_: False,
            failures=DataError,
        )

    def _decode(self, row: int, on_block: OnBlock, _: OnPart) -> Decoded:
        return decode(self.utterances[row].source, sample_rate=SAMPLE_RATE, speech=None, on_block=on_block)

    def _cut(self, _: int, decoded: Decoded) -> Windows:
        kept = keep_speech(decoded, min_samples=self.min_samples)
        return kept.cut(max_seconds=self.max_seconds, min_samples=self.min_samples, crop_seconds=self.crop_seconds)

    def _pool(self, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
        pooled: NDArray[np.float32] = self.pool(torch.from_numpy(waveforms)).numpy()
        return pooled
