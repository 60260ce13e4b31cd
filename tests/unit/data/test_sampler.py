from collections import Counter

import pytest

from mrlspk.data.sampler import ShuffleSampler, SpeakerBalancedSampler

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


def test_balanced_repeats_an_utterance_only_when_its_speaker_has_no_other_left():
    keys = epoch_of(SpeakerBalancedSampler(CLASSES, seed=0, n_crops=4 * 14), 0)
    counts = Counter(key.index for key in keys)
    assert [counts[index] for index in range(10)] == [7] * 2 + [2] * 7 + [14]
    assert sorted(counts[index] for index in range(10, 15)) == [2, 3, 3, 3, 3]
