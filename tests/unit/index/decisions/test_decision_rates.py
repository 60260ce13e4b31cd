import numpy as np
import pytest

from index_voices import draw_voices, enrol, record
from mrlspk.index.decisions.decide import decide
from mrlspk.index.decisions.fitting import Origin, calibrate
from mrlspk.index.decisions.open_set import evaluate_open_set
from mrlspk.index.decisions.searches import Searches
from mrlspk.metrics.similarity import cosine_matrix

DIMS = (8, 16)


@pytest.fixture(scope="module")
def searched():
    """A calibrated index of 60 voices, and searches for 120 recordings of them and 240 of others."""
    rng = np.random.default_rng(0)
    voices = draw_voices(300, rng)
    enrolled = enrol(voices[:60], rng)
    calibration = calibrate(enrolled, DIMS, origin=Origin()).calibration
    means = np.stack([enrolled.vectors[rows].mean(axis=0) for rows in enrolled.rows_of])
    queries = np.concatenate([record(voices[:60], rng, n_each=2), record(voices[60:], rng)])
    scores = [cosine_matrix(queries, means, dim=dim) for dim in DIMS]
    order = [np.argsort(-each, axis=1) for each in scores]
    speaker = np.concatenate([np.repeat(np.arange(60), 2), np.arange(60, 300)])
    ranked = [np.take_along_axis(each, rows, axis=1) for each, rows in zip(scores, order, strict=True)]
    searches = Searches(
        [f"v{i}" for i in speaker],
        speaker < 60,
        np.where(np.arange(360) % 2, 2.0, 7.0),
        DIMS,
        np.stack([each[:, 0] for each in ranked], axis=1),
        np.stack([each[:, 1] for each in ranked], axis=1),
        np.stack([rows[:, 0] == speaker for rows in order], axis=1),
        60,
    )
    return calibration, searches, ranked


@pytest.mark.parametrize("rate", [0.01, 0.3])
def test_rates_are_those_of_the_single_decisions(searched, rate):
    calibration, searches, ranked = searched
    report = evaluate_open_set(searches, calibration=calibration, false_accept_rate=rate, n_resamples=10)
    for place, width in enumerate(report.widths):
        verdicts = [
            decide(calibration, row, dim=width.dim, n_voices=60, speech_seconds=4.0, false_accept_rate=rate).verdict
            for row in ranked[place]
        ]
        enrolled, others = verdicts[:120], verdicts[120:]
        found = width.decisions[0]
        assert found.false_accept_rate == rate
        assert found.measured_false_accept_rate == pytest.approx(1 - others.count("unknown") / 240)
        assert found.accepted + found.misidentified == pytest.approx(enrolled.count("accept") / 120)
        assert found.ambiguous == enrolled.count("ambiguous") / 120
        assert found.unknown == enrolled.count("unknown") / 120
        right = [v == "accept" and r for v, r in zip(enrolled, searches.is_right[:120, place], strict=True)]
        assert found.accepted == np.mean(right)


def test_measured_false_accepts_are_near_the_told_rate(searched):
    calibration, searches, _ = searched
    report = evaluate_open_set(searches, calibration=calibration, false_accept_rate=0.1)
    for width in report.widths:
        assert width.decisions[0].measured_false_accept_rate == pytest.approx(0.1, abs=0.06)
        low, high = width.decisions[0].measured_false_accept_rate_ci
        assert low < width.decisions[0].measured_false_accept_rate < high


def test_rates_are_told_by_seconds_of_speech(searched):
    calibration, searches, _ = searched
    everything, short, long = evaluate_open_set(searches, calibration=calibration).widths[1].decisions
    assert (everything.seconds, short.seconds, long.seconds) == (None, (0.0, 3.0), (6.0, None))
    assert (short.n_enrolled, short.n_unknown, long.n_enrolled, long.n_unknown) == (60, 120, 60, 120)
    assert everything.accepted == pytest.approx((short.accepted + long.accepted) / 2)


def test_without_a_calibration_there_are_no_decisions(searched):
    _, searches, _ = searched
    plain = evaluate_open_set(searches)
    assert [each.decisions for each in plain.widths] == [(), ()]


def test_identification_rates_do_not_depend_on_a_line_without_seconds(searched):
    calibration, searches, _ = searched
    plain, fitted = evaluate_open_set(searches), evaluate_open_set(searches, calibration=calibration)
    for before, after in zip(plain.widths, fitted.widths, strict=True):
        assert [each.identification_rate for each in before.rates] == [each.identification_rate for each in after.rates]
