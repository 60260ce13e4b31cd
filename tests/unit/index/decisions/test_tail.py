from itertools import combinations

import numpy as np
import pytest
from pydantic import ValidationError

from mrlspk.index.decisions.tail import Tail, TailPoint, fit_tails, rate_of_all, rate_per_voice

NAN = float("nan")


def distinct_pairs(shape):
    return np.arange(shape[0] * shape[1]).reshape(shape)


def rate_among(llrs, threshold, n_voices):
    """Count by hand: the share of queries and of draws of voices of which one reaches the threshold."""
    accepted = [
        any(row[voice] >= threshold for voice in drawn)
        for row in llrs
        for drawn in combinations(np.flatnonzero(~np.isnan(row)), n_voices)
    ]
    return np.mean(accepted)


def test_rate_of_all_matches_hand_count():
    assert rate_of_all(0.01, 3) == pytest.approx(1 - 0.99**3)
    assert rate_of_all(1.0, 3) == 1.0
    assert rate_per_voice(1 - 0.99**3, 3) == pytest.approx(0.01)
    assert rate_per_voice(1.0, 3) == 1.0


def test_rate_of_all_keeps_its_digits_for_a_million_voices():
    assert rate_of_all(1e-12, 10**6) == pytest.approx(1e-6, rel=1e-5)
    assert rate_per_voice(0.01, 10**6) == pytest.approx(0.01 / 10**6, rel=0.01)


@pytest.mark.parametrize("n_voices", [1, 10, 12])
def test_rates_equal_a_count_over_all_draws_of_voices(n_voices):
    llrs = np.random.default_rng(0).normal(size=(6, 13))
    llrs[np.arange(6), np.arange(6)] = NAN
    tail = {each.n_voices: each for each in fit_tails(llrs, distinct_pairs(llrs.shape))}[n_voices]
    for point in tail.points[-5:]:
        assert rate_of_all(point.rate, n_voices) == pytest.approx(rate_among(llrs, point.llr, n_voices))


def test_threshold_is_the_inverse_of_the_rate():
    llrs = np.random.default_rng(1).normal(size=(50, 40))
    for tail in fit_tails(llrs, distinct_pairs(llrs.shape)):
        for rate in (0.5, 0.01, tail.lowest_measured, 1e-9):
            assert tail.rate(tail.threshold(rate)) == pytest.approx(rate)


def test_rate_beyond_the_data_follows_an_exponential_tail():
    llrs = np.random.default_rng(2).exponential(0.5, size=(2000, 50))  # decays by 2 a nat: P(> t) = exp(-2 t)
    single = fit_tails(llrs, distinct_pairs(llrs.shape))[0]
    assert single.lowest_measured == pytest.approx(5 / llrs.size)
    assert single.threshold(1e-6) == pytest.approx(np.log(1e6) / 2, abs=0.6)


def test_lowest_measured_rate_needs_five_pairs_of_voices():
    llrs = np.zeros((20, 10)) + np.arange(10) / 100
    llrs[:5] += 5  # 50 trials far above the others, all of one pair
    pairs = distinct_pairs(llrs.shape)
    pairs[:5] = 0
    assert fit_tails(llrs, pairs)[0].points[-1].llr < 1
    assert fit_tails(llrs, distinct_pairs(llrs.shape))[0].points[-1].llr > 5


def test_pairs_are_looked_for_beyond_the_first_trials():
    llrs = np.zeros((60, 50)) + np.arange(50) / 100
    llrs[:40] += 5  # 2,000 trials of one pair
    pairs = distinct_pairs(llrs.shape)
    pairs[:40] = 0
    assert fit_tails(llrs, pairs)[0].points[-1].llr == pytest.approx(0.49)


def test_rate_of_many_voices_holds_where_errors_come_together():
    rng = np.random.default_rng(3)
    draw = lambda n: rng.normal(size=(n, 100)) + 2 * rng.normal(size=(n, 1))  # noqa: E731 - some resemble everyone
    tails = fit_tails(draw(2000), distinct_pairs((2000, 100)))
    fresh = draw(20_000).max(axis=1)
    assert np.mean(fresh >= tails[-1].threshold(rate_per_voice(0.1, 100))) == pytest.approx(0.1, abs=0.02)
    assert np.mean(fresh >= tails[0].threshold(rate_per_voice(0.1, 100))) < 0.04  # single comparisons: too strict


def test_points_that_do_not_fall_are_refused():
    points = (TailPoint(rate=0.1, llr=1.0), TailPoint(rate=0.2, llr=2.0))
    with pytest.raises(ValidationError, match="falling rate"):
        Tail(n_voices=1, n_queries=1, points=points, decay=1.0)
