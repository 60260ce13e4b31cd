"""Random scores and the metrics of one width."""

import hashlib
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from mrlspk.metrics.cllr import cllr
from mrlspk.metrics.cosine import prefix_cosine_scores
from mrlspk.metrics.dcf import act_dcf, min_dcf
from mrlspk.metrics.det import operating_points
from mrlspk.metrics.eer import eer_at, eer_threshold_at

DIMS = (16, 32, 64, 128)
PRIORS = (0.01, 0.05)
N_RESAMPLES = 12
COMMON = {"schema_version": 2, "mrlspk_version": "0.1.0"}
SETTINGS = {
    "dims": list(DIMS),
    "p_targets": list(PRIORS),
    "false_accept_rates": [0.01, 0.1],
    "max_seconds": 60.0,
    "score_norm": "as",
    "top_n": 300,
    "cohort": {"path": "cohort", "fingerprint": "c" * 64, "n": 1200},
    "n_resamples": N_RESAMPLES,
    "seed": 0,
    "level": 0.95,
}
FEW_SPEAKERS = {"n_resamples": 0, "note": "24 speakers are too few"}  # in these documents, where they are asked for


@dataclass(frozen=True)
class Drawn:
    """Scores of all pairs of a drawn set of voices: (trials, len(DIMS)), and whose utterances they compare."""

    scores: np.ndarray
    is_target: np.ndarray
    enroll_speaker: np.ndarray
    test_speaker: np.ndarray
    ids: list[tuple[str, str]]


def draw_scores(*, seed=0, n_speakers=24, n_utterances=5, noise=1.0):
    generator = np.random.default_rng(seed)
    centres = np.repeat(generator.normal(size=(n_speakers, DIMS[-1])), n_utterances, axis=0)
    loud = np.repeat(generator.uniform(0.6, 1.5, size=(n_speakers, 1)), n_utterances, axis=0)
    scale = 1 / np.sqrt(1 + np.arange(DIMS[-1]) / 16)  # earlier values tell more
    vectors = centres * scale + 0.85 * noise * loud * generator.normal(size=centres.shape)
    speaker = np.repeat(np.arange(n_speakers), n_utterances)
    pairs = np.array(list(combinations(range(len(speaker)), 2)))
    pairs = pairs[(speaker[pairs[:, 0]] == speaker[pairs[:, 1]]) | (generator.random(len(pairs)) < 0.3)]
    names = [f"id1{s:04d}/session{i % 2}/{i:05d}.wav" for i, s in enumerate(speaker)]
    enroll, test = speaker[pairs[:, 0]], speaker[pairs[:, 1]]
    return Drawn(
        prefix_cosine_scores(vectors, pairs[:, 0], pairs[:, 1], DIMS),
        enroll == test,
        enroll,
        test,
        [(names[a], names[b]) for a, b in pairs],
    )


def list_head(seed, drawn):
    return {
        "path": f"lists/list-{seed}.txt",
        "sha256": text_hash(f"list{seed}"),
        "enrolments_sha256": text_hash(f"models{seed}") if seed == 1 else None,
        "official": {"name": "VoxCeleb1-O (cleaned)", "by": "fingerprint"} if seed == 0 else None,
        "source": "--trials",
        "audio_root": "audio",
        "n_target": int(drawn.is_target.sum()),
        "n_nontarget": int((~drawn.is_target).sum()),
        "n_speakers": 24,
        "n_utterances": 120,
        "intervals": {
            "level": 0.95,
            "n_resamples": N_RESAMPLES,
            "n_speakers": 24,
            "speakers_from": "folders",
            "note": None,
        },
    }


def width_metrics(drawn, column, *, calibrated):
    scores, is_target = drawn.scores[:, column], drawn.is_target
    points = operating_points(scores, is_target)
    threshold = float(eer_threshold_at(points))
    llrs = llrs_of(drawn, column)
    dcf = []
    for prior in PRIORS:
        cost = float(min_dcf(scores, is_target, p_target=prior))
        best = int(np.argmin(prior * points.p_miss + (1 - prior) * points.p_fa))
        dcf.append(
            {
                "p_target": prior,
                "min_dcf": cost,
                "min_dcf_ci": resampled(drawn, lambda r, p=prior: min_dcf(scores[r], is_target[r], p_target=p)),
                "threshold": float(min(points.thresholds[best], scores.max())),
                "act_dcf": float(act_dcf(llrs, is_target, p_target=prior)) if calibrated else None,
            }
        )
    rates = []
    for rate in SETTINGS["false_accept_rates"]:
        first = int(np.argmax(points.p_fa <= rate))
        rates.append(
            {"p_fa": rate, "threshold": float(points.thresholds[first]), "p_miss": float(points.p_miss[first])}
        )
    return {
        "dim": DIMS[column],
        "eer": eer_of(scores, is_target),
        "eer_ci": resampled(drawn, lambda r: eer_of(scores[r], is_target[r])),
        "threshold": threshold,
        "accuracy": float(np.mean((scores >= threshold) == is_target)),
        "min_dcf": dcf[0]["min_dcf"],
        "min_dcf_ci": dcf[0]["min_dcf_ci"],
        "dcf": dcf,
        "cllr": float(cllr(llrs, is_target)) if calibrated else None,
        "min_cllr": float(cllr(llrs, is_target)) * 0.9,
        "calibrated_threshold": threshold + 0.01 if calibrated else None,
        "false_accepts": rates,
    }


def llrs_of(drawn, column):
    """Ratios of two normal densities of one variance, fitted to the scores themselves."""
    scores = drawn.scores[:, column]
    target, nontarget = scores[drawn.is_target], scores[~drawn.is_target]
    variance = (target.var() + nontarget.var()) / 2
    return (target.mean() - nontarget.mean()) / variance * (scores - (target.mean() + nontarget.mean()) / 2)


def eer_of(scores, is_target):
    return float(eer_at(operating_points(scores, is_target)))


def resampled(drawn, figure):
    """Percentiles of a figure over trials repeated as often as their speakers are drawn."""
    generator = np.random.default_rng(1)
    values = []
    for _ in range(N_RESAMPLES):
        counts = np.bincount(generator.integers(0, 24, 24), minlength=24)
        weights = np.where(
            drawn.is_target, counts[drawn.enroll_speaker], counts[drawn.enroll_speaker] * counts[drawn.test_speaker]
        )
        values.append(figure(np.repeat(np.arange(len(weights)), weights)))
    return np.quantile(values, [0.025, 0.975]).tolist()


def text_hash(text):
    return hashlib.sha256(text.encode()).hexdigest()
