"""ReDimNet against vectors of the public reference implementation, by Python and by the command line."""

import json

import numpy as np
import pytest
import soundfile
import torch
from typer.testing import CliRunner

import mrlspk
from conformance.reference import AUDIO, NAMES, read_reference, write_published
from mrlspk.cli.app import app
from mrlspk.models.checkpoints import load_model

pytestmark = pytest.mark.slow

UNIT_TOLERANCE, RAW_TOLERANCE = 5e-5, 2e-4


@pytest.fixture(scope="module", params=NAMES)
def published(request, tmp_path_factory):
    """A reference and a checkpoint in the published layout that is filled by its rule."""
    reference = read_reference(request.param)
    return reference, write_published(reference, tmp_path_factory.mktemp(request.param) / "model.pt")


def crops(reference, shared):
    samples, rate = soundfile.read(shared / AUDIO, dtype="float32")
    assert rate == 16000
    return [(item, samples[item["start"] : item["stop"]]) for item in reference["items"]]


def unit(values):
    return np.asarray(values) / np.linalg.norm(values)


def test_state_dict_is_the_published_one(published):
    reference, path = published
    loaded = load_model(path).encoder
    assert sum(p.numel() for p in loaded.parameters()) == reference["parameters"]
    contents = torch.load(path, weights_only=True)["state_dict"]
    assert [[name, list(v.shape), str(v.dtype).removeprefix("torch.")] for name, v in contents.items()] == reference[
        "state_dict"
    ]


def test_features_pooled_values_and_embedding_agree(published, shared):
    reference, path = published
    encoder = load_model(path).encoder
    for item, samples in crops(reference, shared):
        waveform = torch.from_numpy(samples).unsqueeze(0)
        with torch.inference_mode():
            features, pooled = encoder.features(waveform)[0], encoder.pooled(waveform)
            embedding, pooled = encoder.project(pooled)[0], pooled[0]
        assert list(features.shape) == item["feature_shape"]
        assert float(features.std()) == pytest.approx(item["feature_std"], abs=1e-5)
        assert features[:8, 0].numpy() == pytest.approx(np.array(item["feature_first_frame"]), abs=1e-4)
        assert pooled[:16].numpy() == pytest.approx(np.array(item["pooled"]), abs=RAW_TOLERANCE)
        assert float(pooled.norm()) == pytest.approx(item["pooled_norm"], rel=1e-5)
        assert embedding.numpy() == pytest.approx(np.array(item["embedding"]), abs=RAW_TOLERANCE)


def test_loaded_encoder_gives_the_reference_at_unit_length(published, shared):
    reference, path = published
    encoder = mrlspk.load(path, device="cpu")
    for item, samples in crops(reference, shared):
        assert encoder.embed(samples, speech="all") == pytest.approx(unit(item["embedding"]), abs=UNIT_TOLERANCE)


@pytest.mark.parametrize("published", ["redimnet-b0", "redimnet2-b0"], indirect=True)
def test_embed_command_gives_the_reference_at_unit_length(published, shared, tmp_path):
    reference, path = published
    items = crops(reference, shared)
    files = [str(tmp_path / f"{number}.wav") for number in range(len(items))]
    for file, (_, samples) in zip(files, items, strict=True):
        soundfile.write(file, samples, 16000, subtype="PCM_16")
    result = CliRunner().invoke(
        app, ["embed", *files, "--speech", "all", "--model", str(path), "--json", "--device", "cpu"]
    )
    assert result.exit_code == 0, result.stderr
    found = json.loads(result.stdout)["embeddings"]
    assert [entry["id"] for entry in found] == files
    for entry, (item, _) in zip(found, items, strict=True):
        assert entry["dim"] == reference["config"]["embed_dim"]
        assert entry["embedding"] == pytest.approx(unit(item["embedding"]), abs=UNIT_TOLERANCE)
