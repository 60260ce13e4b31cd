import numpy as np
import pytest
import soundfile
import torch

from mrlspk.config.architecture import ReDimNetConfig, describe_architecture
from mrlspk.inference import embedding
from mrlspk.inference.batching import embed_batch
from mrlspk.inference.embedding import Recording, embed_files
from mrlspk.models.encoder import build_encoder

TINY = ReDimNetConfig(F=8, C=4, stages_setup=((1, 1, 1, ((3, 3),), 4),))


@pytest.fixture(scope="module")
def encoder():
    torch.manual_seed(0)
    return build_encoder(describe_architecture(TINY, (4, 8))).eval()


@pytest.fixture
def files(tmp_path):
    """Seven files of three lengths, in an order that mixes the lengths."""
    rng, found = np.random.default_rng(0), {}
    for number, samples in enumerate((8000, 4000, 8000, 6000, 4000, 8000, 4000)):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, 0.1 * rng.normal(size=samples), 16000)
        found[f"id{number}"] = Recording(path)
    return found


def test_batched_embeddings_equal_single_ones_in_the_order_given(encoder, files):
    together = embed_files(encoder, files, batch_size=2, max_seconds=60)
    assert list(together.embeddings) == list(files)
    for file_id, recording in files.items():
        alone = embed_files(encoder, {file_id: recording}, batch_size=1, max_seconds=60)
        assert together.embeddings[file_id] == pytest.approx(alone.embeddings[file_id], abs=1e-5)


def test_unreadable_files_are_listed_and_the_others_embedded(encoder, files, tmp_path):
    (tmp_path / "text.wav").write_text("not audio")
    found = embed_files(encoder, {**files, "bad": Recording(tmp_path / "text.wav")}, batch_size=4, max_seconds=60)
    assert list(found.embeddings) == list(files)
    assert list(found.errors) == ["bad"]
    assert "text.wav" in found.errors["bad"]


def test_progress_counts_up_to_all_files(encoder, files):
    seen = []
    embed_files(encoder, files, batch_size=2, max_seconds=60, on_progress=lambda *counts: seen.append(counts))
    assert seen[-1] == (7, 7)
    assert seen == sorted(seen)


def test_long_audio_is_the_mean_of_equal_windows(encoder):
    waveform = torch.randn(1, 40_000)
    whole = embed_batch(encoder, waveform, max_seconds=1.0)
    thirds = [encoder(waveform[:, start : start + 13_333]) for start in (0, 13_333, 26_666)]
    assert whole == pytest.approx(torch.cat(thirds).mean(0, keepdim=True).detach().numpy(), abs=1e-5)


def test_audio_up_to_the_limit_is_embedded_whole(encoder):
    waveform = torch.randn(1, 16_000)
    assert torch.allclose(embed_batch(encoder, waveform, max_seconds=1.0), encoder(waveform), atol=1e-6)


def test_pending_audio_beyond_the_limit_is_embedded_early(encoder, files, monkeypatch):
    monkeypatch.setattr("mrlspk.inference.batching.MAX_PENDING_SAMPLES", 9000)
    found = embed_files(encoder, files, batch_size=100, max_seconds=60)
    assert list(found.embeddings) == list(files)


class Spoilt(torch.nn.Module):
    """Embeds files of 4,000 samples as a constant, others as ones."""

    min_samples = 400

    def __init__(self, value):
        super().__init__()
        self.value = torch.nn.Parameter(torch.tensor(value))

    def forward(self, waveform):
        ones = torch.ones(len(waveform), 8)
        return ones * self.value if waveform.shape[-1] == 4000 else ones


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0])
def test_embeddings_that_have_no_direction_are_errors_and_the_others_stay(files, value):
    seen = []
    found = embed_files(
        Spoilt(value), files, batch_size=4, max_seconds=60, on_progress=lambda *counts: seen.append(counts)
    )
    assert list(found.embeddings) == ["id0", "id2", "id3", "id5"]
    assert sorted(found.errors) == ["id1", "id4", "id6"]
    assert "1.wav" in found.errors["id1"]
    assert seen[-1] == (7, 7)


def test_a_crop_is_the_middle_of_the_file(encoder, tmp_path):
    samples = (0.1 * np.random.default_rng(1).normal(size=24_001)).astype(np.float32)
    soundfile.write(tmp_path / "whole.wav", samples, 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "middle.wav", samples[8000:16000], 16000, subtype="FLOAT")
    recordings = {
        "crop": Recording(tmp_path / "whole.wav", 0.5),
        "middle": Recording(tmp_path / "middle.wav"),
        "all": Recording(tmp_path / "whole.wav"),
    }
    found = embed_files(encoder, recordings, batch_size=1, max_seconds=60)
    assert list(found.embeddings) == ["crop", "middle", "all"]
    assert found.embeddings["crop"] == pytest.approx(found.embeddings["middle"], abs=1e-6)
    assert found.seconds == {"crop": 0.5, "middle": 0.5, "all": 24_001 / 16_000}


def test_a_file_shorter_than_its_crop_is_left_out_and_named(encoder, files):
    crops = {file_id: Recording(recording.path, 0.375) for file_id, recording in files.items()}  # 6,000 samples
    seen = []
    found = embed_files(encoder, crops, batch_size=4, max_seconds=60, on_progress=lambda *counts: seen.append(counts))
    assert list(found.embeddings) == ["id0", "id2", "id3", "id5"]
    assert found.too_short == ["id1", "id4", "id6"]
    assert not found.errors
    assert not set(found.too_short) & set(found.seconds)
    assert seen[-1] == (7, 7)


def test_a_crop_that_is_too_short_for_the_model_is_an_error(encoder, files):
    found = embed_files(encoder, {"crop": Recording(files["id0"].path, 0.01)}, batch_size=4, max_seconds=60)
    assert "too short: 160 samples" in found.errors["crop"]


def test_recordings_of_one_file_that_follow_each_other_are_decoded_once(encoder, files, monkeypatch):
    decoded = []
    load = embedding.load_audio
    monkeypatch.setattr(embedding, "load_audio", lambda path: decoded.append(path.name) or load(path))
    crops = {f"{id}-{crop}": Recording(files[id].path, crop) for id in ("id0", "id1") for crop in (None, 0.2, 0.1)}
    found = embed_files(encoder, crops, batch_size=4, max_seconds=60)
    assert decoded == ["0.wav", "1.wav"]
    assert list(found.embeddings) == list(crops)
