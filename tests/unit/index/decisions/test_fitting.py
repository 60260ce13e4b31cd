import math
from dataclasses import replace

import numpy as np
import pytest

from index_voices import draw_voices, enrol, queries_of, record, unit
from mrlspk.errors import DataError
from mrlspk.index.decisions import fitting
from mrlspk.index.decisions.calibration import IndexCalibration
from mrlspk.index.decisions.fitting import Origin, calibrate
from mrlspk.index.decisions.trials import EnrolledRecordings, Queries, own_queries, score_trials

DIMS = (8, 16)


@pytest.fixture(scope="module")
def fitted():
    rng = np.random.default_rng(0)
    enrolled = enrol(draw_voices(200, rng), rng)
    return enrolled, calibrate(enrolled, DIMS, origin=Origin("f" * 8, "auto", "energy-1"))


def test_told_rate_of_false_accepts_holds_for_new_speakers(fitted):
    enrolled, report = fitted
    rng = np.random.default_rng(1)
    strangers = queries_of(record(draw_voices(4000, rng), rng), np.full(4000, -1))
    for place, dim in enumerate(DIMS):
        highest = score_trials(enrolled, strangers, DIMS).others[place].max(axis=1)
        for rate in (0.02, 0.1):
            threshold = report.calibration.threshold(rate, enrolled.n_voices, dim, 4.0)
            assert np.mean(highest >= threshold.score) == pytest.approx(rate, rel=0.5)


def test_told_rate_holds_for_some_of_the_voices(fitted):
    enrolled, report = fitted
    rng = np.random.default_rng(2)
    strangers = queries_of(record(draw_voices(4000, rng), rng), np.full(4000, -1))
    some = score_trials(enrolled, strangers, (16,)).others[0][:, ::7]  # as a filter leaves
    threshold = report.calibration.threshold(0.05, some.shape[1], 16, 4.0)
    assert np.mean(some.max(axis=1) >= threshold.score) == pytest.approx(0.05, rel=0.5)


def test_expected_rates_are_measured_on_the_trials(fitted):
    enrolled, report = fitted
    trials = score_trials(enrolled, own_queries(enrolled), DIMS)
    found = next(each for each in report.expected if (each.dim, each.false_accept_rate) == (16, 0.1))
    score = report.calibration.threshold(0.1, 199, 16, 4.0).score
    assert found.measured == pytest.approx(np.mean(np.nanmax(trials.others[1], axis=1) >= score))
    assert found.measured == pytest.approx(0.1, abs=0.03)
    assert found.miss_rate == pytest.approx(np.mean(trials.target[:, 1] < score))


def test_rate_of_less_than_one_query_is_not_measured(fitted):
    _, report = fitted  # 600 queries
    assert {each.measured is None for each in report.expected if each.false_accept_rate == 0.001} == {True}
    assert {each.measured is None for each in report.expected if each.false_accept_rate == 0.01} == {False}


def test_calibration_survives_json(fitted):
    calibration = fitted[1].calibration
    assert IndexCalibration.model_validate_json(calibration.model_dump_json()) == calibration
    assert (calibration.n_voices, calibration.n_target_voices, calibration.n_target) == (200, 200, 600)
    assert calibration.n_nontarget == 600 * 199
    assert calibration.fingerprint == "f" * 8


def test_ratios_do_not_depend_on_seconds_that_are_all_alike(fitted):
    assert {each.line.duration_weight for each in fitted[1].calibration.widths} == {None}


def test_ratios_depend_on_seconds_of_cuts(fitted):
    enrolled, _ = fitted
    rng = np.random.default_rng(3)
    n = len(enrolled.vectors)
    noisy = unit(enrolled.vectors + 0.25 * rng.normal(size=enrolled.vectors.shape))
    cuts = Queries(noisy, enrolled.voice_index, np.full(n, 1.0), np.arange(n))
    calibration = calibrate(enrolled, DIMS, origin=Origin(), further=[cuts], cut_seconds=(1.0,)).calibration
    assert calibration.widths[1].line.duration_weight < 0  # the same cosine says more for a short recording
    assert calibration.seconds_range == (1.0, 4.0)
    short, long = (calibration.threshold(0.01, 200, 16, each).score for each in (1.0, 4.0))
    assert short < long
    assert calibration.threshold(0.01, 200, 16, 0.2).score == short  # the nearer end


def test_too_few_voices_are_refused_with_the_way_out():
    rng = np.random.default_rng(4)
    voices = draw_voices(60, rng)
    several, single = enrol(voices[:19], rng), enrol(voices[19:], rng, n_each=1)
    enrolled = EnrolledRecordings(
        np.concatenate([several.vectors, single.vectors]),
        tuple(f"v{i}" for i in range(60)),
        np.concatenate([several.voice_index, single.voice_index + 19]),
        np.full(len(several.vectors) + 41, 4.0),
        several.sources + single.sources,
    )
    with pytest.raises(DataError, match=r"20 voices .* got 19 of 60 voices") as error:
        calibrate(enrolled, DIMS, origin=Origin())
    assert "`folder`" in error.value.fix
    further = queries_of(record(voices[30:31], rng), [30])
    assert calibrate(enrolled, DIMS, origin=Origin(), further=[further]).calibration.n_target_voices == 20


def test_recordings_of_one_folder_are_warned_of(fitted):
    assert fitted[1].warnings == ()
    rng = np.random.default_rng(5)
    report = calibrate(enrol(draw_voices(30, rng), rng, folders="one", root="/audio/"), DIMS, origin=Origin())
    assert "30 voices: the true rate" in report.warnings[0]
    assert "30 of 30 voices lie in one folder each" in report.warnings[1]


@pytest.mark.parametrize(
    ("root", "said"),
    [("", "the ids of 30 of 30 voices name one session each, in what is before their last /"), (None, None)],
)
def test_session_of_vectors_is_told_if_their_ids_name_it(root, said):
    rng = np.random.default_rng(5)
    enrolled = enrol(draw_voices(30, rng), rng, folders="one", root=root or "")
    if root is None:
        enrolled = replace(enrolled, sources=tuple(each.replace("/0/", "/") for each in enrolled.sources))
    told = calibrate(enrolled, DIMS, origin=Origin()).warnings[1:]
    assert [each.partition(":")[0] for each in told] == ([said] if said else [])


def test_one_speaker_under_two_names_is_told(fitted):
    assert fitted[1].look_alikes == ()
    rng = np.random.default_rng(6)
    voices = draw_voices(40, rng)
    voices[7] = voices[12] = voices[31]
    report = calibrate(enrol(voices, rng), DIMS, origin=Origin())
    assert report.look_alikes == (("v7", "v12", "v31"),)
    assert "v7, v12, v31. If" in report.warnings[1]


def test_more_queries_than_the_limit_are_drawn_from(fitted, monkeypatch):
    monkeypatch.setattr(fitting, "MAX_QUERIES", 100)
    report = calibrate(fitted[0], DIMS, origin=Origin())
    assert report.calibration.n_target == 100
    assert report.calibration.widths[0].tails[0].n_queries == 100


def test_bounds_of_ratios_follow_the_number_of_trials(fitted):
    assert fitted[1].calibration.llr_bounds == (-math.log(601), math.log(600 * 199 + 1))
