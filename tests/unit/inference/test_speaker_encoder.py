import numpy as np
import pytest
import torch

import mrlspk
from factories import tiny_encoder
from mrlspk.errors import DataError, UsageError
from mrlspk.inference.speaker_encoder import SpeakerEncoder
from mrlspk.inference.torch_backend import TorchBackend


@pytest.fixture(scope="module")
def encoder():
    return SpeakerEncoder(TorchBackend(tiny_encoder((4, 8))))


@pytest.fixture
def samples():
    return (0.1 * np.random.default_rng(0).normal(size=8000)).astype(np.float32)


class Constant:
    """Embeds everything as one vector whose float32 square at unit length is above 1."""

    min_samples, dims, embed_dim, sample_rate = 400, (3,), 3, 16_000

    def __init__(self):
        rows = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0))
        units = torch.nn.functional.normalize(rows, dim=-1).numpy()
        self.row = rows.numpy()[int(np.argmax([float(unit @ unit) for unit in units]))]

    def embed(self, waveforms):
        return np.broadcast_to(self.row, (len(waveforms), 3))


def test_similarity_of_a_recording_with_itself_is_no_more_than_one(samples):
    assert SpeakerEncoder(Constant()).similarity(samples, samples) <= 1.0


def test_arrays_of_every_layout_give_the_embedding_of_their_samples(encoder, samples):
    expected = encoder.embed(samples)
    strided = np.repeat(samples, 2)[::2]
    for array in (samples[::-1].copy()[::-1], np.frombuffer(samples.tobytes(), np.float32), strided, list(samples)):
        assert encoder.embed(array) == pytest.approx(expected, abs=1e-6)
    assert encoder.embed(samples.astype(">f4")) == pytest.approx(expected, abs=1e-6)
    assert encoder.embed(torch.from_numpy(samples).double()) == pytest.approx(expected, abs=1e-6)


@pytest.mark.parametrize("audio", [None, b"audio", [[0.1], [0.2, 0.3]], np.zeros(8000, np.int16), np.zeros((2, 8000))])
def test_anything_but_audio_is_a_data_error(encoder, audio):
    with pytest.raises(DataError, match="expected floating-point samples"):
        encoder.embed(audio)


def test_width_that_the_model_lacks_is_named_as_a_parameter(encoder, samples):
    for dim in (6, 16):
        with pytest.raises(UsageError) as caught:
            encoder.embed(samples, dim=dim)
        assert "--" not in str(caught.value)
        assert "4, 8" in str(caught.value)


def test_unknown_device_is_a_usage_error(tmp_path):
    for name in ("gpu", "cuda:x", "xpu"):
        with pytest.raises(UsageError, match="expected auto, cpu, cuda, cuda:N or mps"):
            mrlspk.load(tmp_path / "model.pt", device=name)
