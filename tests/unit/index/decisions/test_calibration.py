import pytest
from pydantic import ValidationError

from mrlspk.evaluation.calibration import WidthCalibration
from mrlspk.index.decisions.calibration import IndexCalibration, WidthDecisions
from mrlspk.index.decisions.tail import Tail, TailPoint

LINE = WidthCalibration(dim=8, scale=10.0, offset=-1.0, duration_weight=None, priors=(), false_accepts=())


def tail(n_voices, rate_at_one):
    points = (TailPoint(rate=1.0, llr=-10.0), TailPoint(rate=rate_at_one, llr=1.0))
    return Tail(n_voices=n_voices, n_queries=100, points=points, decay=1.0)


@pytest.fixture
def calibration():
    return IndexCalibration(
        version=1,
        fingerprint=None,
        speech="all",
        speech_detector=None,
        created="2026-01-01",
        mrlspk_version="1",
        n_voices=11,
        n_target_voices=11,
        n_across_folders=11,
        n_target=60,
        n_nontarget=600,
        cut_seconds=(),
        seconds_range=(4.0, 4.0),
        typical_seconds=4.0,
        widths=(WidthDecisions(line=LINE, tails=(tail(1, 0.1), tail(10, 0.02))),),
    )


@pytest.mark.parametrize(("n_voices", "rate"), [(1, 0.1), (9, 0.1), (10, 0.02), (10_000, 0.02)])
def test_rates_are_those_measured_among_as_many_voices(calibration, n_voices, rate):
    assert calibration.false_accept_rate(1.0, n_voices, 8) == pytest.approx(1 - (1 - rate) ** n_voices)


@pytest.mark.parametrize("n_voices", [1, 9, 10, 10_000])
def test_threshold_has_the_rate_that_it_was_asked_for(calibration, n_voices):
    for rate in (0.001, 0.3):
        found = calibration.threshold(rate, n_voices, 8, 4.0)
        assert calibration.false_accept_rate(found.llr, n_voices, 8) == pytest.approx(rate)
        assert calibration.llrs(found.score, 8, 4.0) == pytest.approx(found.llr)


def test_tails_out_of_order_are_refused():
    for tails in ((tail(10, 0.02),), (tail(10, 0.02), tail(1, 0.1)), (tail(1, 0.1), tail(1, 0.1))):
        with pytest.raises(ValidationError, match="numbers of voices"):
            WidthDecisions(line=LINE, tails=tails)
