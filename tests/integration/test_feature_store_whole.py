"""Feature stores of whole files, and of real speech."""

import numpy as np
import pytest
import soundfile
import torch

from extraction_processes import contents, every_row, pooled_alone, small_shards
from factories import tiny_encoder
from mrlspk.data.audio import load_audio
from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.data.crops.dataset import CropDataset, SampleKey
from mrlspk.data.manifest import Manifest
from mrlspk.errors import DataError
from mrlspk.feature_store import shards
from mrlspk.feature_store.extraction import ensure_crops, ensure_utterances
from mrlspk.models.checkpoints import load_model

HALF_ULP = 2**-11  # relative, of float16

WHOLE = {"dtype": "float32", "batch_size": 3, "max_seconds": 60.0, "precision": "fp32"}


pytestmark = pytest.mark.usefixtures("in_one_thread")


@pytest.fixture
def encoder(monkeypatch):
    """A tiny encoder, with shards of four of its vectors in float16."""
    encoder = tiny_encoder((4, 8))
    monkeypatch.setattr(shards, "SHARD_BYTES", small_shards(encoder))
    return encoder


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "features"


def test_utterances_are_pooled_at_their_own_length(encoder, folder, tmp_path):
    generator = np.random.default_rng(0)
    for number, n_samples in enumerate((8000, 5000, 8000, 20_000, 5000, 8000, 8000)):
        path = tmp_path / "mixed" / f"s{number % 2}" / f"{number}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.1 * generator.normal(size=n_samples), 16_000)
    utterances = scan_corpus(tmp_path / "mixed").utterances
    store = ensure_utterances(encoder, utterances, folder=folder, **WHOLE)
    assert store.n_rows == len(utterances) == 7
    for vector, utterance in zip(every_row(store), utterances, strict=True):
        assert torch.allclose(vector, pooled_alone(encoder, load_audio(utterance.source.path)), rtol=1e-5, atol=1e-5)

    short = ensure_utterances(encoder, utterances, folder=folder, **WHOLE | {"max_seconds": 0.4})
    half = load_audio(utterances[0].source.path)[:4000], load_audio(utterances[0].source.path)[4000:]
    assert utterances[0].utterance_id == "s0/0.wav"
    mean = (pooled_alone(encoder, half[0]) + pooled_alone(encoder, half[1])) / 2
    assert torch.allclose(every_row(short)[0], mean, rtol=1e-5, atol=1e-5)

    middle = ensure_utterances(encoder, utterances, folder=folder, crop_seconds=0.4, **WHOLE)
    for vector, utterance in zip(every_row(middle), utterances, strict=True):
        waveform = load_audio(utterance.source.path)
        skipped = max(waveform.numel() - 6400, 0) // 2  # 5,000 samples are taken whole
        crop = waveform[skipped : skipped + 6400]
        assert torch.allclose(vector, pooled_alone(encoder, crop), rtol=1e-5, atol=1e-5)
    assert len({store.folder, short.folder, middle.folder}) == 3


def test_extraction_of_utterances_resumes_to_the_same_bytes(encoder, folder, tiny_corpus):
    utterances = scan_corpus(tiny_corpus.root).utterances

    def stop(done, _):
        if done == 9:
            raise KeyboardInterrupt

    options = WHOLE | {"dtype": "float16", "batch_size": 2}
    with pytest.raises(KeyboardInterrupt):
        ensure_utterances(encoder, utterances, folder=folder, on_progress=stop, **options)
    seen = []
    ensure_utterances(encoder, utterances, folder=folder, on_progress=lambda *counts: seen.append(counts), **options)
    assert seen == [(done, 16) for done in range(8, 17)]
    ensure_utterances(encoder, utterances, folder=folder.with_name("other"), **options)
    assert contents(folder) == contents(folder.with_name("other"))


@pytest.mark.parametrize(("n_samples", "message"), [(200, "too short: 200 samples"), (0, "got none")])
def test_utterance_that_cannot_be_pooled_is_named(encoder, folder, tiny_corpus, n_samples, message):
    path = tiny_corpus.root / tiny_corpus.utterance_ids[5]
    soundfile.write(path, np.ones(n_samples), 16_000)
    with pytest.raises(DataError, match=message) as caught:
        ensure_utterances(encoder, scan_corpus(tiny_corpus.root).utterances, folder=folder, **WHOLE)
    assert caught.value.where == str(path)


@pytest.fixture
def some_speech(shared):
    """Two utterances each of an Arabic and two English speakers."""
    corpus = scan_corpus(shared / "speech" / "train")
    speakers = [speaker for speaker, each in corpus.by_speaker().items() if len(each) >= 2]
    chosen = [each for speaker in (speakers[0], *speakers[-2:]) for each in corpus.by_speaker()[speaker][:2]]
    return Manifest(corpus.root, tuple(chosen))


def test_rows_of_real_speech_equal_the_pooled_vectors(shared, some_speech, folder):
    encoder = load_model(shared / "pretrained" / "redimnet-small-speech.pt").encoder
    dataset = CropDataset(some_speech, crop_seconds=1.0, seed=0)
    options = {"folder": folder, "batch_size": 8, "precision": "fp32"}
    for dtype, rounding in (("float16", HALF_ULP), ("float32", 0.0)):
        crops = ensure_crops(encoder, dataset, crops_per_item=1, num_workers=0, dtype=dtype, **options)
        whole = ensure_utterances(encoder, some_speech.utterances, max_seconds=60.0, dtype=dtype, **options)
        for index in (0, 3, 5):
            tolerance = {"rtol": rounding + 1e-5, "atol": 1e-5}
            crop, _ = dataset[SampleKey(index, 0, 0)]
            assert torch.allclose(crops.rows(np.array([index]))[0], pooled_alone(encoder, crop), **tolerance)
            waveform = load_audio(some_speech.utterances[index].source)
            assert torch.allclose(whole.rows(np.array([index]))[0], pooled_alone(encoder, waveform), **tolerance)
