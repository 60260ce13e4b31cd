"""Published ONNX speaker models give the embeddings and features of the reference."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
import soundfile
import yaml
from typer.testing import CliRunner

from mrlspk.cli.app import app
from mrlspk.inference.speaker_models.description import Settings
from mrlspk.inference.speaker_models.front_ends import KaldiFbank, NemoMel, Waveform, build_front_end

PAGE = Path(__file__).parents[2] / "docs" / "any-model.md"


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


def test_descriptions_on_the_page_are_valid_and_its_keys_are_all():
    text = PAGE.read_text()
    blocks = [yaml.safe_load(block) for block in re.findall(r"```yaml\n(.*?)```", text, re.DOTALL)]
    assert [Settings.model_validate(block).front_end.window for block in blocks] == ["povey", "hamming"]
    front_ends = [*KaldiFbank.model_fields, *NemoMel.model_fields, *Waveform.model_fields]
    keys = {*front_ends, *Settings.model_fields} - {"type", "sample_rate"}
    table = text.partition("| key | values | default |")[2].partition("\n\n")[0]
    assert {key for key in keys if f"`{key}`" not in table and f"`{key}." not in table} == set()
