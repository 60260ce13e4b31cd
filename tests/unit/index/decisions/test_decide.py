import math

import numpy as np
import pytest

from mrlspk.errors import UsageError
from mrlspk.evaluation.calibration import WidthCalibration
from mrlspk.index.decisions.calibration import IndexCalibration, WidthDecisions
from mrlspk.index.decisions.decide import decide
from mrlspk.index.decisions.tail import Tail, TailPoint


def calibration(*, duration_weight=None, n_nontarget=1000):
    """Ratios are 10 * cosine; a tenth of strangers reach 1 nat against one voice, e times fewer for each nat more."""
    line = WidthCalibration(dim=8, scale=10.0, offset=0.0, duration_weight=duration_weight, priors=(), false_accepts=())
    points = (TailPoint(rate=1.0, llr=-10.0), TailPoint(rate=0.1, llr=1.0))
    tail = Tail(n_voices=1, n_queries=100, points=points, decay=1.0)
    return IndexCalibration(
        version=1,
        fingerprint=None,
        speech="all",
        speech_detector=None,
        created="2026-01-01",
        mrlspk_version="1",
        n_voices=50,
        n_target_voices=30,
        n_across_folders=30,
        n_target=60,
        n_nontarget=n_nontarget,
        cut_seconds=(),
        seconds_range=(2.0, 8.0),
        typical_seconds=4.0,
        widths=(WidthDecisions(line=line, tails=(tail,)),),
    )


def decided(scores, *, n_voices=3, speech_seconds=4.0, given=None, **settings):
    settings = {"dim": 8, "n_voices": n_voices, "speech_seconds": speech_seconds} | settings
    return decide(given or calibration(), np.array(scores, dtype=float), **settings)


def threshold_by_hand(rate, n_voices):
    return 1 + math.log(0.1 / (1 - (1 - rate) ** (1 / n_voices)))


def test_threshold_is_that_of_all_voices_together():
    for rate, n_voices in ((0.1, 1), (0.01, 3), (0.01, 1000)):
        threshold = decided([0.9], n_voices=n_voices, false_accept_rate=rate).threshold
        assert threshold.llr == pytest.approx(threshold_by_hand(rate, n_voices))
        assert threshold.score == pytest.approx(threshold.llr / 10)
        assert 1 - (1 - threshold.rate_per_voice) ** n_voices == pytest.approx(rate)


def test_best_voice_is_accepted_at_the_threshold_and_unknown_below():
    limit = threshold_by_hand(0.01, 3) / 10
    assert decided([limit + 1e-9, 0.0]).verdict == "accept"
    assert decided([limit - 1e-9, 0.0]).verdict == "unknown"
    assert decided([]).verdict == "unknown"


def test_search_of_no_voice_accepts_no_stranger():
    found = decided([], n_voices=0)
    assert (found.verdict, found.false_accept_rate, found.best_rate) == ("unknown", 0.0, 1.0)


def test_rate_of_the_best_voice_is_within_the_rate_exactly_if_accepted():
    limit = threshold_by_hand(0.01, 3) / 10
    assert decided([limit + 0.01]).best_rate < 0.01 < decided([limit - 0.01]).best_rate
    assert decided([0.5]).best_rate == pytest.approx(1 - (1 - 0.1 * math.exp(-4)) ** 3)


@pytest.mark.parametrize(
    ("second", "margin", "verdict", "n_accepted"),
    [
        (0.78, math.log(10), "ambiguous", 2),  # 0.2 nats behind
        (0.56, math.log(10), "accept", 1),  # 2.4 nats behind
        (0.58, math.log(10), "ambiguous", 2),  # 2.2 nats behind
        (0.58, 1.0, "accept", 1),
        (0.8, 0.0, "accept", 1),
    ],
)
def test_second_voice_within_the_margin_makes_it_ambiguous(second, margin, verdict, n_accepted):
    found = decided([0.8, second, 0.0], margin=margin, false_accept_rate=0.3)
    assert (found.verdict, found.n_accepted) == (verdict, n_accepted)


def test_second_voice_below_the_threshold_is_no_rival():
    limit = threshold_by_hand(0.01, 3) / 10
    assert decided([limit + 0.001, limit - 0.001]).verdict == "accept"


def test_threshold_beyond_the_supported_ratios_can_still_be_reached():
    few = calibration(n_nontarget=50)  # supports ratios up to ln 51, 3.9 nats
    found = decided([0.95, 0.1], n_voices=200, given=few)
    assert found.threshold.llr > few.llr_bounds[1]
    assert found.verdict == "accept"
    assert found.llrs.tolist() == pytest.approx([math.log(51), 1.0])


def test_rate_far_below_the_measured_one_is_warned_of():
    assert not decided([0.5], n_voices=1, false_accept_rate=0.1).warnings
    assert not decided([0.5], n_voices=1, false_accept_rate=0.1).threshold.is_extrapolated
    found = decided([0.5], n_voices=1000)
    assert found.threshold.is_extrapolated
    assert found.warnings[0] == (
        "a false-accept rate of 1 % for 1,000 voices is extrapolated: it takes 0.001 % for each voice, and 10 % is the "
        "lowest that was measured"
    )


def test_seconds_of_speech_shift_the_threshold():
    given = calibration(duration_weight=-2.0)
    short, long = (decided([0.9], given=given, speech_seconds=each).threshold.score for each in (2.0, 8.0))
    assert long - short == pytest.approx(0.2 * math.log(4))
    assert decided([0.9], given=given, speech_seconds=50.0).threshold.score == long


def test_less_speech_than_calibrated_and_unknown_seconds_are_warned_of():
    (warning,) = decided([0.9], speech_seconds=1.0, false_accept_rate=0.1).warnings
    assert warning.startswith("1.0 s of speech, but the index was calibrated on 2.0 to 8.0 s")
    for unknown in (None, float("nan")):
        given = calibration(duration_weight=-2.0)
        (warning,) = decided([0.9], given=given, speech_seconds=unknown, false_accept_rate=0.1).warnings
        assert "assumes 4.0 s" in warning
        assert not decided([0.9], speech_seconds=unknown, false_accept_rate=0.1).warnings  # they do not matter


def test_values_out_of_range_are_refused():
    for settings in ({"false_accept_rate": 0.0}, {"false_accept_rate": 1.0}, {"margin": -1.0}, {"dim": 4}):
        with pytest.raises(UsageError):
            decided([0.9], **settings)
    with pytest.raises(ValueError, match="falling score"):
        decided([0.1, 0.9])
