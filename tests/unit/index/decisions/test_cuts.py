import numpy as np
import pytest

from index_voices import draw_voices, enrol
from mrlspk.index.decisions.cuts import cut_queries

SECONDS = np.array([1.0, 3.0, 5.0, 9.0, 2.0, 4.1])


def three_voices():
    rng = np.random.default_rng(0)
    return enrol(draw_voices(3, rng), rng, n_each=2, seconds=SECONDS)


def test_recordings_with_more_speech_are_cut():
    asked = []

    def embed(rows, seconds):
        asked.append((list(rows), seconds))
        return 2 * np.eye(16, dtype=np.float32)[rows]

    found = cut_queries(three_voices(), embed, seconds=(2.0, 4.0, 8.0))
    assert asked == [([1, 2, 3, 5], 2.0), ([2, 3, 5], 4.0), ([3], 8.0)]
    assert found[1].recording.tolist() == [2, 3, 5]
    assert found[1].voice_index.tolist() == [1, 1, 2]
    assert found[1].speech_seconds.tolist() == [4.0] * 3
    assert np.array_equal(found[1].vectors, np.eye(16)[[2, 3, 5]])  # of unit length


def test_recordings_that_cannot_be_cut_are_left_out():
    def embed(rows, _):
        vectors = np.eye(16, dtype=np.float32)[rows]
        vectors[0] = np.nan
        return vectors

    found = cut_queries(three_voices(), embed, seconds=(2.0, 8.0))
    assert [each.recording.tolist() for each in found] == [[2, 3, 5]]


@pytest.mark.parametrize("limit", [1, 2])
def test_no_more_recordings_are_cut_than_asked_for(limit):
    found = cut_queries(
        three_voices(), lambda rows, _: np.eye(16, dtype=np.float32)[rows], seconds=(2.0,), max_recordings=limit
    )
    assert len(found[0]) == limit
