"""Published ONNX speaker models give the embeddings and features of the reference."""

import json

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

from mrlspk.cli.app import app
from mrlspk.inference.speaker_models.front_ends import KaldiFbank, build_front_end


@pytest.fixture(params=["wespeaker-resnet34", "campplus-zh-en"])
def model(request):
    return request.param


def test_published_models_embed_as_the_reference_does(model, shared, tmp_path, monkeypatch):
    monkeypatch.setenv("MRLSPK_CACHE_DIR", str(tmp_path))
    items = json.loads((shared / "golden" / "onnx" / f"{model}.json").read_text())["items"]
    files = [str(shared / "speech" / "test" / item["file"]) for item in items]
    path = str(shared / "pretrained" / f"{model}.onnx")
    done = CliRunner().invoke(app, ["embed", *files, "--model", path, "--speech", "all", "--json"])
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)["embeddings"]
    for entry, item in zip(found, items, strict=True):
        vector, expected = np.array(entry["embedding"]), np.array(item["embedding"])
        assert vector @ expected / np.linalg.norm(vector) / np.linalg.norm(expected) >= 0.99999
        np.testing.assert_allclose(vector, expected, atol=1e-4)


def test_filter_banks_are_those_of_the_reference(model, shared):
    document = json.loads((shared / "golden" / "onnx" / f"{model}.json").read_text())
    described = document["front_end"]
    front_end = KaldiFbank(window=described["window"], sample_scale=described["sample_scale"])
    for item in document["items"]:
        samples, _ = soundfile.read(shared / "speech" / "test" / item["file"], dtype="float32")
        features = build_front_end(front_end, 16_000)(samples)
        assert features.shape == (item["frames"], 80)
        np.testing.assert_allclose(features[0, :8], item["features_first_frame"], atol=1e-3)
