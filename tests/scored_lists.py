"""Scored trials with random scores and speakers, for tests."""

import numpy as np

from mrlspk.evaluation.score_files import ListScores
from mrlspk.evaluation.scored_trials import ScoredTrials


def scored_trials(target, nontarget, *, dims=(4,), speakers=("a", "b")):
    """Return trials at one or more widths: target trials of the first speaker, non-target trials of both."""
    scores = np.array([*target, *nontarget], dtype=np.float64)
    is_target = np.arange(len(scores)) < len(target)
    enroll = np.zeros(len(scores), dtype=np.int64)
    return ScoredTrials(
        dims, np.stack([scores] * len(dims), axis=1), is_target, enroll, np.where(is_target, 0, 1), tuple(speakers)
    )


def drawn_trials(*, n_speakers=30, shift=3.0, noise=1.0, dims=(4, 8), seed=0):
    """Return four target trials per speaker and one non-target trial for each pair of speakers."""
    rng = np.random.default_rng(seed)
    first, second = np.triu_indices(n_speakers, 1)
    own = np.repeat(np.arange(n_speakers), 4)
    enroll, test = np.concatenate([own, first]), np.concatenate([own, second])
    is_target = np.arange(enroll.size) < own.size
    base = rng.normal(size=enroll.size) + shift * is_target
    scores = np.stack([base + noise * rng.normal(size=enroll.size) for _ in dims], axis=1)
    names = tuple(f"s{index:03}" for index in range(n_speakers))
    return ScoredTrials(dims, scores, is_target, enroll, test, names)


def list_scores(scored, *, sha256="0" * 64, trials_sha256="1" * 64, path="list"):
    return ListScores(path, sha256, trials_sha256, None, "--trials", "audio", None, "folders", scored)
