"""Time the metrics of a whole trial list and their intervals, given the embeddings.

    .venv/bin/pytest tests/benchmarks/test_evaluation.py

The lists are the old one of VoxCeleb1-O and one of the size of VoxCeleb1-E. For time limits and
memory, see scripts/bench_evaluation.py.
"""

import gzip

import numpy as np
import pytest

from mrlspk.data.trials import read_trials, trial_speakers
from mrlspk.metrics.cllr import cllr, min_cllr_at
from mrlspk.metrics.cosine import prefix_cosine_scores
from mrlspk.metrics.dcf import act_dcf, min_dcf_at, min_dcf_threshold_at
from mrlspk.metrics.det import operating_points, threshold_at_far
from mrlspk.metrics.eer import accuracy_at, eer_at, eer_threshold_at
from mrlspk.metrics.significance import bootstrap_speakers

DIMS = (8, 16, 32, 64, 128, 192, 256)
P_TARGETS = (0.01, 0.05)


def embed(speaker):
    """Return random vectors, alike within a speaker."""
    rng = np.random.default_rng(0)
    of_speaker = rng.standard_normal((speaker.max() + 1, DIMS[-1]), dtype=np.float32)
    return of_speaker[speaker] + 1.5 * rng.standard_normal((speaker.size, DIMS[-1]), dtype=np.float32)


@pytest.fixture(scope="module")
def small(shared, tmp_path_factory):
    path = tmp_path_factory.mktemp("lists") / "trials.txt"
    path.write_bytes(gzip.decompress((shared / "reference" / "vox1-o-trials.txt.gz").read_bytes()))
    trials = read_trials(path)
    speakers = trial_speakers(trials)
    row = {utterance_id: index for index, utterance_id in enumerate(trials.utterance_ids)}
    enroll = np.array([row[utterance_id] for utterance_id in trials.enroll_ids])
    test = np.array([row[utterance_id] for utterance_id in trials.test_ids])
    speaker = np.zeros(len(row), dtype=np.int64)
    speaker[enroll], speaker[test] = speakers.enroll_speaker, speakers.test_speaker
    assert enroll.size == 37_720
    return embed(speaker), enroll, test, speaker


@pytest.fixture(scope="module")
def large():
    rng = np.random.default_rng(0)
    speaker = np.arange(145_000) % 1_251
    enroll, test = rng.integers(speaker.size, size=(2, 580_000))
    test[::2] = speaker[enroll[::2]] + 1_251 * rng.integers(speaker.size // 1_251, size=290_000)
    return embed(speaker), enroll, test, speaker


def all_metrics(embeddings, enroll, test, speaker):
    """Return every figure of every width."""
    is_target = speaker[enroll] == speaker[test]
    counts = {"n_target": int(is_target.sum()), "n_nontarget": int((~is_target).sum())}
    metrics = []
    for column in prefix_cosine_scores(embeddings, enroll, test, DIMS).T:
        points = operating_points(column, is_target)
        found = [eer_at(points), eer_threshold_at(points), accuracy_at(points, **counts)]
        found += [min_cllr_at(points), cllr(column, is_target)]
        for p_target in P_TARGETS:
            found += [min_dcf_at(points, p_target=p_target), min_dcf_threshold_at(points, p_target=p_target)]
            found.append(act_dcf(column, is_target, p_target=p_target))
        found += [threshold_at_far(points, rate) for rate in (0.1, 0.01, 0.001)]
        metrics.append(found)
    return metrics


@pytest.mark.benchmark(group="metrics", min_rounds=2)
@pytest.mark.parametrize("trials", ["small", "large"])
def test_all_metrics_of_seven_widths(benchmark, request, trials):
    metrics = benchmark(all_metrics, *request.getfixturevalue(trials))
    assert len(metrics) == len(DIMS)


@pytest.mark.benchmark(group="intervals")
def test_a_thousand_resamples_of_four_widths(benchmark, small):
    embeddings, enroll, test, speaker = small
    scores = prefix_cosine_scores(embeddings, enroll, test, DIMS[3:])
    arrays = scores, speaker[enroll] == speaker[test], speaker[enroll], speaker[test]
    draws = benchmark.pedantic(bootstrap_speakers, arrays, {"p_targets": P_TARGETS, "n_resamples": 1000}, rounds=1)
    assert draws.eer.shape == (1000, 4, 2)
