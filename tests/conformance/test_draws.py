"""Draws of earlier versions: a run that one of them began is resumed with the same speakers, trials and crops."""

import hashlib

import numpy as np
import pytest

from mrlspk.data.audio.source import FileSource
from mrlspk.data.choices import SameSession
from mrlspk.data.crops.sampler import ShuffleSampler, SpeakerBalancedSampler
from mrlspk.data.held_out import draw_trials, hold_out
from mrlspk.data.manifest import Manifest, Utterance
from mrlspk.data.trials import generate_trials
from mrlspk.rotation.folds import draw_utterances, sample_utterances

# Made by the code of commit 853ac9a, before utterances were in columns and weights were known.
EXPECTED_DRAWS = {
    "corpus": "ad6b716caa3668a1",
    "held out": "4a3ea889b2d2a04f",
    "by domain": "2717d07a6e44356d",
    "few": "1e74581c298d2b26",
    "all": "56e52329ff4d55e2",
    "matched": "ea5e0b18eae30284",
    "in domains": "90a8d1d4267e612f",
    "to rotate": "cc17aa84f5a8a062",
    "sample": "be052e6804c4901c",
}
EXPECTED_ORDERS = {
    "shuffled": "f0964957498eb4fd",
    "parts": "fb36d0d499801c1b",
    "balanced": "975c263e42644aa7",
    "pairs": "f034d7eb050bb4f2",
}


def digest(value):
    return hashlib.sha256(repr(value).encode()).hexdigest()[:16]


@pytest.fixture(scope="module")
def corpus():
    names = [(f"s{n * 7 % 40:02d}", n % 3, n) for n in range(400) if n % 11 not in (n % 7, 4)]
    rows = ((f"{speaker}/{session}/{n}.wav", speaker, f"{speaker}/{session}") for speaker, session, n in sorted(names))
    return Manifest("corpus", tuple(Utterance(*row, FileSource(row[0])) for row in sorted(rows)))


def epochs_of(sampler):
    found = []
    for epoch in (0, 4):
        sampler.set_epoch(epoch)
        found += [(key.index, key.epoch, key.repeat) for key in sampler]
    return digest(found)


def test_held_out_speakers_and_trials_are_those_of_earlier_versions(corpus):
    domains = {speaker: "ab"[number % 3 == 0] for number, speaker in enumerate(corpus.speakers)}
    match = {speaker: "mf"[number % 2] for number, speaker in enumerate(corpus.speakers) if number % 5}
    found = {
        "corpus": corpus.fingerprint[:16],
        "held out": hold_out(corpus, None, seed=3, domains={}).fingerprint[:16],
        "by domain": hold_out(corpus, 12, seed=3, domains=domains).fingerprint[:16],
        "few": generate_trials(corpus, 300, seed=3, path="drawn").sha256[:16],
        "all": generate_trials(corpus, 90_000, seed=3, path="drawn", same_session=SameSession.NEVER).sha256[:16],
        "matched": generate_trials(
            corpus, 2000, seed=3, path="drawn", same_session=SameSession.ALLOW, match=match
        ).sha256[:16],
        "in domains": draw_trials(corpus, 500, seed=3, match=None, domains=domains).sha256[:16],
        "to rotate": draw_utterances(corpus, per_speaker=3, max_speakers=20, seed=3).fingerprint[:16],
        "sample": digest([each.utterance_id for each in sample_utterances(corpus, 50, seed=3)]),
    }
    assert found == EXPECTED_DRAWS


def test_orders_of_crops_are_those_of_earlier_versions(corpus):
    index = {speaker: number for number, speaker in enumerate(corpus.speakers)}
    classes = np.array([index[each.speaker_id] for each in corpus.utterances])
    found = {
        "shuffled": epochs_of(ShuffleSampler(len(classes), seed=3)),
        "parts": epochs_of(ShuffleSampler(len(classes), seed=3, n_crops=77)),
        "balanced": epochs_of(SpeakerBalancedSampler(classes, seed=3)),
        "pairs": epochs_of(SpeakerBalancedSampler(classes, seed=3, utterances_per_speaker=2, n_crops=1001)),
    }
    assert found == EXPECTED_ORDERS
