"""Stores that are there in the end: reused, mended or made.

Every shard is a function of key and number alone, on one device (a CPU: with one number of threads). An extraction that
was killed goes on at the first shard without a checksum and ends byte for byte as if it had not been.
"""

from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from mrlspk.data.dataset import CropDataset
from mrlspk.data.manifest import Utterance
from mrlspk.distributed import ALONE, Ranks, failing_together, on_rank_zero
from mrlspk.feature_store.crops import Crops
from mrlspk.feature_store.folder import begin_folder, check_room, check_seen, find_missing, lock_store
from mrlspk.feature_store.key import Key, Precision, crops_key, layout_of, store_name, whole_key
from mrlspk.feature_store.layout import NumberType, Shard
from mrlspk.feature_store.making import Source, make_shards
from mrlspk.feature_store.pooling import pooling_function
from mrlspk.feature_store.store import FeatureStore, open_store
from mrlspk.feature_store.whole_files import WholeFiles
from mrlspk.files import OnProgress
from mrlspk.models.encoder import Encoder


def ensure_crops(
    encoder: Encoder,
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
    """Return the store of random crops, made as far as it is not there; all before the head is in evaluation mode then.

    Row ``k * len(dataset) + index`` is ``dataset[SampleKey(index, epoch=k, repeat=0)]``, and its class
    ``dataset.classes[index]``.

    Args:
        encoder: On the device where it is to run.
        dataset: Of the crops.
        folder: Of all stores.
        crops_per_item: Crops of every index of the dataset.
        dtype: Number type of the stored values.
        batch_size: Crops that go through the network together.
        num_workers: Processes that decode; 0: this one.
        precision: Of the network.
        worker_timeout_seconds: Without a batch, after which they count as dead; 0: never.
        on_progress: Called with (rows there are, all rows); see `make_shards`.
        ranks: The processes that make it together, each on its device; all must call this.

    Raises:
        DataError: If a file cannot be read, or gives a vector that cannot be stored.
        MrlspkError: If the store cannot be written or the disk has no room for it.
    """
    key = on_rank_zero(
        ranks,
        lambda: crops_key(
            encoder, dataset, crops_per_item=crops_per_item, dtype=dtype, batch_size=batch_size, precision=precision
        ),
    )
    pool = pooling_function(encoder, precision=precision)
    source = Crops(pool, dataset, batch_size, num_workers, worker_timeout_seconds)
    return ensure_store(folder, key, source, on_progress=on_progress, ranks=ranks)


def ensure_whole(
    encoder: Encoder,
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
    """Return the store of one vector for every utterance, as `ensure_crops` does.

    Args:
        encoder: On the device where it is to run.
        utterances: One row each.
        folder: Of all stores.
        dtype: Number type of the stored values.
        batch_size: Files of equal length that go through the network together.
        max_seconds: Of longer files the vectors of equal windows are averaged.
        precision: Of the network.
        crop_seconds: Take the middle of each file; one that is shorter is taken whole. None: all of it.
        on_progress: Called with (rows there are, all rows); see `make_shards`.
        ranks: The processes that make it together, each on its device; all must call this.

    Raises:
        DataError: If a file cannot be read, is too short, or gives a vector that cannot be stored.
        MrlspkError: If the store cannot be written or the disk has no room for it.
    """
    key = on_rank_zero(
        ranks,
        lambda: whole_key(
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
    source = WholeFiles(pool, utterances, batch_size, max_seconds, crop_seconds, encoder.min_samples)
    return ensure_store(folder, key, source, on_progress=on_progress, ranks=ranks)


def ensure_store(
    folder: Path,
    key: Key,
    source: Source,
    *,
    on_progress: OnProgress | None = None,
    ranks: Ranks = ALONE,
) -> FeatureStore:
    """Return the store of a key in its folder below ``folder``; ``source`` makes what is not there.

    With several processes the first alone holds the lock and looks what is missing.

    Raises:
        DataError: If the source cannot make a vector.
        MrlspkError: If the store cannot be written or the disk has no room for it, or if a process does not see it.
    """
    folder, layout = folder / store_name(key), layout_of(key)
    with ExitStack() as held:
        missing = on_rank_zero(ranks, lambda: _begin(folder, key, held))
        with failing_together(ranks):
            check_seen(folder)
        make_shards(folder, missing, source, layout=layout, ranks=ranks, on_progress=on_progress)
        with failing_together(ranks):
            store = open_store(folder)
    return store


def _begin(folder: Path, key: Key, held: ExitStack) -> list[Shard]:
    """Leave the folder ready to be written to, its lock with ``held``; return the shards that are missing."""
    layout = layout_of(key)
    held.enter_context(lock_store(folder))
    begin_folder(folder, key)
    missing = find_missing(folder, layout)
    check_room(folder, layout, missing)
    return missing
