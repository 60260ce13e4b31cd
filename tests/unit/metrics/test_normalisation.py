import numpy as np
import pytest

from mrlspk.errors import MetricError
from mrlspk.metrics import normalisation
from mrlspk.metrics.normalisation import CohortStatistics, cohort_statistics, normalise_scores

DIMS = (2, 8)


@pytest.fixture
def vectors():
    rng = np.random.default_rng(0)
    return rng.normal(size=(7, 8)), rng.normal(size=(30, 8)) * 20


def cosines(left, right):
    return left @ right.T / np.linalg.norm(left, axis=1)[:, None] / np.linalg.norm(right, axis=1)


@pytest.mark.parametrize("top_n", [None, 30, 5])
def test_statistics_are_those_of_the_highest_cosines(vectors, top_n, monkeypatch):
    monkeypatch.setattr(normalisation, "SCORES_PER_CHUNK", 90)
    embeddings, cohort = vectors
    found = cohort_statistics(embeddings, cohort, DIMS, top_n=top_n)
    for column, dim in enumerate(DIMS):
        highest = np.sort(cosines(embeddings[:, :dim], cohort[:, :dim]), axis=1)[:, -(top_n or 30) :]
        np.testing.assert_allclose(found.mean[:, column], highest.mean(axis=1), atol=1e-6)
        np.testing.assert_allclose(found.deviation[:, column], highest.std(axis=1), atol=1e-6)


def test_normalised_score_matches_hand_count():
    statistics = CohortStatistics(mean=np.array([[0.1], [0.3]]), deviation=np.array([[0.1], [0.2]]))
    normalised = normalise_scores(np.array([[0.5]]), np.array([0]), np.array([1]), statistics)
    assert normalised == pytest.approx(np.array([[2.5]]))  # (0.4 / 0.1 + 0.2 / 0.2) / 2


@pytest.mark.parametrize("top_n", [0, 1, 31])
def test_a_cohort_that_is_too_small_is_refused(vectors, top_n):
    with pytest.raises(MetricError, match="2 to 30 cohort scores"):
        cohort_statistics(*vectors, DIMS, top_n=top_n)


def test_a_cohort_of_one_direction_is_refused(vectors):
    with pytest.raises(MetricError, match="all equal"):
        cohort_statistics(vectors[0], np.ones((5, 8)), DIMS)


def test_a_cohort_without_direction_is_refused(vectors):
    with pytest.raises(MetricError, match="finite vectors"):
        cohort_statistics(vectors[0], np.zeros((5, 8)), DIMS)
