import numpy as np
import pytest
import soundfile
import torch

from factories import recording_of, tiny_encoder
from mrlspk.inference import embedding
from mrlspk.inference.embedding import embed_recordings, embed_waveforms, unit_prefix
from mrlspk.inference.torch_backend import TorchBackend


@pytest.fixture(scope="module")
def encoder():
    return tiny_encoder((4, 8))


@pytest.fixture(scope="module")
def backend(encoder):
    return TorchBackend(encoder)


@pytest.fixture
def files(tmp_path):
    """Seven files of three lengths, in an order that mixes the lengths."""
    rng, found = np.random.default_rng(0), []
    for number, samples in enumerate((8000, 4000, 8000, 6000, 4000, 8000, 4000)):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, 0.1 * rng.normal(size=samples), 16000)
        found.append(recording_of(path))
    return found


def test_batched_embeddings_equal_single_ones_in_the_order_given(backend, files):
    together = embed_recordings(backend, files, batch_size=2, max_seconds=60)
    assert list(together.embeddings) == files
    for recording in files:
        alone = embed_recordings(backend, [recording], batch_size=1, max_seconds=60)
        assert together.embeddings[recording].vector == pytest.approx(alone.embeddings[recording].vector, abs=1e-5)


def test_unreadable_files_are_listed_and_the_others_embedded(backend, files, tmp_path):
    (tmp_path / "text.wav").write_text("not audio")
    bad = recording_of(tmp_path / "text.wav")
    found = embed_recordings(backend, [*files, bad], batch_size=4, max_seconds=60)
    assert list(found.embeddings) == files
    assert list(found.errors) == [bad]
    assert "text.wav" in found.errors[bad]


def test_progress_counts_up_to_all_recordings(backend, files):
    seen = []
    options = {"batch_size": 2, "max_seconds": 60, "on_progress": lambda *counts: seen.append(counts)}
    embed_recordings(backend, [*files, files[0]], **options)
    assert seen[-1] == (7, 7)
    assert seen == sorted(seen)


def test_long_audio_is_the_mean_of_equal_windows(backend, encoder):
    waveform = torch.randn(1, 40_000)
    whole = embed_waveforms(backend, waveform, max_seconds=1.0)
    thirds = [encoder(waveform[:, start : start + 13_333]) for start in (0, 13_333, 26_666)]
    assert whole == pytest.approx(torch.cat(thirds).mean(0, keepdim=True).detach().numpy(), abs=1e-5)


def test_audio_up_to_the_limit_is_embedded_whole(backend, encoder):
    waveform = torch.randn(1, 16_000)
    with torch.inference_mode():
        assert torch.equal(embed_waveforms(backend, waveform, max_seconds=1.0), encoder(waveform))


def test_pending_audio_beyond_the_limit_is_embedded_early(backend, files, monkeypatch):
    monkeypatch.setattr("mrlspk.inference.batching.MAX_PENDING_SAMPLES", 9000)
    found = embed_recordings(backend, files, batch_size=100, max_seconds=60)
    assert list(found.embeddings) == files


class Spoilt:
    """Embeds waveforms of 4,000 samples as a constant, others as ones."""

    min_samples, sample_rate = 400, 16_000

    def __init__(self, value):
        self.value = value

    def embed(self, waveforms):
        value = self.value if waveforms.shape[-1] == 4000 else 1
        return np.full((len(waveforms), 8), value, np.float32)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0])
def test_embeddings_without_a_direction_are_errors(files, value):
    seen = []
    options = {"batch_size": 4, "max_seconds": 60, "on_progress": lambda *counts: seen.append(counts)}
    found = embed_recordings(Spoilt(value), files, **options)
    assert list(found.embeddings) == [files[number] for number in (0, 2, 3, 5)]
    assert set(found.errors) == {files[number] for number in (1, 4, 6)}
    assert "1.wav" in found.errors[files[1]]
    assert seen[-1] == (7, 7)


class EightKilohertz(Spoilt):
    """A model of 8 kHz that embeds the number of samples."""

    min_samples, sample_rate = 2001, 8000

    def embed(self, waveforms):
        return np.full((len(waveforms), 2), waveforms.shape[-1], np.float64)


def test_audio_is_resampled_to_the_rate_of_the_backend(files):
    recordings = [*files[:4], recording_of(files[0].source.path, 0.375)]
    found = embed_recordings(EightKilohertz(0), recordings, batch_size=4, max_seconds=60)
    assert [each.vector.tolist() for each in found.embeddings.values()] == [[n, n] for n in (4000, 4000, 3000, 3000)]
    assert [each.seconds for each in found.embeddings.values()] == [0.5, 0.5, 0.375, 0.375]
    assert {each.vector.dtype for each in found.embeddings.values()} == {np.dtype(np.float32)}
    assert "too short: 2000 samples at 8 kHz, at least 2001" in found.errors[files[1]]


def test_crop_is_the_middle_of_the_file(backend, tmp_path):
    samples = (0.1 * np.random.default_rng(1).normal(size=24_001)).astype(np.float32)
    soundfile.write(tmp_path / "whole.wav", samples, 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "middle.wav", samples[8000:16000], 16000, subtype="FLOAT")
    crop, middle, whole = recordings = [
        recording_of(tmp_path / "whole.wav", 0.5),
        recording_of(tmp_path / "middle.wav"),
        recording_of(tmp_path / "whole.wav"),
    ]
    found = embed_recordings(backend, recordings, batch_size=1, max_seconds=60).embeddings
    assert list(found) == recordings
    assert found[crop].vector == pytest.approx(found[middle].vector, abs=1e-6)
    assert [found[each].seconds for each in (crop, middle, whole)] == [0.5, 0.5, 24_001 / 16_000]


def test_file_shorter_than_its_crop_is_listed_as_too_short(backend, files):
    crops = [recording_of(each.source.path, 0.375) for each in files]  # 6,000 samples
    seen = []
    options = {"batch_size": 4, "max_seconds": 60, "on_progress": lambda *counts: seen.append(counts)}
    found = embed_recordings(backend, crops, **options)
    assert list(found.embeddings) == [crops[number] for number in (0, 2, 3, 5)]
    assert found.too_short == tuple(crops[number] for number in (1, 4, 6))
    assert not found.errors
    assert seen[-1] == (7, 7)


def test_crop_too_short_for_the_model_is_an_error(backend, files):
    crop = recording_of(files[0].source.path, 0.01)
    found = embed_recordings(backend, [crop], batch_size=4, max_seconds=60)
    assert "too short: 160 samples" in found.errors[crop]


def test_recordings_of_one_file_in_a_row_are_decoded_once(backend, files, monkeypatch):
    decoded = []
    load = embedding.load_audio
    monkeypatch.setattr(
        embedding, "load_audio", lambda source, **options: decoded.append(source.path.name) or load(source, **options)
    )
    crops = [recording_of(each.source.path, crop) for each in files[:2] for crop in (None, 0.2, 0.1)]
    found = embed_recordings(backend, crops, batch_size=4, max_seconds=60)
    assert decoded == ["0.wav", "1.wav"]
    assert list(found.embeddings) == crops


def test_prefix_is_cut_first_and_normalised_then():
    assert unit_prefix(np.array([3, 4, 12], np.float32), 2).tolist() == [pytest.approx(0.6), pytest.approx(0.8)]


@pytest.mark.parametrize("dim", [0, 4])
def test_prefix_wider_than_the_embedding_is_refused(dim):
    with pytest.raises(ValueError, match="cannot be cut from 3 values"):
        unit_prefix(np.zeros(3, np.float32), dim)
