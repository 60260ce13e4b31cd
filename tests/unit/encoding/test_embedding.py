import numpy as np
import pytest
import soundfile
import torch

from mrlspk.config.architecture import describe_architecture
from mrlspk.config.backbone import ReDimNetConfig
from mrlspk.encoding.embedding import embed_batch, embed_files
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
        found[f"id{number}"] = path
    return found


def test_batched_embeddings_equal_single_ones_in_the_order_given(encoder, files):
    together = embed_files(encoder, files, batch_size=2, max_seconds=60)
    assert list(together.embeddings) == list(files)
    for file_id, path in files.items():
        alone = embed_files(encoder, {file_id: path}, batch_size=1, max_seconds=60)
        assert together.embeddings[file_id] == pytest.approx(alone.embeddings[file_id], abs=1e-5)


def test_unreadable_files_are_listed_and_the_others_embedded(encoder, files, tmp_path):
    (tmp_path / "text.wav").write_text("not audio")
    found = embed_files(encoder, {**files, "bad": tmp_path / "text.wav"}, batch_size=4, max_seconds=60)
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
    monkeypatch.setattr("mrlspk.encoding.embedding.MAX_PENDING_SAMPLES", 9000)
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
