import numpy as np
import pytest

from mrlspk.rotation.flattening import flattening


def test_rows_are_scaled_by_their_energy_and_keep_the_norm_of_a_rotation():
    # Unit vectors along two axes, three to one: shares of 0.75 and 0.25, floors of half their mean of 0.5.
    embeddings = np.array([[0.0, 2.0], [0.0, 5.0], [0.0, -1.0], [3.0, 0.0]])
    expected = np.array([[0.0, 1.0**-0.2], [0.5**-0.2, 0.0]])
    expected *= np.sqrt(2) / np.linalg.norm(expected)
    assert flattening(embeddings, power=0.2) == pytest.approx(expected)


def test_a_power_of_zero_leaves_a_rotation():
    matrix = flattening(np.random.default_rng(0).normal(size=(30, 5)) * [5, 4, 3, 2, 1], power=0.0)
    assert matrix @ matrix.T == pytest.approx(np.eye(5), abs=1e-12)


def test_energies_come_nearer_to_each_other():
    embeddings = np.random.default_rng(0).normal(size=(500, 6)) * [9, 5, 3, 2, 1, 1]
    unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    before, after = (((unit @ flattening(embeddings, power=power).T) ** 2).mean(0) for power in (0.0, 0.3))
    assert after[0] / after[-1] < before[0] / before[-1]
    assert list(after) == sorted(after, reverse=True)
