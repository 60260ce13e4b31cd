import numpy as np
import pytest

from mrlspk.inference.speaker_models.front_ends import KaldiFbank, NemoMel
from mrlspk.inference.speaker_models.separation import measure_separation, other_front_ends


def test_separation_of_four_vectors_equals_a_hand_count():
    vectors = np.array([[1, 0], [0.6, 0.8], [0, 1], [0, -1]])
    found = measure_separation(vectors, ["a", "a", "b", "b"])
    # same: a-a 0.6, b-b -1; different: 0, 0, 0.8, -0.8
    assert (found.same, found.different) == (pytest.approx(-0.2), pytest.approx(0))
    assert found.distance == pytest.approx(-0.2 / np.sqrt((0.8**2 + 0.32) / 2))
    assert not found.separated


def test_pairs_that_stand_out_are_separated():
    vectors = np.array([[1, 0], [0.9, 0.1], [0, 1], [0.1, 0.9]])
    found = measure_separation(vectors, ["a", "a", "b", "b"])
    assert found.separated


def test_other_filter_banks_differ_in_one_value():
    others = dict(other_front_ends(KaldiFbank(window="hamming", mean="none")))
    assert others == {
        "window: povey": KaldiFbank(window="povey", mean="none"),
        "mean: utterance": KaldiFbank(window="hamming", mean="utterance"),
        "sample_scale: 32768": KaldiFbank(window="hamming", mean="none", sample_scale=32768),
    }
    assert not list(other_front_ends(NemoMel()))
