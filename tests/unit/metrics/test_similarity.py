import numpy as np
import pytest
import torch
from scipy.spatial.distance import cdist

from mrlspk.errors import MetricError
from mrlspk.metrics.similarity import cosine, cosine_matrix


def test_cosines_of_known_angles():
    assert cosine([3.0, 0.0], [0.0, 2.0]) == 0.0
    assert cosine([1.0, 1.0], [1.0, 0.0]) == pytest.approx(0.5**0.5, abs=1e-15)
    assert cosine([1, 2], [-2, -4]) == pytest.approx(-1, abs=1e-15)


def test_prefix_is_cut_before_it_is_normalised():
    # At full width 12 / 13 * 5 / 13; the first two values point the same way.
    a, b = np.array([3.0, 4.0, 12.0]), np.array([3.0, 4.0, 0.0])
    assert cosine(a, b) == pytest.approx(5 / 13, abs=1e-15)
    assert cosine(a, b, dim=2) == pytest.approx(1, abs=1e-15)
    assert cosine(a, b[:2], dim=2) == pytest.approx(1, abs=1e-15)


@pytest.mark.parametrize("dim", [None, 5])
def test_matrix_has_the_cosine_of_every_pair_of_rows(dim):
    generator = np.random.default_rng(0)
    a, b = (30 * generator.normal(size=(n, 16)).astype(np.float32) for n in (4, 7))
    found = cosine_matrix(a, b, dim=dim)
    assert (found.shape, found.dtype) == ((4, 7), np.float64)
    np.testing.assert_allclose(found, 1 - cdist(a[:, :dim], b[:, :dim], "cosine"), atol=1e-12)
    assert cosine(a[2], b[5], dim=dim) == pytest.approx(found[2, 5], abs=1e-12)


def test_cosines_stay_within_one():
    rows = np.random.default_rng(0).normal(size=(300, 3)).astype(np.float32)
    assert cosine_matrix(rows, rows).max() <= 1
    assert cosine_matrix(rows, -rows).min() >= -1


def test_tensors_and_halves_are_embeddings():
    assert cosine(torch.tensor([1.0, 2.0]), np.array([1, 2], np.float16)) == pytest.approx(1)


@pytest.mark.parametrize(
    ("a", "b", "dim", "message"),
    [
        ([1.0, 2.0], [1.0, 2.0, 3.0], None, "2 and 3 values"),
        ([1.0, 2.0], [1.0, 2.0, 3.0], 3, "no width 3"),
        ([1.0, 2.0], [1.0, 2.0], 0, "no width 0"),
        ([1.0, 0.0], [0.0, 1.0], 1, "b: embedding 0 is zero"),
        ([1.0, np.nan], [0.0, 1.0], None, "a: embedding 0 is zero or not finite"),
        ([[1.0, 2.0]], [1.0, 2.0], None, r"a: expected an embedding \(width,\), got float64 of shape \(1, 2\)"),
        ([], [], None, "a: expected an embedding"),
        (["x"], [1.0], None, "a: expected an embedding"),
        ([[1.0], [1.0, 2.0]], [1.0], None, "rows of different widths"),
    ],
)
def test_what_cannot_be_compared_is_a_metric_error(a, b, dim, message):
    with pytest.raises(MetricError, match=message):
        cosine(a, b, dim=dim)


def test_matrix_of_no_rows_is_empty():
    assert cosine_matrix(np.empty((0, 4)), np.ones((2, 4))).shape == (0, 2)
