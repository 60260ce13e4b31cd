import os
from dataclasses import replace

import numpy as np
import pytest

from mrlspk.data.audio.source import RangeSource, as_source
from mrlspk.data.manifest import Utterance
from mrlspk.data.shards.plan import plan_shards


@pytest.fixture
def utterances(tmp_path):
    sizes = np.random.default_rng(0).integers(1, 9_000, 40)
    sizes[7] = 50_000  # larger than a shard
    paths = [tmp_path / f"{number:02}.wav" for number in range(40)]
    for path, size in zip(paths, sizes, strict=True):
        path.write_bytes(bytes(int(size)))
    return [Utterance(path.name, f"s{n // 10}", f"s{n // 10}/a", as_source(path)) for n, path in enumerate(paths)]


def test_plan_places_every_utterance_once_in_shards_of_bounded_size(utterances):
    plan = plan_shards(utterances, shard_bytes=30_000, seed=0)
    assert sorted(plan.order.tolist()) == list(range(40))
    groups = [plan.members(number).tolist() for number in range(len(plan))]
    assert [each for group in groups for each in group] == plan.order.tolist()
    assert all(groups)
    for group, n_bytes in zip(groups, plan.n_bytes, strict=True):
        assert n_bytes <= 30_000 or group == [7]
    mixed = [len({utterances[place].speaker_id for place in group}) > 1 for group in groups if len(group) > 3]
    assert mixed
    assert all(mixed)


def test_plan_changes_with_all_that_the_shards_depend_on(utterances):
    def sha256(each=utterances, **changes):
        return plan_shards(each, **{"shard_bytes": 30_000, "seed": 0} | changes).sha256

    first = sha256()
    assert sha256() == first
    others = [
        sha256(seed=1),
        sha256(shard_bytes=40_000),
        sha256(utterances[1:]),
        sha256([replace(utterances[0], speaker_id="x"), *utterances[1:]]),
        sha256([replace(utterances[0], source=RangeSource(utterances[0].source, 0.0, 1.0)), *utterances[1:]]),
    ]
    path = utterances[0].source.path
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))  # as a change of the same size
    others.append(sha256())
    assert len({first, *others}) == 7


def test_missing_file_takes_the_room_of_its_description(utterances):
    before = plan_shards(utterances, shard_bytes=1 << 30, seed=0)
    size = utterances[3].source.size()
    utterances[3].source.path.unlink()
    after = plan_shards(utterances, shard_bytes=1 << 30, seed=0)
    assert before.n_bytes.sum() - after.n_bytes.sum() == -(-size // 512) * 512
    assert before.sha256 != after.sha256
