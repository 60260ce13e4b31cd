"""Validation on trials among held-out speakers."""

import numpy as np
import pytest
import soundfile
import torch

from factories import tiny_encoder
from mrlspk.data.audio.source import FileSource
from mrlspk.data.choices import SameSession
from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.data.manifest import Utterance
from mrlspk.data.trials import generate_trials
from mrlspk.errors import DataError
from mrlspk.feature_store.extraction import ensure_utterances
from mrlspk.metrics.eer import equal_error_rate
from mrlspk.training.validation import AudioValidator, StoredValidator, ValidationTrials, prototype_loss
from two_processes import in_two


def test_prototype_loss_matches_a_loop():
    rng = np.random.default_rng(0)
    vectors, labels, scale = rng.normal(size=(7, 5)), np.array([0, 0, 1, 1, 1, 2, 2]), 4.0
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    losses = []
    for i, own in enumerate(labels):
        logits = []
        for speaker in range(3):
            others = [unit[j] for j in range(7) if labels[j] == speaker and j != i]
            mean = np.sum(others, axis=0)
            logits.append(scale * unit[i] @ mean / np.linalg.norm(mean))
        losses.append(np.log(np.exp(logits).sum()) - logits[own])
    found = prototype_loss(torch.from_numpy(vectors).float(), torch.from_numpy(labels), scale=scale)
    assert found == pytest.approx(np.mean(losses), rel=1e-5)


def test_speaker_with_one_utterance_is_no_query_but_a_rival():
    pair = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    found = prototype_loss(pair, torch.tensor([0, 0, 1]), scale=1.0)
    assert found == pytest.approx(np.log(1 + np.exp(-1)))


@pytest.fixture
def voices(tmp_path):
    """Three speakers of three files, two of one length."""
    generator = np.random.default_rng(0)
    for speaker, hertz in enumerate((150, 300, 600)):
        for number, n_samples in enumerate((4000, 4000, 6000)):
            path = tmp_path / f"s{speaker}/{number}.wav"
            path.parent.mkdir(exist_ok=True)
            tone = np.sin(2 * np.pi * hertz * np.arange(n_samples) / 16_000)
            soundfile.write(path, 0.2 * tone + 0.05 * generator.normal(size=n_samples), 16_000)
    return scan_corpus(tmp_path)


@pytest.fixture
def encoder():
    return tiny_encoder((4, 8))


def trials_among(corpus):
    return ValidationTrials(
        corpus.utterances,
        generate_trials(corpus, 18, seed=0, path="drawn", same_session=SameSession.ALLOW),
        dims=(2, 4, 8),
        published_dims=(4, 8),
        weights=(1.0, 1.0, 2.0),
        scale=10.0,
        p_target=0.05,
    )


@pytest.mark.parametrize("crop_seconds", [None, 0.3])
@pytest.mark.parametrize("max_seconds", [60.0, 0.2])
def test_stored_vectors_match_audio_validation(voices, encoder, tmp_path, crop_seconds, max_seconds):
    trials = trials_among(voices)
    options = {"batch_size": 2, "max_seconds": max_seconds, "crop_seconds": crop_seconds}
    store = ensure_utterances(
        encoder, trials.utterances, folder=tmp_path / "stores", dtype="float32", precision="fp32", **options
    )
    stored = StoredValidator(trials, store.rows(np.arange(store.n_rows))).validate(encoder)
    from_audio = AudioValidator(trials, **options).validate(encoder)
    assert (stored.eer, stored.min_dcf, stored.mean_log_eer) == (
        from_audio.eer,
        from_audio.min_dcf,
        from_audio.mean_log_eer,
    )
    # Pooled vectors of windows are averaged as they are, embeddings of windows as unit vectors.
    assert stored.loss == pytest.approx(from_audio.loss, rel=1e-5 if max_seconds == 60.0 else 2e-3)


def test_validation_matches_the_metric_functions(voices):
    trials = trials_among(voices)
    embeddings = np.random.default_rng(1).normal(size=(len(trials.utterances), 8)).astype(np.float32)
    found = trials.result(embeddings)
    row = {utterance.utterance_id: index for index, utterance in enumerate(trials.utterances)}
    for dim in (2, 4, 8):
        scores = []
        for enroll, test in zip(trials.trials.enroll_ids, trials.trials.test_ids, strict=True):
            a, b = (embeddings[row[each], :dim].astype(np.float64) for each in (enroll, test))
            scores.append(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
        assert found.eer[dim] == pytest.approx(equal_error_rate(np.array(scores), trials.trials.is_target))
    assert found.mean_log_eer == pytest.approx(np.mean(np.log([found.eer[4], found.eer[8]])))
    speakers = torch.tensor([int(utterance.speaker_id[1]) for utterance in trials.utterances])
    losses = [prototype_loss(torch.from_numpy(embeddings[:, :dim]), speakers, scale=10.0) for dim in (2, 4, 8)]
    assert found.loss == pytest.approx((losses[0] + losses[1] + 2 * losses[2]) / 4, rel=1e-6)


def test_utterances_in_no_trial_are_left_out(voices):
    trials = trials_among(voices)
    others = Utterance("s9/0.wav", "s9", "s9", FileSource(f"{voices.root}/s9/0.wav"))
    again = ValidationTrials(
        (others, *voices.utterances),
        trials.trials,
        dims=(4, 8),
        published_dims=(8,),
        weights=(1.0, 1.0),
        scale=10.0,
        p_target=0.05,
    )
    assert again.utterances == trials.utterances


def shared_results(ranks, root, encoder, options, stored):
    """Return the results of both validators in one of several processes, and the error over a file that is bad."""
    voices = scan_corpus(root)
    trials = trials_among(voices)
    from_audio = AudioValidator(trials, ranks=ranks, **options)
    results = from_audio.validate(encoder), StoredValidator(trials, stored, ranks=ranks).validate(encoder)
    ranks.barrier()
    bad = trials.utterances[1].source.path
    if ranks.rank == 1:
        bad.write_bytes(b"no audio")
    ranks.barrier()
    try:
        from_audio.validate(encoder)
    except DataError as error:
        return results, error.what
    return results, None


@pytest.mark.process
def test_two_processes_share_validation_and_match_one(voices, encoder, tmp_path):
    trials = trials_among(voices)
    options = {"batch_size": 2, "max_seconds": 60.0}
    store = ensure_utterances(
        encoder, trials.utterances, folder=tmp_path / "stores", dtype="float32", precision="fp32", **options
    )
    pooled = store.rows(np.arange(store.n_rows))
    alone = AudioValidator(trials, **options).validate(encoder), StoredValidator(trials, pooled).validate(encoder)
    first, second = in_two(shared_results, voices.root, encoder, options, pooled)
    assert first == second
    for found, expected in zip(first[0], alone, strict=True):
        assert (found.eer, found.min_dcf, found.mean_log_eer) == (
            expected.eer,
            expected.min_dcf,
            expected.mean_log_eer,
        )
        assert found.loss == pytest.approx(expected.loss, rel=1e-5)
    assert str(trials.utterances[1].source.path) in first[1]
