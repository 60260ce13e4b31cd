import numpy as np
import onnx
import pytest
import torch

from mrlspk.config.architecture import BaseFile, HeadArchitecture
from mrlspk.errors import CheckpointError
from mrlspk.files import file_sha256
from mrlspk.inference.backend_registry import load_backend
from mrlspk.inference.embedding_map import EmbeddingMap
from mrlspk.inference.model_file import ModelFile
from mrlspk.models.checkpoints import encoder_entries, save_checkpoint
from mrlspk.models.checkpoints.bundled_base import BundledBase
from mrlspk.models.external_encoder import build_external_encoder
from speaker_graphs import WESPEAKER, speaker_graph


def test_a_map_takes_vectors_of_any_length():
    found = EmbeddingMap(np.array([[0.0, 2.0]]), np.array([1.0]), (1,)).apply(np.array([[3.0, 4.0], [30.0, 40.0]]))
    np.testing.assert_allclose(found, [[2.6], [2.6]], rtol=1e-6)


def test_the_fingerprint_depends_on_model_and_map_but_not_on_widths():
    weight, bias = np.eye(2), np.zeros(2)
    plain = EmbeddingMap(weight, bias, (2,))
    known = plain.fingerprint_on("model")
    assert known == EmbeddingMap(weight, bias, (1, 2)).fingerprint_on("model")
    changed = plain.fingerprint_on("other"), EmbeddingMap(2 * weight, bias, (2,)).fingerprint_on("model")
    assert len({known, *changed, EmbeddingMap(weight, bias + 1, (2,)).fingerprint_on("model")}) == 4


@pytest.fixture
def head(tmp_path):
    """Return the path of a head with random weights on a speaker model beside it, and the head."""
    base = tmp_path / "base.onnx"
    onnx.save(speaker_graph(WESPEAKER), base)
    torch.manual_seed(0)
    named = BaseFile(file=base.name, sha256=file_sha256(base))
    architecture = HeadArchitecture(in_features=160, matryoshka_dims=(8, 16), base=named)
    encoder = build_external_encoder(architecture).eval()
    save_checkpoint(tmp_path / "head.pt", encoder_entries(encoder, architecture))
    return tmp_path / "head.pt", encoder


def load(path, backend="auto", **options):
    return load_backend(ModelFile(path, str(path)), backend=backend, **options)


@pytest.mark.parametrize("backend", ["auto", "torch", "onnxruntime"])
def test_a_head_checkpoint_runs_after_its_base_model(head, backend, tmp_path):
    path, encoder = head
    waveforms = np.random.default_rng(0).uniform(-0.1, 0.1, (2, 16_000)).astype(np.float32)
    found = load(path, backend, cache_dir=tmp_path / "cache").backend
    vectors = load(path.with_name("base.onnx")).backend.embed(waveforms)
    unit = torch.nn.functional.normalize(torch.from_numpy(vectors), dim=1)
    with torch.inference_mode():
        expected = encoder.project(unit).numpy()
    np.testing.assert_allclose(found.embed(waveforms), expected, atol=1e-6)
    assert found.dims == (8, 16)


def test_a_base_model_that_is_absent_or_another_one_is_named(head):
    path, _ = head
    base = path.with_name("base.onnx")
    base.write_bytes(base.read_bytes() + b"\0")
    with pytest.raises(CheckpointError, match="expected the base model of"):
        load(path)
    base.unlink()
    with pytest.raises(CheckpointError, match="its base model base.onnx is not beside it"):
        load(path)


@pytest.mark.parametrize("name", ["", ".", "..", "../base.onnx", "/tmp/base.onnx", "folder/base.onnx"])
@pytest.mark.parametrize("bundled", [True, False])
def test_a_base_model_called_as_a_path_is_refused(head, name, bundled):
    path, encoder = head
    content = path.with_name("base.onnx").read_bytes()
    named = BaseFile(file="base.onnx", sha256=file_sha256(path.with_name("base.onnx")))
    architecture = HeadArchitecture(in_features=160, matryoshka_dims=(8, 16), base=named)
    entries = encoder_entries(encoder, architecture)
    entries["architecture"]["base"]["file"] = name
    if bundled:
        entries["base_model"] = BundledBase(content, None).entry()
    save_checkpoint(path, entries)
    with pytest.raises(CheckpointError, match="base.file: expected a file name as the base model, got a path"):
        load(path)


def test_a_base_model_of_a_name_too_long_for_a_file_is_absent(head):
    path, encoder = head
    named = BaseFile(file="x" * 300, sha256="0")
    architecture = HeadArchitecture(in_features=160, matryoshka_dims=(8, 16), base=named)
    save_checkpoint(path, encoder_entries(encoder, architecture))
    with pytest.raises(CheckpointError, match="is not beside it"):
        load(path)


def test_a_head_on_vectors_alone_takes_no_audio(tmp_path):
    architecture = HeadArchitecture(in_features=160, matryoshka_dims=(16,))
    save_checkpoint(tmp_path / "head.pt", encoder_entries(build_external_encoder(architecture), architecture))
    with pytest.raises(CheckpointError, match="names no base model") as caught:
        load(tmp_path / "head.pt")
    assert "train it with `init_from`" in caught.value.fix
