import numpy as np
import pytest
from pydantic import ValidationError

from mrlspk.errors import UsageError
from mrlspk.evaluation.calibration import Calibration, CalibrationTrials, CohortRecord, WidthCalibration
from mrlspk.evaluation.thresholds import FalseAcceptThreshold, PriorThreshold

COHORT = CohortRecord(path="c", fingerprint="c")


def width(dim=8, *, scale=10.0, offset=-4.0, duration_weight=None):
    llr = float(np.log(99))
    scores = [None, None] if duration_weight is not None else [(each - offset) / scale for each in (llr, 3.0)]
    return WidthCalibration(
        dim=dim,
        scale=scale,
        offset=offset,
        duration_weight=duration_weight,
        priors=(PriorThreshold(p_target=0.01, llr=llr, score=scores[0]),),
        false_accepts=(FalseAcceptThreshold(far=0.01, llr=3.0, score=scores[1], p_fa=0.009, p_miss=0.2),),
    )


def calibration(*widths, **changed):
    by_duration = bool(widths) and widths[0].duration_weight is not None
    parts = {
        "version": 1,
        "fingerprint": "f" * 64,
        "score_norm": "none",
        "top_n": None,
        "cohort": None,
        "quality": "duration" if by_duration else None,
        "seconds_range": (2.0, 8.0),
        "crop_seconds": (None,),
        "fit_p_target": 0.5,
        "trials": (
            CalibrationTrials(path="list", sha256="a" * 64, n_target=1500, n_nontarget=2500, speakers=("ann", "bob")),
            CalibrationTrials(path="more", sha256="b" * 64, n_target=500, n_nontarget=500, speakers=("cy",)),
        ),
        "widths": widths or (width(),),
    }
    return Calibration(**(parts | changed))


def test_each_column_is_calibrated_by_its_width():
    both = calibration(width(4, scale=2.0, offset=1.0), width(8))
    llrs = both.llrs(np.array([[0.5, 0.5], [0.0, 1.0]]), (4, 8))
    assert llrs == pytest.approx(np.array([[2.0, 1.0], [1.0, 6.0]]))
    assert both.llrs(np.array([[0.5]]), (8,)) == pytest.approx(np.array([[1.0]]))


def test_ratios_stop_at_the_number_of_trials_of_all_lists():
    llrs = calibration(width(scale=100.0, offset=0.0)).llrs(np.array([[1.0], [0.03], [-1.0]]), (8,))
    assert np.exp(llrs[:, 0]) == pytest.approx([3001, np.exp(3), 1 / 2001])  # 3,000 non-target, 2,000 target trials


def test_shorter_side_counts_within_the_range_of_the_fit():
    aware = calibration(width(duration_weight=2.0))
    llrs = aware.llrs(np.full((4, 1), 0.4), (8,), [1.0, 2.0, np.e, 100.0])
    assert llrs[:, 0] == pytest.approx([2 * np.log(2), 2 * np.log(2), 2.0, 2 * np.log(8)])


def test_threshold_is_bayes_at_any_prior_and_measured_at_a_rate():
    assert calibration().threshold(8, p_target=0.2) == pytest.approx(np.log(4))
    assert calibration().threshold(8, far=0.01) == 3.0
    with pytest.raises(UsageError, match=r"a false-accept rate of 0\.02 was not measured") as caught:
        calibration().threshold(8, far=0.02)
    assert "Measured: 0.01. Calibrate again with `far=0.02`." in str(caught.value)


@pytest.mark.parametrize("asked", [{}, {"p_target": 0.1, "far": 0.01}])
def test_either_a_prior_or_a_rate_is_required(asked):
    with pytest.raises(UsageError, match="either a prior or a false-accept rate"):
        calibration().threshold(8, **asked)


@pytest.mark.parametrize("p_target", [0.0, 1.0, -1.0, float("nan")])
def test_prior_lies_between_0_and_1(p_target):
    with pytest.raises(UsageError, match="expected a prior between 0 and 1"):
        calibration().threshold(8, p_target=p_target)


def test_score_threshold_is_where_the_ratio_is_the_threshold():
    plain, aware = calibration(), calibration(width(duration_weight=2.0))
    assert plain.score_threshold(8, p_target=0.5) == pytest.approx(0.4)
    assert plain.score_threshold(8, far=0.01) == 0.7  # as it was measured
    assert aware.score_threshold(8, p_target=0.5) is None
    assert aware.score_threshold(8, p_target=0.5, shorter_seconds=np.e) == pytest.approx(0.2)
    assert aware.score_threshold(8, far=0.01, shorter_seconds=np.e) == pytest.approx(0.5)


def test_uncalibrated_width_is_rejected():
    with pytest.raises(UsageError, match="width 16 is not calibrated") as caught:
        calibration().llrs(np.zeros((1, 1)), (16,))
    assert "Calibrated widths: 8." in str(caught.value)


def test_overlap_names_the_same_trials_or_the_same_speakers():
    assert calibration().overlap("c" * 64, ["dee"]) is None
    assert "fitted on these trials" in calibration().overlap("b" * 64, ["dee"])
    shared = calibration().overlap("c" * 64, ["cy", "ann", "dee"])
    assert "fitted on trials of 2 of these 3 speakers (ann, cy)" in shared


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"widths": (width(8), width(4))}, "widths must rise"),
        ({"widths": (width(4), width(8, duration_weight=1.0))}, "quality contradicts the duration_weight"),
        ({"quality": "duration"}, "quality contradicts the duration_weight"),
        ({"score_norm": "as"}, "score_norm contradicts cohort"),
        ({"cohort": COHORT}, "score_norm contradicts cohort"),
        ({"score_norm": "as", "cohort": COHORT}, "score_norm contradicts top_n"),
        ({"score_norm": "s", "cohort": COHORT, "top_n": 5}, "score_norm contradicts top_n"),
        ({"top_n": 5}, "score_norm contradicts top_n"),
        ({"widths": (width(4), width(8).model_copy(update={"priors": ()}))}, "for at least one prior"),
        ({"seconds_range": (8.0, 2.0)}, "seconds_range must rise"),
        ({"version": 2}, "Input should be 1"),
        ({"trials": ()}, "at least 1 item"),
        ({"extra": 1}, "Extra inputs are not permitted"),
    ],
)
def test_contradicting_parts_are_rejected(changed, problem):
    with pytest.raises(ValidationError, match=problem):
        calibration(**changed)


@pytest.mark.parametrize(
    "changed",
    [
        {"scale": 5e-324},
        {"scale": -1.0},
        {"scale": 1e308},
        {"scale": float("inf")},
        {"offset": 1e300},
        {"offset": float("nan")},
        {"duration_weight": -1e300},
    ],
)
def test_width_of_no_use_is_refused(changed):
    with pytest.raises(ValidationError, match=f"WidthCalibration\n{next(iter(changed))}\n"):
        WidthCalibration(**(width().model_dump() | changed))


@pytest.mark.parametrize("kind", ["priors", "false_accepts"])
@pytest.mark.parametrize(
    ("duration_weight", "score", "problem"),
    [
        (None, None, "expected thresholds as scores if and only if duration_weight is null"),
        (1.0, 0.7, "expected thresholds as scores if and only if duration_weight is null"),
        (None, 0.9, "a score of 0.9 does not have the ratio"),
    ],
)
def test_thresholds_must_lie_on_the_line(kind, duration_weight, score, problem):
    values = width(duration_weight=duration_weight).model_dump()
    values[kind] = ({**values[kind][0], "score": score},)
    with pytest.raises(ValidationError, match=problem):
        WidthCalibration(**values)


def test_ratio_of_a_prior_is_that_of_bayes_rule():
    with pytest.raises(ValidationError, match=r"a prior of 0\.01 has a threshold of 4\.59512 nats, got 3"):
        PriorThreshold(p_target=0.01, llr=3.0, score=None)


def test_threshold_that_exceeds_its_rate_is_rejected():
    with pytest.raises(ValueError, match="a threshold for a false-accept rate of 0.01 has a rate of 1"):
        FalseAcceptThreshold(far=0.01, llr=3.0, score=None, p_fa=1.0, p_miss=0.0)
