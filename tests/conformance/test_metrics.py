"""Metrics against reference values, on score sets made by the integer generator that the values were made with."""

import json
from pathlib import Path
from zlib import crc32

import numpy as np
import pytest

from mrlspk.metrics.cllr import cllr
from mrlspk.metrics.dcf import act_dcf, min_dcf
from mrlspk.metrics.eer import equal_error_rate

CASES = json.loads((Path(__file__).parent / "data" / "metrics.json").read_text(encoding="utf-8"))
TOLERANCE = 1e-9


def splitmix64(x):
    z = x + np.uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return z ^ (z >> np.uint64(31))


def bell(key, n):
    """Return n values of a bell-shaped density with mean 0 and deviation 1."""
    index = np.arange(6 * n, dtype=np.uint64) + np.uint64(crc32(key.encode()) << 32)
    uniform = (splitmix64(index) >> np.uint64(11)).astype(np.float64) / 2**53
    return (uniform.reshape(n, 6).sum(axis=1) - 3) * np.sqrt(2)


@pytest.fixture(params=CASES, ids=[case["case"] for case in CASES])
def case(request):
    return request.param


@pytest.fixture
def trials(case):
    target = bell(case["case"] + "/target", case["targets"]) + case["shift"]
    scores = np.concatenate([target, bell(case["case"] + "/nontarget", case["nontargets"])])
    if case["rounded"]:
        scores = np.round(2 * scores) / 2
    assert scores.sum() == pytest.approx(case["score_sum"], abs=1e-6)
    return scores, np.arange(scores.size) < case["targets"]


def test_equal_error_rate_agrees(case, trials):
    assert equal_error_rate(*trials) == pytest.approx(case["eer"], rel=0, abs=TOLERANCE)


def test_min_dcf_agrees(case, trials):
    for p_target, expected in case["min_dcf"].items():
        assert min_dcf(*trials, p_target=float(p_target)) == pytest.approx(expected, rel=0, abs=TOLERANCE)


def test_act_dcf_agrees(case, trials):
    for p_target, expected in case["act_dcf_as_llr"].items():
        assert act_dcf(*trials, p_target=float(p_target)) == pytest.approx(expected, rel=0, abs=TOLERANCE)


def test_cllr_agrees(case, trials):
    assert cllr(*trials) == pytest.approx(case["cllr_as_llr"], rel=0, abs=TOLERANCE)


def test_scores_in_single_precision_lose_nothing_that_matters(case, trials):
    scores, is_target = trials
    assert equal_error_rate(scores.astype(np.float32), is_target) == pytest.approx(case["eer"], abs=1e-6)
