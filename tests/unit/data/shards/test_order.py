import numpy as np
import pytest

from mrlspk.data.audio.source import AudioSource, ChannelSource, FileSource, RangeSource, TarMember
from mrlspk.data.crops.sampler import RankBatches, ShuffleSampler
from mrlspk.data.manifest import Utterance
from mrlspk.data.shards.order import ShardWindow, number_shards
from mrlspk.data.utterances.table import UtteranceTable
from mrlspk.errors import DataError


class Other(AudioSource):
    """A source that no column holds."""


SHARDS = np.repeat(np.arange(7), [5, 1, 9, 2, 4, 8, 3])


def order_of(window, seed=0):
    return ShardWindow(SHARDS, window).permutation(np.random.default_rng(seed))


@pytest.mark.parametrize("window", [1, 2, 3, 7, 50])
def test_permutation_has_every_item_once_window_after_window(window):
    order = order_of(window)
    assert sorted(order.tolist()) == list(range(len(SHARDS)))
    seen = SHARDS[order]
    last = {shard: np.flatnonzero(seen == shard).max() for shard in range(7)}
    first = {shard: np.flatnonzero(seen == shard).min() for shard in range(7)}
    for place in range(len(seen)):
        n_open = sum(first[shard] <= place <= last[shard] for shard in range(7))
        assert n_open <= window


def test_permutation_mixes_a_window_and_changes_with_the_seed():
    order = order_of(7)
    changes = np.count_nonzero(np.diff(SHARDS[order]))
    assert changes > 15  # shard after shard it would be 6
    assert order_of(2, seed=0).tolist() == order_of(2, seed=0).tolist() != order_of(2, seed=1).tolist()


def test_any_two_shards_may_share_a_window():
    seen = (SHARDS[order_of(2, seed)].tolist() for seed in range(200))
    assert len({frozenset(list(dict.fromkeys(each))[:2]) for each in seen}) == 21  # pairs of seven


def test_one_window_for_all_shards_is_uniform():
    """Every item is first equally often: 32 items, 3,200 draws, 100 expected, five standard deviations allowed."""
    window = ShardWindow(SHARDS, 7)
    firsts = np.bincount([window.permutation(np.random.default_rng(seed))[0] for seed in range(3200)], minlength=32)
    assert np.abs(firsts - 100).max() < 50


@pytest.mark.parametrize("n_ranks", [1, 3])
@pytest.mark.parametrize("n_crops_done", [0, 6, 12])
def test_ranks_share_a_windowed_epoch_from_any_step_on(n_ranks, n_crops_done):
    def keys_of(rank, done):
        sampler = ShuffleSampler(len(SHARDS), seed=3, window=ShardWindow(SHARDS, 2))
        batches = RankBatches(sampler, batch_size=2, rank=rank, n_ranks=n_ranks)
        batches.go_to(1, n_crops_done=done)
        return list(batches)

    whole = [key.index for batch in keys_of(0, 0) for key in batch] if n_ranks == 1 else None
    together = [
        key.index for batches in zip(*(keys_of(rank, n_crops_done) for rank in range(n_ranks)), strict=True)
        for batch in batches for key in batch
    ]  # fmt: skip
    assert len(set(together)) == len(together) == (32 - n_crops_done) // (2 * n_ranks) * 2 * n_ranks
    if whole:
        assert together == whole[n_crops_done:]


def test_shards_are_numbered_as_they_come(tmp_path):
    one, two = (TarMember(name, "a.wav", 0, 1) for name in ("s3://b/1.tar", "2.tar"))
    sources = [two, RangeSource(one, 0.5), ChannelSource(RangeSource(two, 1.0), 1), FileSource("x.wav"), one, Other()]
    table = UtteranceTable.of(Utterance(str(row), "s", "s", source) for row, source in enumerate(sources))
    assert number_shards(table.archives(), tmp_path).tolist() == [0, 1, 0, 2, 1, 2]
    assert table.take(np.array([3, 1])).archives().tolist() == [None, "s3://b/1.tar"]
    with pytest.raises(DataError, match="expected shards for data.shuffle_window, got files"):
        number_shards([None], tmp_path)
