import numpy as np
import pytest
from scipy.special import expit, logit

from mrlspk.errors import DataError
from mrlspk.index.decisions.open_set import evaluate_open_set, open_set_points
from mrlspk.index.decisions.searches import Searches
from mrlspk.index.decisions.speaker_resamples import SpeakerResamples


def searches(best, is_right, is_enrolled, *, speakers=None, n_voices=50):
    """Return searches at width 8."""
    best = np.asarray(best, dtype=float)
    return Searches(
        speakers or [f"s{i}" for i in range(len(best))],
        np.asarray(is_enrolled, dtype=bool),
        np.full(len(best), 4.0),
        (8,),
        best[:, None],
        np.full((len(best), 1), -np.inf),
        np.asarray(is_right, dtype=bool)[:, None],
        n_voices,
    )


# Four queries of enrolled speakers, one of them won by another voice, and five of others.
BEST = [0.9, 0.7, 0.5, 0.8, 0.6, 0.4, 0.3, 0.2, 0.1]
RIGHT = [1, 1, 1, 0, 0, 0, 0, 0, 0]
ENROLLED = [1, 1, 1, 1, 0, 0, 0, 0, 0]


def test_identification_rates_match_hand_count():
    (width,) = evaluate_open_set(searches(BEST, RIGHT, ENROLLED), false_alarm_rates=(0.2, 0.4, 0.1)).widths
    assert width.rank_1 == 3 / 4
    fifth, two_fifths, tenth = width.rates
    assert (fifth.identification_rate, fifth.false_alarms) == (3 / 4, 1 / 5)  # above 0.4: 0.9, 0.7, 0.5
    assert 0.4 < fifth.threshold <= 0.5
    assert (two_fifths.identification_rate, two_fifths.false_alarms) == (3 / 4, 2 / 5)
    assert (tenth.identification_rate, tenth.threshold, tenth.identification_rate_ci) == (None, None, None)


def test_no_false_alarm_leaves_the_queries_above_the_highest_stranger():
    few = searches([*BEST, *[0.05] * 5], [*RIGHT, *[0] * 5], [*ENROLLED, *[0] * 5])  # ten strangers
    (width,) = evaluate_open_set(few, false_alarm_rates=(0.1,)).widths
    assert (width.rates[0].identification_rate, width.rates[0].false_alarms) == (3 / 4, 1 / 10)
    tied = searches([0.9, 0.7, 0.6, 0.6, 0.1], [1, 1, 0, 0, 0], [1, 1, 0, 0, 0])
    (width,) = evaluate_open_set(tied, false_alarm_rates=(0.4,)).widths
    assert (width.rates[0].identification_rate, width.rates[0].false_alarms) == (1, 0)  # ties are accepted together


def test_det_points_count_another_voice_as_a_miss_at_every_threshold():
    points = open_set_points(np.array(BEST), np.array(RIGHT, bool), np.array(ENROLLED, bool))
    assert points.p_miss[0] == 1 / 4
    assert points.p_fa[0] == 1
    assert (points.p_miss[-1], points.p_fa[-1]) == (1, 0)
    for threshold, p_miss, p_fa in zip(points.thresholds, points.p_miss, points.p_fa, strict=True):
        assert p_miss == 1 - np.mean([BEST[i] >= threshold and RIGHT[i] for i in range(4)])
        assert p_fa == np.mean(np.array(BEST[4:]) >= threshold)


def test_query_without_any_voice_is_missed_and_no_false_alarm():
    points = open_set_points(np.array([0.9, -np.inf, 0.5, -np.inf]), np.array([1, 0, 0, 0], bool), np.arange(4) < 2)
    assert (points.p_miss[0], points.p_fa[0]) == (1 / 2, 1 / 2)


def test_evaluation_needs_enrolled_and_other_speakers():
    for enrolled in ([True] * 9, [False] * 9):
        with pytest.raises(DataError, match="enrolled and of other speakers"):
            evaluate_open_set(searches(BEST, RIGHT, enrolled))


def test_sizes_count_queries_and_speakers():
    report = evaluate_open_set(searches(BEST, RIGHT, ENROLLED, speakers=["a", "a", "b", "b", *"ccdde"]))
    assert (report.n_enrolled, report.n_enrolled_speakers, report.n_unknown, report.n_unknown_speakers) == (4, 2, 5, 3)
    assert report.n_voices == 50


def test_interval_of_single_queries_is_the_binomial_one():
    hits, rows = np.arange(400) < 300, np.arange(400) < 360
    resamples = SpeakerResamples([f"s{i}" for i in range(400)], rows, n_resamples=4000, seed=0)
    share, interval = resamples.share(hits, rows)
    assert share == 300 / 360
    reach = 1.96 / np.sqrt(360 * share * (1 - share))
    assert interval == pytest.approx(expit(logit(share) + reach * np.array([-1, 1])), abs=0.003)


def test_interval_is_wider_if_a_speaker_has_many_queries():
    hits = np.tile(np.repeat([1, 1, 1, 0], 10), 10).astype(bool)
    rows = np.ones(400, dtype=bool)
    widths = []
    for speakers in ([f"s{i}" for i in range(400)], [f"s{i // 10}" for i in range(400)]):
        low, high = SpeakerResamples(speakers, rows, n_resamples=2000, seed=0).share(hits, rows)[1]
        widths.append(high - low)
    assert widths[1] / widths[0] == pytest.approx(np.sqrt(10), rel=0.15)


def test_interval_of_identification_holds_in_repetitions():
    rng, held = np.random.default_rng(0), 0
    truth = 1 - 0.15866  # of N(2.28 + 1, 1) above the threshold of 10 % of N(1, 1), which is 2.28
    for repetition in range(60):
        best = np.concatenate([rng.normal(3.2816, 1, 150), rng.normal(1, 1, 300)])
        found = evaluate_open_set(
            searches(best, np.arange(450) < 150, np.arange(450) < 150),
            false_alarm_rates=(0.1,),
            n_resamples=200,
            seed=repetition,
        )
        low, high = found.widths[0].rates[0].identification_rate_ci
        held += low <= truth <= high
    assert held >= 52  # of 57 expected
