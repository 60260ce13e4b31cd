from collections import Counter
from dataclasses import replace

import numpy as np
import pytest

from mrlspk.config.data import DataConfig
from mrlspk.data.audio.source import FileSource
from mrlspk.data.build import build_sampler
from mrlspk.data.crops.dataset import CropDataset
from mrlspk.data.crops.sampler import ShuffleSampler, SpeakerBalancedSampler
from mrlspk.data.crops.weights import WeightedPasses, class_weights
from mrlspk.data.manifest import Manifest, Utterance
from mrlspk.data.shards.order import ShardWindow

WEIGHTS = np.array([1.0, 2.0, 0.5, 0.25, 1.5])


def epoch_of(sampler, epoch):
    sampler.set_epoch(epoch)
    return list(sampler)


def test_each_item_is_drawn_as_often_as_its_weight_says():
    sampler = ShuffleSampler(5, seed=3, weights=WEIGHTS)
    assert len(sampler) == 5  # 5.25
    keys = [key for epoch in range(84) for key in epoch_of(sampler, epoch)]
    assert Counter(key.index for key in keys) == {0: 80, 1: 160, 2: 40, 3: 20, 4: 120}
    assert len(set(keys)) == len(keys) == 420
    whole = ShuffleSampler(3, seed=3, weights=np.array([1.0, 2.0, 3.0]))
    assert all(Counter(key.index for key in epoch_of(whole, epoch)) == {0: 1, 1: 2, 2: 3} for epoch in range(5))


def test_passes_can_be_entered_at_any_draw():
    passes = WeightedPasses(5, WEIGHTS, seed=1)
    order = [(number, place) for number in range(40) for place in range(len(passes.uses(number)[0]))]
    found = list(map(passes.find, range(len(order))))
    assert [(number, place - passes.start(number)) for place, number in enumerate(found)] == order
    seen = Counter()
    for number in range(9):
        assert passes.uses_before(number).tolist() == [seen[item] for item in range(5)]
        items, uses = passes.uses(number)
        for item in set(items.tolist()):
            assert sorted(uses[items == item].tolist()) == [seen[item] + n for n in range((items == item).sum())]
        seen.update(items.tolist())


@pytest.mark.parametrize("weights", [WEIGHTS, [0.5], [0.3] * 7 + [1.0], None])
def test_passes_set_aside_are_enough_wherever_they_begin(weights):
    passes = WeightedPasses(len(WEIGHTS if weights is None else weights), weights, seed=1)
    for n_uses in (1, 3, 20):
        n = passes.n_passes_for(n_uses)
        assert min(passes.start(first + n) - passes.start(first) for first in range(50)) >= n_uses
        assert passes.start(n - 1) < n_uses


def test_weighted_windows_keep_shards_together():
    shards = np.repeat(np.arange(4), 3)
    weights = np.where(shards == 2, 2.0, 1.0)
    keys = epoch_of(ShuffleSampler(12, seed=0, window=ShardWindow(shards, 1), weights=weights), 0)
    visited = [shards[key.index] for key in keys]
    assert Counter(visited) == {0: 3, 1: 3, 2: 6, 3: 3}
    assert sum(one != other for one, other in zip(visited, visited[1:], strict=False)) == 3


def test_balanced_draws_speakers_by_their_weight():
    classes = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2])
    weights = class_weights(np.array([1.0, 1, 1, 3, 3, 0.5, 0.5, 0.5, 0.5]), classes)
    assert weights.tolist() == [1, 3, 0.5]
    sampler = SpeakerBalancedSampler(classes, utterances_per_speaker=2, seed=0, n_crops=90, weights=weights)
    keys = epoch_of(sampler, 2)
    counts = Counter(classes[key.index] for key in keys)
    assert {class_: round(counts[class_] / 20, 1) for class_ in (0, 1, 2)} == {0: 1, 1: 3, 2: 0.5}
    assert len(set(keys)) == 90
    assert all(classes[one.index] == classes[other.index] for one, other in zip(keys[::2], keys[1::2], strict=True))
    assert Counter(key.index for key in keys)[3] == Counter(key.index for key in keys)[4]  # all utterances alike


@pytest.mark.parametrize(("weight", "expected"), [(1.0, {0: 1, 1: 1, 2: 1}), (2.0, {0: 1, 1: 2, 2: 2})])
def test_weights_of_utterances_reach_the_order_of_crops(tmp_path, weight, expected):
    utterances = [Utterance(f"{name}.wav", name, name, FileSource(str(tmp_path / name))) for name in "abc"]
    heavy = [utterances[0], *(replace(each, weight=weight) for each in utterances[1:])]
    crops = CropDataset(Manifest(tmp_path, heavy), crop_seconds=1, seed=0, speeds=(1.0, 0.9))
    assert (crops.weights_of(1) is None) == (weight == 1)
    config = DataConfig(train_dataset=tmp_path, sampler="shuffle")
    sampler = build_sampler(crops.classes_of(1), config, seed=0, weights=crops.weights_of(1))
    counts = Counter(key.index % 3 for key in epoch_of(sampler, 1))
    assert counts == {index: 2 * count for index, count in expected.items()}  # of two speeds
