from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from mrlspk.data.audio.source import FileSource
from mrlspk.data.trials import Trials
from mrlspk.errors import DataError, MetricError
from mrlspk.evaluation import embedder as embedder_module
from mrlspk.evaluation.calibration_fit import fit_widths, measurable, score_for_fit
from mrlspk.evaluation.embedder import Embedder
from mrlspk.evaluation.trial_list import TrialList
from mrlspk.inference.embedding import EmbeddedRecordings
from mrlspk.inference.recording import EmbeddedRecording
from mrlspk.metrics.cllr import cllr, min_cllr
from mrlspk.metrics.dcf import act_dcf, min_dcf


def gaussian_scores(n=20_000, *, seed=0):
    """Scores of equal deviation 0.1 around 0.5 and 0.1, so that the ratio is 40 * score - 12 exactly."""
    generator = np.random.default_rng(seed)
    is_target = np.arange(n) < n // 4
    return generator.normal(np.where(is_target, 0.5, 0.1), 0.1), is_target


def fit(scores, is_target, **changed):
    settings = {"fit_p_target": 0.5, "p_targets": (0.01,), "false_accept_rates": (0.01,)} | changed
    return fit_widths((8,), scores[:, None], is_target, **settings)[0]


def test_line_of_gaussian_scores_is_the_one_that_bayes_rule_gives():
    width = fit(*gaussian_scores(200_000))
    assert width.scale == pytest.approx(40, rel=0.03)
    assert width.offset == pytest.approx(-12, rel=0.03)


@pytest.mark.parametrize("p_target", [0.5, 0.1])
def test_line_equals_scikit_learn_with_prior_weights(p_target):
    scores, is_target = gaussian_scores(2_000)
    weights = np.where(is_target, p_target / is_target.sum(), (1 - p_target) / (~is_target).sum())
    model = LogisticRegression(C=1e9, tol=1e-10, max_iter=1000).fit(scores[:, None] * 10, is_target, weights * 1e4)
    width = fit(scores, is_target, fit_p_target=p_target)
    assert width.scale == pytest.approx(10 * model.coef_[0, 0], rel=5e-3)
    posterior_at_0 = model.intercept_[0]  # of log odds: the ratio's offset with the prior's log odds added
    assert width.offset == pytest.approx(posterior_at_0 - np.log(p_target / (1 - p_target)), rel=5e-3)


def test_ratios_are_calibrated_on_trials_that_were_not_fitted():
    width = fit(*gaussian_scores())
    scores, is_target = gaussian_scores(seed=1)
    llrs = width.scale * scores + width.offset
    assert cllr(llrs, is_target) == pytest.approx(min_cllr(scores, is_target), abs=0.01)
    for p_target in (0.01, 0.1, 0.5):
        least = min_dcf(scores, is_target, p_target=p_target)
        assert act_dcf(llrs, is_target, p_target=p_target) == pytest.approx(least, abs=0.04)


def test_prior_thresholds_are_minus_the_logit_as_ratio_and_as_score():
    width = fit(*gaussian_scores(), p_targets=(0.5, 0.01))
    assert [each.p_target for each in width.priors] == [0.5, 0.01]
    assert [each.llr for each in width.priors] == pytest.approx([0.0, np.log(99)])
    assert [width.scale * each.score + width.offset for each in width.priors] == pytest.approx([0.0, np.log(99)])


def test_false_accepts_are_counted_on_the_scores():
    is_target = np.arange(14) < 4
    scores = np.array([0.75, 0.95, 1.0, 1.1, *np.arange(10) / 10])  # 0.9 and 0.8 are the highest of non-target trials
    (tenth,) = fit(scores, is_target, false_accept_rates=(0.1,)).false_accepts
    assert (tenth.p_fa, tenth.p_miss) == (0.1, 0.25)
    assert 0.8 < tenth.score <= 0.9
    (none,) = fit(scores, is_target, false_accept_rates=(0.05,)).false_accepts
    assert (none.p_fa, none.p_miss) == (0.0, 0.25)
    assert 0.9 < none.score <= 0.95


def test_duration_enters_the_ratio_in_its_logarithm():
    generator = np.random.default_rng(0)
    is_target = np.arange(40_000) < 20_000
    seconds = np.exp(generator.uniform(0, np.log(8), is_target.size))
    scores = generator.normal(np.where(is_target, 0.5, 0.1) + 0.05 * np.log(seconds), 0.1)
    width = fit(scores, is_target, shorter_seconds=seconds)
    assert width.duration_weight == pytest.approx(
        -40 * 0.05, rel=0.1
    )  # what lengths add to any score counts for nothing
    assert width.priors[0].score is None
    assert width.false_accepts[0].score is None
    ratios = width.scale * scores + width.offset + width.duration_weight * np.log(seconds)
    assert np.mean(ratios[~is_target] >= width.false_accepts[0].llr) == width.false_accepts[0].p_fa


def test_scores_that_are_the_wrong_way_round_are_refused():
    scores, is_target = gaussian_scores(200)
    with pytest.raises(MetricError, match="at width 8 the scores of target trials are no higher"):
        fit(-scores, is_target)


def test_nearly_equal_scores_are_rejected():
    scores, is_target = gaussian_scores(200)
    with pytest.raises(MetricError, match="at width 8 the scores of target trials are nearly all equal"):
        fit(1e-12 * scores, is_target)


def test_false_accept_rate_without_a_threshold_is_rejected():
    with pytest.raises(MetricError, match="no threshold has a false-accept rate of at most 0.01"):
        fit(np.array([0.1, 0.9, 0.9]), np.array([False, True, False]), false_accept_rates=(0.01,))


def test_measurable_rates_make_up_a_trial_at_least():
    assert measurable((0.1, 0.01, 0.001), 100) == (0.1, 0.01)
    assert measurable((0.1,), 9) == ()


SECONDS = {"a1": 1.0, "a2": 2.0, "b1": 4.0, "b2": 8.0}


@pytest.fixture
def embedder(monkeypatch):
    """Embed nothing: of a recording, the vector says which it is and how long it was cut."""

    def embed_recordings(_backend, recordings, **_settings):
        found = EmbeddedRecordings({}, {})
        for recording in recordings:
            number, length = list(SECONDS).index(recording.source.path.stem), SECONDS[recording.source.path.stem]
            cut = recording.crop_seconds or length
            if cut <= length:
                vector = np.array([1.0, number, cut], dtype=np.float32)
                found.embeddings[recording] = EmbeddedRecording(vector, cut)
        return found

    monkeypatch.setattr(embedder_module, "embed_recordings", embed_recordings)
    return Embedder(None, 1, 60.0)


def trial_list(rows, enrolments=None):
    enroll_ids, test_ids, is_target = zip(*rows, strict=True)
    trials = Trials(enroll_ids, test_ids, np.array(is_target), "list", "0" * 64, enrolments or {})
    audio = {name: FileSource(Path("root", f"{name}.wav")) for name in SECONDS}
    return TrialList(trials, Path("root"), "--trials", audio)


ROWS = [("a1", "a2", True), ("a1", "b2", False), ("b1", "b2", True), ("b1", "a1", False)]


def test_shorter_side_is_the_cropped_test_or_the_whole_enrolment(embedder):
    fitting = score_for_fit(embedder, [trial_list(ROWS)], (3,), crops=(1.0, None))
    assert fitting.shorter_seconds.tolist() == [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 4.0, 1.0]
    assert fitting.is_target.tolist() == [True, False, True, False] * 2
    assert fitting.n_left_out == 0


def test_test_sides_are_cropped_and_shorter_trials_left_out(embedder):
    rows = [*ROWS, ("a2", "b1", False)]
    fitting = score_for_fit(embedder, [trial_list(rows)], (3,), crops=(2.0,))
    assert fitting.n_left_out == 3  # those with a1, of one second, on either side
    expected = []
    for enroll, test, _ in rows:
        whole = np.array([1.0, list(SECONDS).index(enroll), SECONDS[enroll]])
        cut = np.array([1.0, list(SECONDS).index(test), 2.0])
        expected.append(whole @ cut / np.linalg.norm(whole) / np.linalg.norm(cut))
    assert fitting.scores[:, 0] == pytest.approx([expected[row] for row in (2, 4)], abs=1e-6)
    assert fitting.shorter_seconds.tolist() == [2.0, 2.0]


def test_utterances_of_an_enrolment_count_together(embedder):
    rows = [("both", "b2", True), ("both", "b1", False)]
    fitting = score_for_fit(embedder, [trial_list(rows, {"both": ("a1", "a2")})], (3,))
    assert fitting.shorter_seconds.tolist() == [3.0, 3.0]


def test_lists_follow_each_other(embedder):
    both = score_for_fit(embedder, [trial_list(ROWS), trial_list(ROWS[:2])], (1, 3))
    first = score_for_fit(embedder, [trial_list(ROWS)], (1, 3))
    assert both.scores.tolist() == [*first.scores.tolist(), *first.scores[:2].tolist()]


def test_crop_that_leaves_one_kind_of_trial_is_rejected(embedder):
    with pytest.raises(DataError, match="1 target and 0 non-target trials have both sides of 2 s or more") as caught:
        score_for_fit(embedder, [trial_list(ROWS[2:])], (3,), crops=(1.0, 2.0))
    assert caught.value.fix == "Leave this duration out of `durations`."
