from collections import Counter

import numpy as np
import pytest

from mrlspk.data.crops.dataset import SampleKey
from mrlspk.data.crops.sampler import RankBatches, ShuffleSampler, SpeakerBalancedSampler

CLASSES = [0] * 2 + [1] * 7 + [2] + [3] * 5


def epoch_of(sampler, epoch):
    sampler.set_epoch(epoch)
    return list(sampler)


@pytest.mark.parametrize(
    "make",
    [
        lambda seed: ShuffleSampler(15, seed=seed, n_crops=40),
        lambda seed: SpeakerBalancedSampler(CLASSES, utterances_per_speaker=3, seed=seed, n_crops=40),
    ],
)
def test_order_is_a_function_of_seed_and_epoch(make):
    first = make(0)
    epochs = [epoch_of(first, epoch) for epoch in (0, 1)]
    assert epochs[0] != epochs[1]
    assert epoch_of(make(0), 1) == epochs[1]
    assert epoch_of(make(1), 1) != epochs[1]
    for epoch, keys in enumerate(epochs):
        assert len(keys) == len(first) == 40
        assert {key.epoch for key in keys} == {epoch}
        assert len(set(keys)) == 40


def test_shuffle_gives_every_index_once_an_epoch():
    keys = epoch_of(ShuffleSampler(15, seed=0), 3)
    assert sorted(key.index for key in keys) == list(range(15))
    assert {key.repeat for key in keys} == {0}


def test_shuffled_parts_of_epochs_reach_every_index_alike():
    sampler = ShuffleSampler(15, seed=0, n_crops=10)
    counts = Counter(key.index for epoch in range(6) for key in epoch_of(sampler, epoch))
    assert set(counts.values()) == {4}  # 6 x 10 crops over 15 indices
    assert len(counts) == 15


@pytest.mark.parametrize(("per_speaker", "n_crops"), [(1, 15), (2, 15), (3, 50)])
def test_balanced_draws_classes_evenly(per_speaker, n_crops):
    sampler = SpeakerBalancedSampler(CLASSES, utterances_per_speaker=per_speaker, seed=0, n_crops=n_crops)
    counts = Counter(CLASSES[key.index] for key in epoch_of(sampler, 2))
    assert sum(counts.values()) == n_crops
    assert max(counts.values()) - min(counts[class_] for class_ in range(4)) <= per_speaker


def test_balanced_puts_utterances_of_a_speaker_side_by_side():
    sampler = SpeakerBalancedSampler(CLASSES, utterances_per_speaker=2, seed=0, n_crops=40)
    classes = [CLASSES[key.index] for key in epoch_of(sampler, 0)]
    assert all(a == b for a, b in zip(classes[::2], classes[1::2], strict=True))


def test_balanced_repeats_an_utterance_only_after_all_of_its_speaker():
    keys = epoch_of(SpeakerBalancedSampler(CLASSES, seed=0, n_crops=4 * 14), 0)
    counts = Counter(key.index for key in keys)
    assert [counts[index] for index in range(10)] == [7] * 2 + [2] * 7 + [14]
    assert sorted(counts[index] for index in range(10, 15)) == [2, 3, 3, 3, 3]


WEIGHTS = np.repeat([1.0, 2.0, 0.5, 0.3], [15, 4, 7, 5])  # of indices, corpus by corpus


def test_weights_are_the_uses_of_an_index_in_a_pass():
    sampler = ShuffleSampler(31, seed=0, weights=WEIGHTS)
    assert len(sampler) == 15 + 8 + 3.5 + 1.5
    sampler = ShuffleSampler(26, seed=0, weights=WEIGHTS[:26], n_crops=53)  # two passes: of weight 0.5 all once
    counts = Counter(key.index for key in epoch_of(sampler, 4))
    assert [counts[index] for index in range(26)] == [2] * 15 + [4] * 4 + [1] * 7
    first = {key.index for key in epoch_of(ShuffleSampler(10, seed=0, weights=np.full(10, 0.5)), 0)}
    other = {key.index for key in epoch_of(ShuffleSampler(10, seed=0, weights=np.full(10, 0.5)), 1)}
    assert (len(first), first | other) == (5, {*range(10)})
    assert {key.index for key in epoch_of(ShuffleSampler(10, seed=1, weights=np.full(10, 0.5)), 0)} != first


def test_weights_use_indices_alike_over_many_epochs():
    sampler = ShuffleSampler(31, seed=0, weights=WEIGHTS)
    counts = Counter(key.index for epoch in range(100) for key in epoch_of(sampler, epoch))
    assert sum(counts.values()) == 100 * len(sampler)
    for index, weight in enumerate(WEIGHTS):
        assert abs(counts[index] - 100 * weight) < 2  # a part of a pass


@pytest.mark.parametrize("n_crops", [11, 28, 90])
@pytest.mark.parametrize("seed", [0, 1])
def test_weighted_epochs_continue_and_repeat_no_sample(n_crops, seed):
    sampler = ShuffleSampler(31, seed=seed, weights=WEIGHTS, n_crops=n_crops)
    whole = epoch_of(ShuffleSampler(31, seed=seed, weights=WEIGHTS, n_crops=n_crops * 40), 0)
    epochs = [epoch_of(sampler, epoch) for epoch in range(40)]
    assert [key.index for epoch in epochs for key in epoch] == [key.index for key in whole]
    for keys in (*epochs, whole):
        assert len({*keys}) == len(keys)
        assert min(key.repeat for key in keys) == 0


def test_weight_one_changes_nothing():
    for make in (
        lambda weights: ShuffleSampler(15, seed=2, n_crops=40, weights=weights and np.ones(15)),
        lambda weights: SpeakerBalancedSampler(CLASSES, seed=2, n_crops=40, weights=weights and np.ones(4)),
    ):
        assert epoch_of(make(True), 3) == epoch_of(make(None), 3)


ORDERS = {
    "shuffle": lambda: ShuffleSampler(15, seed=3, n_crops=22),
    "balanced": lambda: SpeakerBalancedSampler(CLASSES, utterances_per_speaker=2, seed=3, n_crops=22),
    "weighted": lambda: ShuffleSampler(15, seed=3, n_crops=22, weights=np.repeat([1, 0.5], [9, 6])),
}
both_orders = pytest.mark.parametrize("make_order", ORDERS.values(), ids=ORDERS.keys())


class Counted:
    """The crops 0, 1, 2, … of an epoch."""

    def __init__(self, n_crops):
        self.n_crops, self.epoch = n_crops, 0

    def set_epoch(self, epoch):
        self.epoch = epoch

    def __len__(self):
        return self.n_crops

    def __iter__(self):
        return (SampleKey(index, self.epoch, 0) for index in range(self.n_crops))


def indices(batches):
    return [[key.index for key in batch] for batch in batches]


def test_processes_take_their_crops_side_by_side_and_the_rest_is_left_out():
    ranks = [RankBatches(Counted(11), batch_size=2, rank=rank, n_ranks=2) for rank in (0, 1)]
    assert [indices(rank) for rank in ranks] == [[[0, 1], [4, 5]], [[2, 3], [6, 7]]]
    assert [len(rank) for rank in ranks] == [2, 2]
    assert ranks[0].crops_of_all == 4


def test_an_epoch_that_fills_no_batch_has_none():
    batches = RankBatches(Counted(3), batch_size=2, rank=1, n_ranks=2)
    assert (len(batches), list(batches)) == (0, [])


@pytest.mark.parametrize("n_ranks", [2, 4])
@both_orders
def test_processes_together_give_the_batches_of_one(make_order, n_ranks):
    alone = RankBatches(make_order(), batch_size=4)
    ranks = [RankBatches(make_order(), batch_size=4 // n_ranks, rank=rank, n_ranks=n_ranks) for rank in range(n_ranks)]
    for epoch in (0, 3):
        for batches in (alone, *ranks):
            batches.go_to(epoch)
        whole = list(alone)
        assert len(whole) == len(alone) == len(ranks[0]) == 5
        assert [sum(parts, []) for parts in zip(*ranks, strict=True)] == whole
        assert {key.epoch for batch in whole for key in batch} == {epoch}


@both_orders
def test_what_is_left_of_an_epoch_does_not_depend_on_who_took_the_rest(make_order):
    batches = RankBatches(make_order(), batch_size=4)
    batches.go_to(1)
    whole = list(batches)
    batches = RankBatches(make_order(), batch_size=4)
    batches.go_to(1, n_crops_done=8)
    assert list(batches) == whole[2:]
    assert list(batches) == whole[2:]
    assert len(batches) == 5  # of the whole epoch
    batches.go_to(2)
    assert list(batches) != whole


def test_another_number_of_processes_resumes_at_the_next_crop():
    halves = [RankBatches(Counted(20), batch_size=2, rank=rank, n_ranks=2) for rank in (0, 1)]
    for half in halves:
        half.go_to(0, n_crops_done=6)  # two batches of one process, of 3 crops
    assert [indices(half) for half in halves] == [[[6, 7], [10, 11], [14, 15]], [[8, 9], [12, 13], [16, 17]]]


@both_orders
def test_crops_of_a_step_are_named_for_all_processes_by_any_of_them(make_order):
    ranks = [RankBatches(make_order(), batch_size=2, rank=rank, n_ranks=2) for rank in (0, 1)]
    named = ranks[1].crops_at(2, n_crops_done=4, n_batches=2)
    for rank in ranks:
        rank.go_to(2, n_crops_done=4)
    taken = [sum(parts, []) for parts in zip(*ranks, strict=True)]
    assert named == taken[0] + taken[1]


def test_crops_past_the_last_whole_batch_are_named_by_none():
    batches = RankBatches(Counted(10), batch_size=4)
    assert [key.index for key in batches.crops_at(0, n_crops_done=4, n_batches=3)] == [4, 5, 6, 7]
