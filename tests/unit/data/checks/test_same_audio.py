"""One recording under two speakers, compared in one process and in two."""

import numpy as np
import pytest
import soundfile

from mrlspk.data.checks import same_audio
from mrlspk.data.checks.inspection import inspect_files
from mrlspk.data.checks.same_audio import check_same_audio
from mrlspk.data.corpora.recipe_registry import scan_corpus


@pytest.fixture
def utterances(tmp_path):
    """Three speakers: a/1 and b/1 have the same bytes, b/2 and c/2 the same sound, c/3 is of nobody else."""
    for names, seed in ((("a/1.wav", "b/1.wav"), 0), (("b/2.wav", "c/2.flac"), 1), (("c/3.wav",), 2)):
        samples = np.random.default_rng(seed).normal(0, 0.1, 16_000) * np.hanning(16_000)
        for name in names:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            soundfile.write(tmp_path / name, samples, 16_000)
    return scan_corpus(tmp_path).utterances


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.process)])
def test_both_files_of_one_recording_are_told_with_each_other(utterances, monkeypatch, jobs):
    monkeypatch.setattr(same_audio, "PAIRS_PER_JOB", 1)
    traces = inspect_files(utterances, is_decoded=np.ones(len(utterances), bool)).traces
    counts = []
    problems = check_same_audio(utterances, traces, jobs=jobs, on_progress=lambda *count: counts.append(count))
    found = {each.where: each.message for each in problems}
    assert [*found] == ["b/1.wav", "a/1.wav", "c/2.flac", "b/2.wav"]
    assert found["a/1.wav"] == "is the same file as b/1.wav, of speaker b"
    assert found["b/1.wav"] == "is the same file as a/1.wav, of speaker a"
    assert found["c/2.flac"] == "sounds the same as b/2.wav, of speaker b: correlation 1.00"
    assert counts[-1] == (8, 8)  # all pairs of two speakers: noise has the fingerprint of noise


def test_file_that_three_speakers_have_is_told_once_of_each(tmp_path):
    for speaker in "abc":
        (tmp_path / speaker).mkdir()
        soundfile.write(tmp_path / speaker / "1.wav", np.random.default_rng(0).normal(0, 0.1, 16_000), 16_000)
    utterances = scan_corpus(tmp_path).utterances
    traces = inspect_files(utterances, is_decoded=np.zeros(3, bool)).traces
    problems = list(check_same_audio(utterances, traces))
    assert [each.where for each in problems] == ["b/1.wav", "a/1.wav", "c/1.wav"]
