"""Time the scoring of trials, all widths in one pass against one product per width, and the metrics.

    .venv/bin/pytest tests/benchmarks --benchmark-group-by=group

Quote ratios within one group of one run; the size is that of VoxCeleb1-O.
"""

import numpy as np
import pytest

from mrlspk.metrics.cosine import cosine_scores, prefix_cosine_scores
from mrlspk.metrics.dcf import min_dcf_at
from mrlspk.metrics.det import operating_points
from mrlspk.metrics.eer import eer_at

DIMS = (16, 32, 64, 128, 192, 256)
N_UTTERANCES, N_TRIALS = 4_708, 37_720


@pytest.fixture(scope="module")
def trials():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(N_UTTERANCES, DIMS[-1])).astype(np.float32)
    enroll, test = rng.integers(N_UTTERANCES, size=(2, N_TRIALS))
    return vectors, enroll, test, rng.random(N_TRIALS) < 0.5


@pytest.mark.benchmark(group="cosines")
def test_all_widths_in_one_pass(benchmark, trials):
    vectors, enroll, test, _ = trials
    scores = benchmark(prefix_cosine_scores, vectors, enroll, test, DIMS)
    assert scores.shape == (N_TRIALS, len(DIMS))


@pytest.mark.benchmark(group="cosines")
def test_a_product_per_width(benchmark, trials):
    vectors, enroll, test, _ = trials

    def score():
        return np.stack([cosine_scores(vectors[enroll, :dim], vectors[test, :dim]) for dim in DIMS], axis=1)

    assert benchmark(score) == pytest.approx(prefix_cosine_scores(vectors, enroll, test, DIMS), abs=1e-6)


@pytest.mark.benchmark(group="metrics")
def test_eer_and_two_detection_costs_of_every_width(benchmark, trials):
    vectors, enroll, test, is_target = trials
    scores = prefix_cosine_scores(vectors, enroll, test, DIMS)

    def measure():
        points = [operating_points(column, is_target) for column in scores.T]
        return [(eer_at(at), min_dcf_at(at, p_target=0.01), min_dcf_at(at, p_target=0.05)) for at in points]

    assert len(benchmark(measure)) == len(DIMS)
