"""Noisy copies of profiles, and the recall measured with them."""

import numpy as np
import pytest

from mrlspk.index.funnel.arrays import FunnelArrays
from mrlspk.index.funnel.codes import encode, random_rotation
from mrlspk.index.funnel.probes import measure_recall, noisy_copies
from mrlspk.index.shortlist import ShortlistSpec


def arrays_of(candidates, *, slots=2000, removed=None):
    vectors = np.random.default_rng(0).standard_normal((slots, 64)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    spec, rotation = ShortlistSpec("bits", 64, candidates), random_rotation(64, 0)
    return FunnelArrays(vectors, encode(vectors, spec, rotation), spec, rotation, removed)


def test_noisy_copies_have_the_stated_cosine_with_a_live_profile():
    removed = np.arange(2000) % 2 == 0
    arrays = arrays_of(400, removed=removed)
    probes = noisy_copies(arrays, count=50, cosine=0.8)
    cosines = probes.queries @ arrays.profiles.T
    assert np.linalg.norm(probes.queries, axis=1) == pytest.approx(np.ones(50))
    assert cosines.max(axis=1) == pytest.approx(np.full(50, 0.8), abs=1e-5)
    assert len(set(cosines.argmax(axis=1))) == 50
    assert not removed[cosines.argmax(axis=1)].any()


def test_noisy_copies_are_no_more_than_voices():
    assert len(noisy_copies(arrays_of(4, slots=3), count=50).queries) == 3


def test_recall_grows_with_the_candidates():
    probes = noisy_copies(arrays_of(4), count=200, cosine=0.5)
    few, many = (measure_recall(arrays_of(count), probes) for count in (4, 900))
    assert 0.1 < few < 0.9 < many
    assert measure_recall(arrays_of(2000), probes) == 1


def test_recall_without_voices_is_unknown():
    arrays = arrays_of(4, slots=0)
    assert np.isnan(measure_recall(arrays, noisy_copies(arrays, count=5)))
