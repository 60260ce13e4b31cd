import numpy as np
import pytest

from mrlspk.data.trials import Trials
from mrlspk.errors import DataError
from mrlspk.evaluation.scoring import score_trials, trial_scores
from mrlspk.metrics.dcf import min_dcf
from mrlspk.metrics.eer import eer_threshold, equal_error_rate


@pytest.fixture
def trials():
    rows = [("a/1", "a/2", True), ("b/1", "b/2", True), ("a/1", "b/1", False), ("b/2", "a/2", False)]
    enroll_ids, test_ids, is_target = zip(*rows, strict=True)
    return Trials(enroll_ids, test_ids, np.array(is_target), "list", "0" * 64)


@pytest.fixture
def embeddings(trials):
    generator = np.random.default_rng(0)
    return {name: generator.normal(size=6).astype(np.float32) for name in reversed(trials.utterance_ids)}


def test_scores_follow_the_order_of_trials_whatever_the_order_of_embeddings(trials, embeddings):
    scores = trial_scores(embeddings, trials, (2, 6))
    for row, (enroll, test) in enumerate(zip(trials.enroll_ids, trials.test_ids, strict=True)):
        for column, dim in enumerate((2, 6)):
            a, b = embeddings[enroll][:dim], embeddings[test][:dim]
            assert scores[row, column] == pytest.approx(a @ b / np.linalg.norm(a) / np.linalg.norm(b), abs=1e-6)


def test_each_width_has_the_figures_of_its_scores(trials, embeddings):
    results = score_trials(embeddings, trials, (2, 6), (0.05, 0.5))
    scores = trial_scores(embeddings, trials, (2, 6))
    for result, column in zip(results, scores.T, strict=True):
        assert result.eer == equal_error_rate(column, trials.is_target)
        assert result.threshold == eer_threshold(column, trials.is_target)
        assert [each.p_target for each in result.dcf] == [0.05, 0.5]
        assert [each.min_dcf for each in result.dcf] == [
            min_dcf(column, trials.is_target, p_target=p_target) for p_target in (0.05, 0.5)
        ]
    assert [result.dim for result in results] == [2, 6]


def test_an_embedding_that_is_not_finite_is_named(trials, embeddings):
    embeddings["b/1"][3] = np.nan
    with pytest.raises(DataError, match="not finite") as caught:
        score_trials(embeddings, trials, (2,), (0.05,))
    assert caught.value.where == "b/1"
