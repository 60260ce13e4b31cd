import numpy as np
import pytest

from mrlspk.data.trials import Trials
from mrlspk.errors import DataError
from mrlspk.evaluation.trial_cosines import enrolment_side, score_sides
from mrlspk.evaluation.trial_cosines import test_side as side_of_tests


def unit(vector):
    return vector / np.linalg.norm(vector)


def score(vectors, trials, dims):
    return score_sides(enrolment_side(vectors, trials), side_of_tests(vectors, trials), dims)


@pytest.fixture
def trials():
    rows = [("a/1", "a/2", True), ("b/1", "b/2", True), ("a/1", "b/1", False), ("b/2", "a/2", False)]
    enroll_ids, test_ids, is_target = zip(*rows, strict=True)
    return Trials(enroll_ids, test_ids, np.array(is_target), "list", "0" * 64)


@pytest.fixture
def embeddings(trials):
    generator = np.random.default_rng(0)
    return {name: generator.normal(size=6).astype(np.float32) for name in reversed(trials.utterance_ids)}


def test_scores_follow_the_order_of_trials_not_of_embeddings(trials, embeddings):
    scores = score(embeddings, trials, (2, 6))
    for row, (enroll, test) in enumerate(zip(trials.enroll_ids, trials.test_ids, strict=True)):
        for column, dim in enumerate((2, 6)):
            expected = unit(embeddings[enroll][:dim]) @ unit(embeddings[test][:dim])
            assert scores[row, column] == pytest.approx(expected, abs=1e-6)


def test_enrolment_of_several_utterances_is_the_mean_of_unit_vectors(embeddings):
    members = {"one": ("a/1",), "two": ("a/1", "b/1"), "three": ("a/2", "b/1", "b/2")}
    trials = Trials(
        ("two", "three", "one", "two"),
        ("a/2", "a/1", "b/2", "b/2"),
        np.array([True, False, True, False]),
        "list",
        "0" * 64,
        enrolments=members,
    )
    scores = score(embeddings, trials, (2, 6))
    for row, (model, test) in enumerate(zip(trials.enroll_ids, trials.test_ids, strict=True)):
        for column, dim in enumerate((2, 6)):
            voice = np.mean([unit(embeddings[each][:dim]) for each in members[model]], axis=0)
            assert scores[row, column] == pytest.approx(unit(voice) @ unit(embeddings[test][:dim]), abs=1e-6)


def test_an_embedding_that_is_not_finite_is_named(trials, embeddings):
    embeddings["b/1"][3] = np.nan
    with pytest.raises(DataError, match="not finite") as caught:
        score(embeddings, trials, (2,))
    assert caught.value.where == "b/1"
