import threading

import numpy as np
import pytest
import torch

from mrlspk.config.architecture import HeadArchitecture
from mrlspk.errors import CheckpointError
from mrlspk.models.checkpoints import HeadOnlyError, encoder_entries, load_model, network_of, save_checkpoint
from mrlspk.models.external_encoder import ExternalEncoder, build_external_encoder, identity_head
from mrlspk.models.fingerprint import model_fingerprint


def two_values(waveforms):
    """Return first and last sample: embeddings of two values."""
    return waveforms[:, [0, -1]]


def test_the_identity_head_leaves_embeddings_of_unit_length_as_they_are():
    encoder = ExternalEncoder(identity_head(2), (2,), base_fingerprint=None)
    encoder.attach(two_values, min_samples=3)
    waveforms = torch.tensor([[3.0, 0.0, 4.0], [0.0, 1.0, -2.0]])
    found = encoder(waveforms).detach()
    np.testing.assert_allclose(found, [[0.6, 0.8], [0.0, -1.0]], atol=1e-6)
    assert encoder.min_samples == 3


def test_another_head_keeps_the_base_model():
    encoder = ExternalEncoder(identity_head(2), (2,), base_fingerprint="base")
    encoder.attach(two_values, min_samples=3)
    turned = encoder.rotated(np.array([[0.0, 1.0], [-1.0, 0.0]]), (1, 2))
    np.testing.assert_allclose(turned(torch.tensor([[3.0, 0.0, 4.0]])).detach(), [[0.8, -0.6]], atol=1e-6)
    assert (turned.dims, turned.base_fingerprint, turned.min_samples) == ((1, 2), "base", 3)


def test_without_a_base_model_only_the_head_works():
    encoder = ExternalEncoder(identity_head(2), (2,), base_fingerprint=None)
    assert encoder.project(torch.tensor([[0.6, 0.8]])).shape == (1, 2)
    with pytest.raises(RuntimeError, match="no base model"):
        encoder.pooled(torch.zeros(1, 3))


def test_the_fingerprint_of_the_base_model_is_a_part_of_its_own():
    one, other = (ExternalEncoder(identity_head(2), (2,), base_fingerprint=name) for name in ("one", "other"))
    assert model_fingerprint(one, without="head") != model_fingerprint(other, without="head")


def test_a_checkpoint_holds_the_head_and_names_the_base_model(tmp_path):
    torch.manual_seed(0)
    base = {"file": "base.onnx", "sha256": "0" * 64}
    architecture = HeadArchitecture(in_features=6, matryoshka_dims=(2, 4), base=base, fingerprint="f")
    encoder = build_external_encoder(architecture)
    save_checkpoint(tmp_path / "head.pt", encoder_entries(encoder, architecture))
    loaded = load_model(tmp_path / "head.pt")
    assert loaded.architecture == architecture
    assert all(name.startswith("head.") for name in loaded.encoder.state_dict())
    assert model_fingerprint(loaded.encoder) == model_fingerprint(encoder)


def test_what_needs_a_network_refuses_a_head(tmp_path):
    architecture = HeadArchitecture(in_features=6, matryoshka_dims=(4,))
    save_checkpoint(tmp_path / "head.pt", encoder_entries(build_external_encoder(architecture), architecture))
    loaded = load_model(tmp_path / "head.pt")
    with pytest.raises(HeadOnlyError, match="head on the embeddings of another model"):
        network_of(loaded, tmp_path / "head.pt")


def test_a_head_that_does_not_fit_its_description_is_refused(tmp_path):
    encoder = build_external_encoder(HeadArchitecture(in_features=6, matryoshka_dims=(4,)))
    wrong = HeadArchitecture(in_features=5, matryoshka_dims=(4,))
    save_checkpoint(tmp_path / "head.pt", encoder_entries(encoder, wrong))
    with pytest.raises(CheckpointError, match="do not fit"):
        load_model(tmp_path / "head.pt")


def test_windows_of_a_recording_have_a_mean_of_unit_length():
    encoder = ExternalEncoder(identity_head(2), (2,), base_fingerprint=None)
    found = encoder.mean_pooled([np.array([1, 0], np.float32), np.array([0, 1], np.float32)])
    np.testing.assert_allclose(found, [0.5**0.5] * 2, atol=1e-6)
    assert not np.isfinite(encoder.mean_pooled([np.array([1, 0], np.float32), np.array([-1, 0], np.float32)])).any()


def test_threads_embed_pieces_of_a_batch_in_order():
    pieces = []

    def embed(waveforms):
        pieces.append((len(waveforms), threading.get_ident()))
        return two_values(waveforms)

    encoder = ExternalEncoder(identity_head(2), (2,), base_fingerprint=None)
    encoder.attach(embed, min_samples=2, concurrency=2)
    waveforms = torch.randn(10, 3, generator=torch.Generator().manual_seed(0))
    expected = torch.nn.functional.normalize(waveforms[:, [0, 2]], dim=1)
    torch.testing.assert_close(encoder.pooled(waveforms), expected)
    assert sorted(size for size, _ in pieces) == [2, 4, 4]
    assert threading.get_ident() not in {thread for _, thread in pieces}
