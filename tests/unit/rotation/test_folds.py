from pathlib import Path

import numpy as np
import pytest

from mrlspk.data.audio.source import FileSource
from mrlspk.data.manifest import Manifest, Utterance
from mrlspk.data.utterance_ids import speaker_of
from mrlspk.errors import DataError
from mrlspk.rotation.folds import check_speakers, draw_folds, draw_utterances, with_speaker


def corpus_of(**n_utterances):
    ids = [f"{speaker}/x/{number}.wav" for speaker, count in sorted(n_utterances.items()) for number in range(count)]
    return Manifest(
        Path("speech"),
        tuple(Utterance(each, speaker_of(each), speaker_of(each), FileSource(f"speech/{each}")) for each in ids),
    )


def vectors_of(corpus, *, width=4, seed=0):
    rng = np.random.default_rng(seed)
    return {utterance.utterance_id: rng.normal(size=width) for utterance in corpus.utterances}


def test_draw_utterances_respects_limits_and_seed():
    corpus = corpus_of(a=5, b=1, c=9, d=4)
    drawn = draw_utterances(corpus, per_speaker=3, max_speakers=10, seed=0)
    counts = {speaker: len(group) for speaker, group in drawn.by_speaker().items()}
    assert counts == {"a": 3, "b": 1, "c": 3, "d": 3}
    assert [*drawn.utterances] == sorted(drawn.utterances, key=lambda each: each.utterance_id)
    assert draw_utterances(corpus, per_speaker=3, max_speakers=10, seed=0) == drawn
    assert draw_utterances(corpus, per_speaker=3, max_speakers=10, seed=1) != drawn
    assert len(draw_utterances(corpus, per_speaker=3, max_speakers=2, seed=0).speakers) == 2


def test_with_speaker_follows_the_order_of_the_corpus():
    corpus = corpus_of(a=2, b=1)
    found = with_speaker(corpus, {"b/x/0.wav": np.full(2, 3), "a/x/1.wav": np.full(2, 2), "a/x/0.wav": np.full(2, 1)})
    assert (found.embeddings[:, 0].tolist(), found.speaker_index.tolist()) == ([1, 2, 3], [0, 0, 1])


def test_each_speaker_with_two_crops_is_held_out_once():
    corpus = corpus_of(**{f"s{number:02}": 3 for number in range(12)}, single=1)
    whole, crops = vectors_of(corpus), vectors_of(corpus, seed=1)
    del crops["s00/x/0.wav"], crops["s01/x/0.wav"], crops["s01/x/1.wav"]  # s01 has one crop left
    folds = draw_folds(corpus, whole, crops, seed=0)
    assert len(folds) == 5
    assert sum(len(fold.held_out.embeddings) for fold in folds) == 11 * 3 - 1
    for fold in folds:
        held = {tuple(row) for row in fold.held_out.embeddings}
        speakers = {speaker_of(each) for each, vector in crops.items() if tuple(vector) in held}
        fitted = {tuple(row) for row in fold.fit.embeddings}
        assert fitted == {tuple(vector) for each, vector in whole.items() if speaker_of(each) not in speakers}
        n_speakers = len(speakers)
        assert n_speakers in {2, 3}
        assert len(fold.held_out.is_target) - fold.held_out.is_target.sum() >= 6
    again = draw_folds(corpus, whole, crops, seed=0)
    assert all(np.array_equal(a.held_out.enroll, b.held_out.enroll) for a, b in zip(folds, again, strict=True))


def test_four_speakers_make_two_folds():
    corpus = corpus_of(a=2, b=2, c=2, d=2)
    folds = draw_folds(corpus, vectors_of(corpus), vectors_of(corpus), seed=0)
    assert [(len(fold.fit.embeddings), len(fold.held_out.embeddings)) for fold in folds] == [(4, 4), (4, 4)]


def test_too_few_speakers_raise_with_a_fix():
    with pytest.raises(DataError, match=r"speech: .*needs 4 speakers with two files, got 3\n.*`method=svd`"):
        check_speakers(corpus_of(a=2, b=2, c=2, d=1))
    corpus = corpus_of(a=2, b=2, c=2, d=2)
    crops = {each: vector for each, vector in vectors_of(corpus).items() if not each.endswith("1.wav")}
    with pytest.raises(DataError, match="needs 4 speakers with two files that are long enough, got 0"):
        draw_folds(corpus, vectors_of(corpus), crops, seed=0)
