import numpy as np
import pytest

from mrlspk.errors import MetricError
from mrlspk.metrics import cosine
from mrlspk.metrics.cosine import cosine_scores, prefix_cosine_scores


@pytest.fixture
def generator():
    return np.random.default_rng(0)


def sliced_cosine(left, right):
    return [float(np.dot(a, b) / np.linalg.norm(a) / np.linalg.norm(b)) for a, b in zip(left, right, strict=True)]


def test_cosine_of_known_angles():
    enroll = np.array([[1.0, 0.0], [2.0, 0.0], [1.0, 1.0]])
    test = np.array([[3.0, 0.0], [0.0, 5.0], [-1.0, -1.0]])
    np.testing.assert_allclose(cosine_scores(enroll, test), [1, 0, -1], atol=1e-12)


@pytest.mark.parametrize("dims", [(1,), (16,), (3, 8, 16), (64, 128, 192), (1, 192)])
def test_prefix_scores_equal_scores_of_sliced_vectors(generator, dims, monkeypatch):
    monkeypatch.setattr(cosine, "PAIRS_PER_CHUNK", 7)
    embeddings = generator.normal(size=(20, 192)).astype(np.float32) * 30
    enroll, test = generator.integers(20, size=(2, 50))
    scores = prefix_cosine_scores(embeddings, enroll, test, dims)
    for column, dim in enumerate(dims):
        expected = sliced_cosine(embeddings[enroll, :dim], embeddings[test, :dim])
        np.testing.assert_allclose(scores[:, column], expected, atol=1e-6)


def test_scores_stay_within_one(generator):
    embeddings = generator.normal(size=(100, 192)).astype(np.float32)
    scores = prefix_cosine_scores(embeddings, np.arange(100), np.arange(100), (64, 192))
    assert scores.max() <= 1.0
    np.testing.assert_allclose(scores, 1.0)


@pytest.mark.parametrize("dims", [(), (0, 4), (4, 2), (4, 4), (4, 9)])
def test_widths_that_do_not_fit_are_refused(generator, dims):
    with pytest.raises(MetricError, match="rising widths from 1 to 8"):
        prefix_cosine_scores(generator.normal(size=(3, 8)), np.array([0]), np.array([1]), dims)


@pytest.mark.parametrize("value", [0.0, np.nan, np.inf])
def test_a_prefix_without_direction_is_refused(generator, value):
    embeddings = generator.normal(size=(3, 8))
    embeddings[1, :4] = value
    with pytest.raises(MetricError, match="row 1"):
        prefix_cosine_scores(embeddings, np.array([0]), np.array([2]), (4, 8))


def test_arrays_that_do_not_pair_are_refused():
    with pytest.raises(MetricError, match="two arrays"):
        cosine_scores(np.ones((2, 3)), np.ones((3, 3)))
