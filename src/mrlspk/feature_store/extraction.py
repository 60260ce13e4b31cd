"""Extract pooled vectors into a feature store, or reuse and repair the store that exists.

The bytes of a shard depend only on the key, the shard number and the device (on a CPU: also the number of threads). An
extraction that was killed resumes at the first shard without a checksum. Its store equals an uninterrupted one byte for
byte.
"""

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from itertools import batched
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.crops.dataset import CropDataset
from mrlspk.data.manifest import Utterance
from mrlspk.distributed import ALONE, Ranks, on_rank_zero, raising_on_all_ranks
from mrlspk.feature_store.key import Key, Precision, crops_key, layout_of, store_name, utterances_key
from mrlspk.feature_store.pooling import CropSource, UtteranceSource, pooling_function
from mrlspk.feature_store.shards import Layout, NumberType, Shard, checksum_path, write_shard
from mrlspk.feature_store.store import (
    FeatureStore,
    check_room,
    check_visible,
    find_missing,
    lock_store,
    open_store,
    prepare_folder,
)
from mrlspk.files import OnProgress
from mrlspk.models.headed_model import HeadedModel

log = logging.getLogger("mrlspk.training")


class VectorSource(Protocol):
    """Compute the vectors of shards."""

    def vectors(
        self, shards: Sequence[Shard], *, layout: Layout, on_rows: Callable[[int], None]
    ) -> Iterator[NDArray[np.floating]]:
        """Yield the vectors (rows, n_features) of each shard, in the given order."""


def ensure_crops(
    encoder: HeadedModel,
    dataset: CropDataset,
    *,
    folder: Path,
    crops_per_item: int,
    dtype: NumberType,
    batch_size: int,
    num_workers: int,
    precision: Precision,
    worker_timeout_seconds: float = 0.0,
    on_progress: OnProgress | None = None,
    ranks: Ranks = ALONE,
) -> FeatureStore:
    """Return the store of random crops, computing the shards that are missing; put the encoder in evaluation mode.

    Row ``k * len(dataset) + index`` is ``dataset[SampleKey(index, epoch=k, repeat=0)]``; its class is
    ``dataset.classes[index]``.

    Args:
        encoder: On the device to run on.
        dataset: The dataset of the crops.
        folder: Folder of all stores.
        crops_per_item: Crops of every index of the dataset.
        dtype: Number type of the stored values.
        batch_size: Crops that pass through the network together.
        num_workers: Processes that decode; 0: this one.
        precision: Precision of the network.
        worker_timeout_seconds: Time without a batch after which workers count as dead; 0: never.
        on_progress: Called with (rows stored, all rows); see `write_missing`.
        ranks: The processes that share the work, each on its device; all must call this.

    Raises:
        DataError: If a file cannot be read, or its vector cannot be stored.
        MrlspkError: If the store cannot be written or the disk has no room for it.
    """
    key = on_rank_zero(
        ranks,
        lambda: crops_key(
            encoder, dataset, crops_per_item=crops_per_item, dtype=dtype, batch_size=batch_size, precision=precision
        ),
    )
    pool = pooling_function(encoder, precision=precision)
    source = CropSource(pool, dataset, batch_size, num_workers, worker_timeout_seconds)
    return ensure_store(folder, key, source, on_progress=on_progress, ranks=ranks)


def ensure_utterances(
    encoder: HeadedModel,
    utterances: Sequence[Utterance],
    *,
    folder: Path,
    dtype: NumberType,
    batch_size: int,
    max_seconds: float,
    precision: Precision,
    crop_seconds: float | None = None,
    on_progress: OnProgress | None = None,
    ranks: Ranks = ALONE,
) -> FeatureStore:
    """Return the store of one vector per utterance, computing the shards that are missing.

    Args:
        encoder: On the device to run on.
        utterances: One row each.
        folder: Folder of all stores.
        dtype: Number type of the stored values.
        batch_size: Files of equal length that pass through the network together.
        max_seconds: Longer files are split into equal windows, whose vectors are averaged.
        precision: Precision of the network.
        crop_seconds: Take the middle of each file; shorter files are taken whole. None: take all files whole.
        on_progress: Called with (rows stored, all rows); see `write_missing`.
        ranks: The processes that share the work, each on its device; all must call this.

    Raises:
        DataError: If a file cannot be read or is too short, or its vector cannot be stored.
        MrlspkError: If the store cannot be written or the disk has no room for it.
    """
    key = on_rank_zero(
        ranks,
        lambda: utterances_key(
            encoder,
            utterances,
            dtype=dtype,
            batch_size=batch_size,
            max_seconds=max_seconds,
            crop_seconds=crop_seconds,
            precision=precision,
        ),
    )
    pool = pooling_function(encoder, precision=precision)
    source = UtteranceSource(
        pool,
        utterances,
        batch_size,
        max_seconds,
        crop_seconds,
        encoder.min_samples,
        encoder.mean_pooled,
        encoder.concurrency,
    )
    return ensure_store(folder, key, source, on_progress=on_progress, ranks=ranks)


def ensure_store(
    folder: Path,
    key: Key,
    source: VectorSource,
    *,
    on_progress: OnProgress | None = None,
    ranks: Ranks = ALONE,
) -> FeatureStore:
    """Return the store of a key, in its own folder below ``folder``; ``source`` computes the missing shards.

    With several processes, only the first holds the lock and looks for missing shards.

    Raises:
        DataError: If the source cannot compute a vector.
        MrlspkError: If the store cannot be written, the disk has no room for it, or a process does not see it.
    """
    folder, layout = folder / store_name(key), layout_of(key)
    with ExitStack() as held:
        missing = on_rank_zero(ranks, lambda: _prepare(folder, key, held))
        with raising_on_all_ranks(ranks):
            check_visible(folder)
        with _telling_what_is_kept(folder, layout, ranks):
            write_missing(folder, missing, source, layout=layout, ranks=ranks, on_progress=on_progress)
        with raising_on_all_ranks(ranks):
            store = open_store(folder)
    return store


@contextmanager
def _telling_what_is_kept(folder: Path, layout: Layout, ranks: Ranks) -> Iterator[None]:
    """Tell how much of a store is kept if Ctrl-C or SIGTERM ends the block."""
    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        if ranks.is_first:
            n_kept = sum(len(shard) for shard in layout.shards if checksum_path(folder, shard).is_file())
            if n_kept:
                log.warning(
                    "%s keeps %d of %d vectors: the same command goes on from there", folder, n_kept, layout.n_rows
                )
        raise


def _prepare(folder: Path, key: Key, held: ExitStack) -> list[Shard]:
    """Lock and prepare the folder of a store, with the lock in ``held``; return the missing shards."""
    layout = layout_of(key)
    held.enter_context(lock_store(folder))
    prepare_folder(folder, key)
    missing = find_missing(folder, layout)
    check_room(folder, layout, missing)
    return missing


def write_missing(
    folder: Path,
    missing: Sequence[Shard],
    source: VectorSource,
    *,
    layout: Layout,
    ranks: Ranks,
    on_progress: OnProgress | None,
) -> None:
    """Write the missing shards of a store in rounds; in each round every process writes one.

    The bytes of a shard do not depend on the process that writes it, nor on the number of processes. After each round
    all processes learn of an error in one of them and stop.

    Args:
        folder: Folder of the store.
        missing: Missing shards, the same in all processes.
        source: Computes the vectors of this process.
        layout: Layout of the store.
        ranks: The processes.
        on_progress: Called in the first process with (rows stored, all rows); within a round, the other processes are
            assumed to be as far as this one.

    Raises:
        DataError: If the source of one process cannot compute a vector.
        MrlspkError: If one process cannot write.
    """
    progress = _Progress(layout, missing, on_progress if ranks.is_first else None)
    own = ranks.shard(missing)
    vectors = source.vectors(own, layout=layout, on_rows=progress.add) if own else iter(())
    for together in batched(missing, ranks.world_size):
        progress.begin_round(together)
        with raising_on_all_ranks(ranks):
            if ranks.rank < len(together):
                write_shard(folder, together[ranks.rank], next(vectors), layout=layout)
    progress.begin_round(())


class _Progress:
    """Report the number of stored rows: exact after each round, estimated from this process within one."""

    def __init__(self, layout: Layout, missing: Sequence[Shard], on_progress: OnProgress | None) -> None:
        self._n_rows, self._on_progress = layout.n_rows, on_progress
        self._n_before = layout.n_rows - sum(map(len, missing))
        self._n_own, self._n_reported = 0, -1
        self._round: Sequence[Shard] = ()

    def begin_round(self, together: Sequence[Shard]) -> None:
        """Count the last round as done, and begin one with these shards."""
        self._n_before += self._n_rows_of_round
        self._n_own, self._round = 0, together
        self._report(self._n_before)

    def add(self, count: int) -> None:
        """Count rows that this process computed."""
        self._n_own += count
        self._report(self._n_before + min(self._n_own * len(self._round), self._n_rows_of_round))

    @property
    def _n_rows_of_round(self) -> int:
        return sum(map(len, self._round))

    def _report(self, n_done: int) -> None:
        if self._on_progress and n_done != self._n_reported:
            self._on_progress(n_done, self._n_rows)
        self._n_reported = n_done
