"""Speakers held out to validate on: how many, from which domain, and trials among them."""

import logging
from collections import Counter

import pytest

from mrlspk.data.audio.source import FileSource
from mrlspk.data.held_out import TooFewSpeakersError, draw_trials, hold_out, read_domains, some_speakers
from mrlspk.data.manifest import Manifest, Utterance
from mrlspk.errors import DataError


def corpus_of(**speakers):
    """A corpus without files: so many speakers of each prefix, with three utterances each, one of those in capitals."""
    names = [f"{prefix}{number:04}" for prefix, n in speakers.items() for number in range(n)]
    ids = [f"{name}/a/{number}.wav" for name in names for number in range(1 if name[0].isupper() else 3)]
    return Manifest("corpus", tuple(Utterance(each, each.split("/")[0], "a", FileSource(each)) for each in ids))


def domains_of(corpus):
    return {speaker: speaker[0] for speaker in corpus.speakers}


@pytest.mark.parametrize(
    ("n_speakers", "n_held_out"),
    [(30, 10), (43, 10), (54, 10), (55, 11), (79, 15), (268, 53), (1000, 200), (2500, 200)],
)
def test_a_fifth_is_held_out_within_bounds(n_speakers, n_held_out):
    corpus = corpus_of(a=n_speakers, B=30)  # those of one utterance do not count
    assert len(hold_out(corpus, None, seed=0, domains={}).speakers) == n_held_out


def test_explicit_number_of_speakers_is_held_out():
    assert len(hold_out(corpus_of(a=300), 7, seed=0, domains={}).speakers) == 7


@pytest.mark.parametrize("n_speakers", [1, 3])
def test_too_few_speakers_to_hold_any_out_are_an_error(n_speakers):
    with pytest.raises(DataError, match=f"cannot hold out 2 of {n_speakers} speakers"):
        hold_out(corpus_of(a=n_speakers), 2, seed=0, domains={})


def test_fewer_than_30_speakers_are_held_out_only_by_number():
    with pytest.raises(TooFewSpeakersError, match="29 speakers with two utterances are too few"):
        hold_out(corpus_of(a=29, B=30), None, seed=0, domains={})
    assert len(hold_out(corpus_of(a=29), 5, seed=0, domains={}).speakers) == 5


def test_domains_are_held_out_in_proportion(caplog):
    corpus = corpus_of(a=200, b=50, c=5, d=3)
    with caplog.at_level(logging.WARNING):
        held_out = hold_out(corpus, None, seed=0, domains=domains_of(corpus))
    assert Counter(speaker[0] for speaker in held_out.speakers) == {"a": 40, "b": 10, "c": 2}
    assert "3 speakers of d are too few to validate on" in caplog.text


def test_domains_that_are_all_too_small_are_an_error():
    corpus = corpus_of(a=3, b=3)
    with pytest.raises(DataError, match="no domain has 4 speakers"):
        hold_out(corpus, 2, seed=0, domains=domains_of(corpus))


def test_corpus_of_its_own_gives_up_to_200_speakers():
    assert len(some_speakers(corpus_of(a=30), None, seed=0, domains={}).speakers) == 30
    assert len(some_speakers(corpus_of(a=500), None, seed=0, domains={}).speakers) == 200


@pytest.mark.parametrize(
    ("corpus", "domains"), [(corpus_of(A=9), {}), (corpus_of(a=1, b=1), {"a0000": "a", "b0000": "b"})]
)
def test_too_few_speakers_to_validate_on_are_an_error(corpus, domains):
    with pytest.raises(DataError, match="corpus: expected two speakers .*to validate on"):
        some_speakers(corpus, None, seed=0, domains=domains)


def test_trials_stay_within_domains_and_are_shared_in_proportion():
    corpus = corpus_of(a=30, b=10)
    domains = domains_of(corpus)
    trials = draw_trials(corpus, 80, seed=0, match=None, domains=domains)
    pairs = [(a[0], b[0]) for a, b in zip(trials.enroll_ids, trials.test_ids, strict=True)]
    assert Counter(pairs) == {("a", "a"): 60, ("b", "b"): 20}
    assert (trials.n_target, trials.n_nontarget) == (40, 40)
    one = draw_trials(corpus, 80, seed=0, match=None, domains={})
    assert ("a", "b") in {(a[0], b[0]) for a, b in zip(one.enroll_ids, one.test_ids, strict=True)}
    assert len({trials.sha256, one.sha256}) == 2


def test_domain_of_every_speaker_is_read_from_a_table(tmp_path):
    table = tmp_path / "speakers.csv"
    table.write_text("speaker,corpus\na0000,x\na0001,y\n")
    assert read_domains(corpus_of(a=2), "corpus", table) == {"a0000": "x", "a0001": "y"}
    with pytest.raises(DataError, match="expected a corpus of every speaker, got none of 1 of 3: a0002"):
        read_domains(corpus_of(a=3), "corpus", table)
