import numpy as np
import pytest
from scipy.stats import norm

from mrlspk.errors import MetricError
from mrlspk.metrics import significance
from mrlspk.metrics.dcf import act_dcf, min_dcf_threshold_at
from mrlspk.metrics.det import operating_points
from mrlspk.metrics.eer import equal_error_rate
from mrlspk.metrics.significance import (
    bootstrap_speakers,
    holm,
    interval,
    mcnemar_p_value,
    p_value,
    rate_interval,
    standard_error,
)


def simulated(n_speakers, *, per_speaker, seed, shifts=(2.5, 2.5)):
    """Return scores with effects of the speakers on both kinds of trial, and what the trials are."""
    rng = np.random.default_rng(seed)
    enroll = np.tile(np.repeat(np.arange(n_speakers), per_speaker), 2)
    is_target = np.arange(enroll.size) < enroll.size // 2
    test = np.where(is_target, enroll, (enroll + rng.integers(1, n_speakers, size=enroll.size)) % n_speakers)
    columns = []
    for shift in shifts:
        of_target, of_nontarget = rng.normal(scale=0.5, size=(2, n_speakers))
        effect = np.where(is_target, of_target[enroll] + shift, of_nontarget[enroll] + of_nontarget[test])
        columns.append(effect + rng.normal(size=enroll.size))
    return np.stack(columns, axis=1), is_target, enroll, test


def test_a_resample_of_speakers_is_the_trials_repeated(monkeypatch):
    scores, is_target, enroll, test = simulated(6, per_speaker=4, seed=0)
    counts = np.array([[2, 0, 1, 3, 0, 0], [1, 1, 1, 1, 1, 1]])

    class Fixed:
        def multinomial(self, n, shares, size):
            assert (n, len(shares), size) == (6, 6, 2)
            return counts

        def standard_exponential(self, size):
            return np.ones(size)

    monkeypatch.setattr(significance.np.random, "default_rng", lambda _: Fixed())
    scores = np.round(scores, 1)
    draws = bootstrap_speakers(scores, is_target, enroll, test, p_targets=[0.1, 0.5], n_resamples=2)
    for row, m in enumerate(counts):
        repeats = np.where(is_target, m[enroll], m[enroll] * m[test])
        for column in range(2):
            repeated = np.repeat(scores[:, column], repeats), np.repeat(is_target, repeats)
            assert draws.eer[row, column, 0] == pytest.approx(equal_error_rate(*repeated))
            for index, p_target in enumerate((0.1, 0.5)):
                threshold = min_dcf_threshold_at(operating_points(scores[:, column], is_target), p_target=p_target)
                above = np.where(repeated[0] >= threshold, 1.0, -1.0)  # the Bayes threshold of such ratios lies between
                expected = act_dcf(1e3 * above, repeated[1], p_target=p_target)
                assert draws.min_dcf[row, column, index, 0] == pytest.approx(expected)
    for column in range(2):
        assert draws.eer[:, column, 1] == pytest.approx(equal_error_rate(scores[:, column], is_target))


def test_resamples_repeat_with_the_seed():
    trials = simulated(10, per_speaker=5, seed=1)
    first, again, other = (bootstrap_speakers(*trials, p_targets=[0.05], n_resamples=20, seed=s) for s in (0, 0, 1))
    assert np.array_equal(first.eer, again.eer)
    assert np.array_equal(first.min_dcf, again.min_dcf)
    assert not np.array_equal(first.eer, other.eer)


def test_columns_share_their_resamples():
    scores, *rest = simulated(10, per_speaker=5, seed=1)
    both = bootstrap_speakers(scores, *rest, p_targets=[0.05], n_resamples=20)
    alone = bootstrap_speakers(scores[:, 1:], *rest, p_targets=[0.05], n_resamples=20)
    assert np.array_equal(both.eer[:, 1], alone.eer[:, 0])


def test_every_resample_holds_both_kinds_of_trial():
    scores = np.array([[1.0], [0.0], [0.5]])
    draws = bootstrap_speakers(
        scores,
        np.array([True, False, False]),
        np.array([0, 1, 2]),
        np.array([0, 2, 1]),
        p_targets=[0.5],
        n_resamples=200,
    )
    assert np.isfinite(draws.eer).all()


def test_a_non_target_trial_within_one_speaker_counts_with_that_speaker():
    arrays = np.array([[1.0], [0.5], [0.0]]), np.array([True, False, False]), np.array([0, 0, 0]), np.array([0, 0, 1])
    resampler = significance._Resampler(*arrays[1:])
    target, nontarget = resampler.by_speaker(np.random.default_rng(0), 50)
    assert np.array_equal(target[:, 0], nontarget[:, 0])


def test_one_speaker_cannot_be_resampled():
    with pytest.raises(MetricError, match="two speakers"):
        bootstrap_speakers(np.ones((2, 1)), np.array([True, False]), np.zeros(2, int), np.zeros(2, int), p_targets=[])


def test_standard_error_takes_the_variance_of_pairs_off():
    speakers, pairs = np.array([-2.0, 2.0]), np.array([-1.0, 1.0])
    assert standard_error(np.stack([speakers, pairs], axis=1)) == pytest.approx(np.sqrt(4 - 1.5))


def test_standard_error_stays_above_zero_where_pairs_say_more():
    assert standard_error(np.array([[-1.0, -3.0], [1.0, 3.0]])) == pytest.approx(np.sqrt(1 / 3))


def test_interval_excludes_zero_exactly_where_the_p_value_is_small():
    draws = np.array([[-0.01, 0.0], [0.01, 0.0]])
    for estimate in np.linspace(-0.03, 0.03, 61):
        low, high = interval(draws, estimate)
        assert (low > 0 or high < 0) == (p_value(draws, estimate) < 0.05)


def test_p_value_is_that_of_a_normal_variate():
    draws = np.array([[-1.0, 0.0], [1.0, 0.0]])
    assert p_value(draws, -1.96) == pytest.approx(2 * norm.cdf(-1.96))


def test_equal_models_do_not_differ():
    assert p_value(np.zeros((10, 2)), 0.0) == 1.0
    assert interval(np.zeros((10, 2)), 0.0) == (0.0, 0.0)


def test_interval_of_a_rate_holds_it_within_zero_and_one():
    draws = np.array([[-0.2, 0.0], [0.2, 0.0]])
    low, high = rate_interval(draws, 0.05, n_speakers=40)
    assert 0 < low < 0.05 < high < 1
    assert high / (1 - high) / (0.05 / 0.95) == pytest.approx(0.05 / 0.95 / (low / (1 - low)))


def test_without_an_error_the_interval_reaches_what_chance_allows():
    low, high = rate_interval(np.zeros((10, 2)), 0.0, n_speakers=40)
    assert low == 0.0
    assert (1 - high) ** 40 == pytest.approx(0.025)
    assert rate_interval(np.zeros((10, 2)), 1.0, n_speakers=40) == pytest.approx((1 - high, 1.0))
    assert rate_interval(np.zeros((10, 2)), 0.0, n_speakers=40, weight=3.0) == pytest.approx((0.0, 3 * high))
    assert rate_interval(np.zeros((10, 2)), 0.0, n_speakers=40, weight=100.0) == (0.0, 1.0)


def test_intervals_contain_the_population_rate_as_often_as_claimed():
    population = norm.sf(2.5 / (np.sqrt(1.25) + np.sqrt(1.5)))  # target N(2.5, 1.25), non-target N(0, 1.5)
    held = 0
    for seed in range(60):
        scores, *rest = simulated(40, per_speaker=20, seed=seed, shifts=(2.5,))
        draws = bootstrap_speakers(scores, *rest, p_targets=[], n_resamples=200, seed=seed)
        low, high = rate_interval(draws.eer[:, 0], equal_error_rate(scores[:, 0], rest[0]), n_speakers=40)
        held += low <= population <= high
    assert 53 <= held <= 60


def test_equal_models_rarely_differ_and_a_halved_error_is_significant():
    p_values = {2.5: [], 4.0: []}
    for shift, found in p_values.items():
        for seed in range(60):
            scores, *rest = simulated(40, per_speaker=20, seed=seed, shifts=(2.5, shift))
            draws = bootstrap_speakers(scores, *rest, p_targets=[], n_resamples=200, seed=seed)
            eers = [equal_error_rate(column, rest[0]) for column in scores.T]
            found.append(p_value(draws.eer[:, 1] - draws.eer[:, 0], eers[1] - eers[0]))
    assert sum(p <= 0.05 for p in p_values[2.5]) <= 7
    assert np.median(p_values[4.0]) < 0.01


@pytest.mark.parametrize(
    ("only_a_wrong", "only_b_wrong", "expected"),
    [
        (0, 0, 1.0),
        (1, 0, 1.0),
        (5, 0, 2 / 32),
        (0, 5, 2 / 32),
        (4, 1, 2 * (1 + 5) / 32),
        (3, 3, 1.0),
    ],
)
def test_mcnemar_p_value_matches_hand_count(only_a_wrong, only_b_wrong, expected):
    assert mcnemar_p_value(only_a_wrong, only_b_wrong) == pytest.approx(expected)


def test_negative_counts_are_refused():
    with pytest.raises(MetricError, match="counts"):
        mcnemar_p_value(-1, 2)


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        ([], []),
        ([0.2], [0.2]),
        ([0.01, 0.04, 0.03], [0.03, 0.06, 0.06]),  # 3 x 0.01, 2 x 0.03, and 0.04 no less than that
        ([0.5, 0.6], [1.0, 1.0]),
        ([0.0, 1.0], [0.0, 1.0]),
    ],
)
def test_adjusted_values_match_hand_count(p_values, expected):
    assert holm(p_values) == pytest.approx(expected)


def test_values_outside_zero_to_one_are_no_p_values():
    with pytest.raises(MetricError, match="p-values"):
        holm([0.5, float("nan")])
