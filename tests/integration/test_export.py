"""``mrlspk export``: every format, what it keeps, what it refuses, and the exported file in the other commands."""

import json
import sys

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
import torch

from factories import TINY2, write_tiny_model, write_voices
from integration.conftest import TinyCorpus
from mrlspk.models.checkpoints import load_model
from mrlspk.models.graph_metadata import check_signal

TOLERANCE = 1e-4


@pytest.fixture
def model(write_model, tmp_path):
    return write_model(tmp_path / "run" / "best.pt")


@pytest.fixture
def graph(run, model, tmp_path):
    """The model as an .onnx file."""
    assert run("export", model, "-o", tmp_path / "model.onnx").exit_code == 0
    return tmp_path / "model.onnx"


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def signals(n_samples, batch):
    return np.stack([check_signal(n_samples + 50 * batch)[50 * row :][:n_samples] for row in range(batch)])


def expected(encoder, waveforms):
    with torch.inference_mode():
        return encoder(torch.from_numpy(waveforms)).numpy()


def open_file(path, name):
    """Return the function that a file computes and its description, by libraries of others alone."""
    if path.suffix == ".onnx":
        session = onnxruntime.InferenceSession(path)
        return lambda x: session.run(["embedding"], {name: x})[0], session.get_modelmeta().custom_metadata_map["mrlspk"]
    if path.suffix == ".xml":
        found = openvino.Core().read_model(path)
        compiled = openvino.Core().compile_model(found, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        return lambda x: compiled([x])[0], found.get_rt_info("mrlspk").value
    extra = {"mrlspk": ""}
    with pytest.warns(DeprecationWarning, match="deprecated"):
        module = torch.jit.load(path, _extra_files=extra)
    return lambda x: module(torch.from_numpy(x)).detach().numpy(), extra["mrlspk"]


@pytest.mark.parametrize("source", ["waveform", "features"])
@pytest.mark.parametrize("suffix", ["onnx", "ts", "xml"])
def test_exported_file_gives_the_embeddings_of_pytorch(run, model, tmp_path, suffix, source):
    path = tmp_path / "out" / f"model.{suffix}"
    exported = run("export", model, "-o", path, "--from", source, "--json")
    assert exported.exit_code == 0, exported.stderr
    embed, description = open_file(path, source)
    encoder = load_model(model).encoder
    for n_samples, batch in ((encoder.min_samples, 1), (4_800, 5), (48_001, 2)):
        waveforms = signals(n_samples, batch)
        values = waveforms if source == "waveform" else encoder.features(torch.from_numpy(waveforms)).numpy()
        assert unit(embed(values)) == pytest.approx(unit(expected(encoder, waveforms)), abs=TOLERANCE)
    described = json.loads(description)
    assert (described["input"], described["dims"], described["licence"]) == (source, [4, 8], "unknown")
    assert described["fingerprint"] == exported.json["fingerprint"]
    assert exported.json["max_difference"] <= TOLERANCE
    assert exported.json["cosine"] > 1 - TOLERANCE
    names = {path.name, "model.bin"} if suffix == "xml" else {path.name}
    assert {each.name for each in path.parent.iterdir()} == names
    assert exported.json["bytes"] == sum(each.stat().st_size for each in path.parent.iterdir())


def test_safetensors_are_the_checkpoint(run, model, tmp_path):
    path = tmp_path / "model.safetensors"
    assert run("export", model, "-o", path, "--json").json["max_difference"] == 0
    waveforms = signals(8_000, 2)
    assert np.array_equal(*(expected(load_model(each).encoder, waveforms) for each in (model, path)))


@pytest.mark.parametrize(
    "arguments",
    [
        ["-o", "model.pth"],
        ["-o", "model.onnx", "--format", "torchscript"],
        ["-o", "model.safetensors", "--from", "features"],
    ],
)
def test_requests_that_contradict_themselves_exit_2(run, model, tmp_path, monkeypatch, arguments):
    monkeypatch.chdir(tmp_path)
    refused = run("export", model, *arguments)
    assert refused.exit_code == 2
    assert "--output" in refused.stderr or "--from" in refused.stderr
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("model")] == []


def test_existing_file_needs_force(run, model, tmp_path):
    for name, suffix in (("model.bin", "xml"), ("model.onnx", "onnx")):
        (tmp_path / name).write_text("mine")
        refused = run("export", model, "-o", tmp_path / f"model.{suffix}")
        assert (refused.exit_code, (tmp_path / name).read_text()) == (1, "mine")
        assert run("export", model, "-o", tmp_path / f"model.{suffix}", "--force").exit_code == 0
        assert (tmp_path / name).read_bytes() != b"mine"


@pytest.mark.parametrize("factor", [1.01, float("nan")])
def test_file_that_differs_from_pytorch_is_not_kept(run, model, tmp_path, monkeypatch, factor):
    from mrlspk.models.export import onnx_file

    class Wrong(onnx_file.ExportedEncoder):
        def forward(self, x):
            return super().forward(x) * torch.linspace(1, factor, self.head.out_features)

    monkeypatch.setattr(onnx_file, "ExportedEncoder", Wrong)
    refused = run("export", model, "-o", tmp_path / "model.onnx")
    assert refused.exit_code == 1
    assert "differs from PyTorch" in refused.stderr
    assert not list(tmp_path.glob("model*"))


def test_exported_file_verifies_and_is_inspected_like_its_checkpoint(run, model, graph, tmp_path):
    voices = write_voices(tmp_path / "corpus", 2, seconds=1.5, syllables=True)
    pair = voices / "speaker0/a/1.wav", voices / "speaker1/a/1.wav"
    here, there = (run("verify", *pair, "--model", each, "--json").json for each in (model, graph))
    assert here["fingerprint"] == there["fingerprint"]
    for mine, its in zip(here["scores"], there["scores"], strict=True):
        assert mine["dim"] == its["dim"]
        assert mine["cosine"] == pytest.approx(its["cosine"], abs=TOLERANCE)
    inspected = run("pretrained", "inspect", graph, "--json")
    assert inspected.exit_code == 0, inspected.stderr
    found = inspected.json
    assert (found["family"], found["dims"], found["embed_dim"], found["format"]) == ("mrlspk", [4, 8], 8, "onnx")
    assert (found["fingerprint"], found["calibrated"]) == (here["fingerprint"], False)
    assert "4, 8" in run("pretrained", "inspect", graph).stdout
    again = run("export", graph, "-o", tmp_path / "again.onnx")
    assert again.exit_code == 1
    assert "Give a PyTorch checkpoint" in again.stderr


@pytest.fixture
def calibrated(run, model, tmp_path):
    """A corpus, the model calibrated on it, and its export without the calibration file."""
    corpus = TinyCorpus(write_voices(tmp_path / "corpus", seconds=1.5, syllables=True), tmp_path / "trials.txt")
    corpus.write_all_trials()
    trials = "--trials", corpus.trials, "--audio-root", corpus.root
    assert run("calibrate", model, *trials, "--far", 0.1).exit_code == 0
    path = tmp_path / "elsewhere" / "model.onnx"
    assert run("export", model, "-o", path, "--json").json["calibrated"] is True
    return corpus, path


def test_exported_calibration_decides_as_the_one_beside_the_checkpoint(run, model, calibrated):
    corpus, graph = calibrated
    pair = corpus.root / "speaker0/a/1.wav", corpus.root / "speaker1/a/1.wav"
    here, there = (run("verify", *pair, "--model", each, "--far", 0.1, "--json").json for each in (model, graph))
    assert there["calibration"]["path"] == str(graph)
    assert here["decision"] == there["decision"]
    for mine, its in zip(here["scores"], there["scores"], strict=True):
        assert (its["same"], its["threshold"]) == (mine["same"], mine["threshold"])
        assert its["llr"] == pytest.approx(mine["llr"], rel=1e-3)


def test_exported_file_is_evaluated_compared_and_calibrated(run, model, calibrated):
    corpus, graph = calibrated
    trials = "--trials", corpus.trials, "--audio-root", corpus.root
    here, there = (run("eval", each, *trials, "--json").json for each in (model, graph))
    for mine, its in zip(here["trials"][0]["results"], there["trials"][0]["results"], strict=True):
        assert (mine["dim"], mine["eer"]) == (its["dim"], pytest.approx(its["eer"], abs=1e-3))
        assert its["cllr"] == pytest.approx(mine["cllr"], rel=1e-2)
    assert run("compare", model, graph, *trials, "--json").exit_code == 0
    fitted = run("calibrate", graph, *trials, "--json")
    assert fitted.exit_code == 0, fitted.stderr
    assert fitted.json["path"] == str(graph.with_name("model.calibration.json"))


def test_damaged_calibration_in_an_exported_file_is_refused(run, calibrated):
    corpus, graph = calibrated
    damaged = onnx.load(graph)
    (entry,) = damaged.metadata_props
    described = json.loads(entry.value)
    described["calibration"]["fingerprint"] = "another"
    entry.value = json.dumps(described)
    onnx.save(damaged, graph)
    pair = corpus.root / "speaker0/a/1.wav", corpus.root / "speaker1/a/1.wav"
    refused = run("verify", *pair, "--model", graph)
    assert refused.exit_code == 1
    assert "its calibration belongs to another model" in refused.stderr


def test_redimnet2_model_exports(run, tmp_path):
    model = write_tiny_model(tmp_path / "second.pt", (4, 8), backbone=TINY2)
    assert run("export", model, "-o", tmp_path / "second.onnx", "--json").json["max_difference"] <= TOLERANCE


def test_embed_without_openvino_says_what_to_install(run, graph, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    voices = write_voices(tmp_path / "voices", 1)
    result = run("embed", voices, "--model", graph, "--backend", "openvino")
    assert result.exit_code == 4
    assert "pip install 'mrlspk[openvino]'" in result.stderr
