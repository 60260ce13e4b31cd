"""``mrlspk export`` of a speaker model of another toolkit: front end, model and transform as one graph."""

import json

import numpy as np
import onnxruntime
import openvino
import pytest
import soundfile
import torch

import mrlspk
from factories import write_tiny_model
from graphs import write_moments
from mrlspk.config.architecture import HeadArchitecture
from mrlspk.files import file_sha256
from mrlspk.inference import export_parity
from mrlspk.inference.one_graph import spectra
from mrlspk.inference.speaker_models.front_ends import KaldiFbank, build_front_end
from mrlspk.models.checkpoints import encoder_entries, save_checkpoint, schema
from mrlspk.models.checkpoints.bundled_base import BundledBase
from mrlspk.models.external_encoder import build_external_encoder
from mrlspk.models.graph_metadata import check_signal
from mrlspk.pretrained.registry import find_model
from mrlspk.rotation.transform import BaseFile, Transform
from mrlspk.rotation.transform_file import save_transform
from mrlspk.workflows import export_one_graph
from speaker_graphs import WESPEAKER, statistics, write_speaker_graph

WIDTH = 160
filter_banks = build_front_end(KaldiFbank(window="hamming", sample_scale=32768), 16_000)  # of WeSpeaker


@pytest.fixture
def world(tmp_path, monkeypatch):
    """A speaker model, a transform of it, and two recordings."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(export_parity, "CHECKED_SECONDS", (0.3, 1.0))  # longer signals take long
    path = write_speaker_graph(tmp_path / "base.onnx", WESPEAKER)
    base, rng = BaseFile(file="base.onnx", sha256=file_sha256(path)), np.random.default_rng(0)
    matrix = np.linalg.qr(rng.normal(size=(WIDTH, WIDTH)))[0]
    mean, scales = rng.normal(0, 0.05, WIDTH), rng.uniform(0.5, 1.5, WIDTH)
    transform = Transform(mean, matrix, scales, (16, WIDTH), True, 0.1, "scatter", None, base)
    save_transform(transform, tmp_path / "head.npz", force=False)
    for name, seconds in (("a", 1.0), ("b", 1.5)):
        soundfile.write(tmp_path / f"{name}.wav", check_signal(round(seconds * 16_000)), 16_000)
    return tmp_path


@pytest.fixture
def expected(world):
    """The transformed statistics of the recording a.wav, from their definitions."""
    vector = statistics(filter_banks(soundfile.read(world / "a.wav", dtype="float32")[0]))
    with np.load(world / "head.npz") as part:
        moved = (vector / np.linalg.norm(vector) - part["mean"]) @ part["matrix"].T * part["scales"]
    return moved / np.linalg.norm(moved)


def alone(world, *names):
    """Leave nothing but these files in the folder."""
    for path in world.iterdir():
        if path.name not in names:
            path.unlink()


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
def test_one_file_embeds_as_model_and_transform_with_nothing_beside_it(run, world, expected, backend):
    exported = run("export", "head.npz", "-o", "one.onnx", "--json")
    assert exported.exit_code == 0, exported.stderr
    assert exported.json["max_difference"] <= 1e-4
    assert exported.json["dims"] == [16, WIDTH]
    assert exported.json["transform"] == {"centred": True, "flatten": 0.1, "order": "scatter"}
    assert exported.json["base"]["file"] == "base.onnx"
    alone(world, "one.onnx", "a.wav")
    shown = run("embed", "a.wav", "--model", "one.onnx", "--backend", backend, "--speech", "all", "--json")
    assert shown.exit_code == 0, shown.stderr
    np.testing.assert_allclose(shown.json["embeddings"][0]["embedding"], expected, atol=1e-4)


@pytest.mark.usefixtures("world")
def test_exported_file_has_the_fingerprint_of_the_pair(run):
    exported = run("export", "head.npz", "-o", "one.onnx", "--json").json
    assert exported["fingerprint"] == run("embed", "a.wav", "--model", "head.npz", "--json").json["fingerprint"]
    model, pair = mrlspk.load("one.onnx"), mrlspk.load("head.npz")
    assert model.dims == (16, WIDTH)
    np.testing.assert_allclose(model.embed("a.wav", dim=16), pair.embed("a.wav", dim=16), atol=1e-4)
    compared = run("verify", "a.wav", "b.wav", "--model", "one.onnx", "--speech", "all", "--json")
    assert [each["dim"] for each in compared.json["scores"]] == [16, WIDTH]


@pytest.mark.usefixtures("world")
def test_graph_of_features_leaves_the_front_end_out_and_describes_it(run, expected):
    exported = run("export", "head.npz", "-o", "one.onnx", "--from", "features", "--json")
    assert exported.exit_code == 0, exported.stderr
    session = onnxruntime.InferenceSession("one.onnx")
    about = json.loads(session.get_modelmeta().custom_metadata_map["mrlspk"])
    assert about["input"] == "features"
    assert about["front_end"] == exported.json["front_end"]
    assert (about["front_end"]["window"], about["front_end"]["sample_scale"]) == ("hamming", 32768)
    features = filter_banks(soundfile.read("a.wav", dtype="float32")[0])
    vector = session.run(["embedding"], {"features": features[None]})[0][0]
    np.testing.assert_allclose(vector / np.linalg.norm(vector), expected, atol=1e-5)


def test_licence_is_that_of_the_base_model(run, world, monkeypatch):
    sha256, published = file_sha256(world / "base.onnx"), find_model("wespeaker_en_voxceleb_resnet34")
    monkeypatch.setattr(export_one_graph, "published_as", lambda found, _: published if found == sha256 else None)
    assert run("export", "head.npz", "-o", "one.onnx", "--json").json["licence"] == published.licence


@pytest.mark.usefixtures("world")
def test_openvino_file_computes_the_same(run, expected):
    exported = run("export", "head.npz", "-o", "one.xml", "--json")
    assert exported.exit_code == 0, exported.stderr
    compiled = openvino.Core().compile_model("one.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    vector = compiled([soundfile.read("a.wav", dtype="float32")[0][None]])[0][0]
    np.testing.assert_allclose(vector / np.linalg.norm(vector), expected, atol=1e-4)
    about = json.loads(openvino.Core().read_model("one.xml").get_rt_info("mrlspk").value)
    assert about["dims"] == [16, WIDTH]


def test_model_without_a_transform_is_exported_with_its_front_end(run, world):
    exported = run("export", "base.onnx", "-o", "one.onnx", "--json")
    assert exported.exit_code == 0, exported.stderr
    assert exported.json["transform"] is None
    assert exported.json["licence"] == "unknown"
    own = mrlspk.load("base.onnx").embed("a.wav", speech="all")
    alone(world, "one.onnx", "a.wav")
    np.testing.assert_allclose(mrlspk.load("one.onnx").embed("a.wav", speech="all"), own, atol=1e-4)


def test_calibration_beside_the_transform_decides_in_one_file(run, world):
    """A decision of the pair is one of the file: score 0.5 is above the threshold 0.4, at llr = 10 * score - 4."""
    llr = {"p_target": 0.5, "llr": 0.0, "score": 0.4}
    far = {"far": 0.01, "llr": 0.0, "score": 0.4, "p_fa": 0.01, "p_miss": 0.1}
    fingerprint = run("embed", "a.wav", "--model", "head.npz", "--json").json["fingerprint"]
    list_of = {"path": "list", "sha256": "a" * 64, "n_target": 1, "n_nontarget": 1, "speakers": ["a"]}
    width = {"scale": 10.0, "offset": -4.0, "duration_weight": None, "priors": [llr], "false_accepts": [far]}
    kept = {
        "version": 1,
        "fingerprint": fingerprint,
        "score_norm": "none",
        "top_n": None,
        "cohort": None,
        "quality": None,
    }
    kept |= {"seconds_range": [1.0, 2.0], "crop_seconds": [None], "fit_p_target": 0.5}
    kept |= {"trials": [list_of], "widths": [width | {"dim": dim} for dim in (16, WIDTH)]}
    (world / "head.calibration.json").write_text(json.dumps(kept))
    assert run("export", "head.npz", "-o", "one.onnx", "--json").json["calibrated"] is True
    pair = run("verify", "a.wav", "b.wav", "--model", "head.npz", "--speech", "all", "--json")
    alone(world, "one.onnx", "a.wav", "b.wav")
    found = run("verify", "a.wav", "b.wav", "--model", "one.onnx", "--speech", "all", "--json")
    assert found.exit_code == 0, found.stderr
    assert [each["llr"] for each in found.json["scores"]] == pytest.approx(
        [each["llr"] for each in pair.json["scores"]], abs=1e-2
    )


def test_graph_that_computes_something_else_is_not_kept(run, world, monkeypatch):
    monkeypatch.setattr(spectra, "kaldi_window", lambda _, length: np.ones(length))
    refused = run("export", "head.npz", "-o", "one.onnx")
    assert refused.exit_code == 1
    assert "the exported model differs from base.onnx by" in refused.stderr
    assert not (world / "one.onnx").exists()


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("head.npz", "-o", "one.ts"), 2, "head.npz has no PyTorch network, which torchscript needs"),
        (("head.npz", "-o", "one.safetensors"), 2, "Export it as onnx or openvino."),
        (("absent.npz", "-o", "one.onnx"), 1, "its base model absent.onnx is not beside it"),
        (("samples.onnx", "-o", "one.onnx", "--from", "features"), 2, "samples.onnx reads samples"),
    ],
)
def test_what_cannot_be_one_graph_is_refused(run, world, words, code, message):
    with np.load("head.npz") as part:
        np.savez("absent.npz", **dict(part) | {"base_file": "absent.onnx"})
    write_speaker_graph(world / "samples.onnx", None, inputs=(("x", ("B", 1, "n")),), output=("e", ("B", 1, 2)), axis=2)
    (world / "samples.yaml").write_text("front_end: waveform\noutput: e\n")
    refused = run("export", *words)
    assert (refused.exit_code, message in refused.stderr) == (code, True), refused.stderr
    assert not list(world.glob("one.*"))


def test_transform_of_a_checkpoint_names_the_way(run, world):
    write_tiny_model(world / "base.pt", (8, WIDTH))
    with np.load("head.npz") as part:
        named = {"base_file": "base.pt", "base_sha256": file_sha256(world / "base.pt")}
        np.savez("other.npz", **dict(part) | named)
    refused = run("export", "other.npz", "-o", "one.onnx")
    assert refused.exit_code == 1
    assert "base.pt: is a checkpoint, not an ONNX graph" in refused.stderr
    assert "mrlspk export base.pt -o base.onnx" in refused.stderr


def test_transform_of_a_model_that_we_exported_is_one_graph_too(run, world):
    base = BaseFile(file="ours.onnx", sha256=file_sha256(write_moments(world / "ours.onnx")))
    matrix = np.array([[0.6, 0.8], [-0.8, 0.6]])
    transform = Transform(np.array([0.1, 0.2]), matrix, np.ones(2), (1, 2), True, 0.0, "energy", None, base)
    save_transform(transform, world / "other.npz", force=False)
    exported = run("export", "other.npz", "-o", "one.onnx", "--json")
    assert exported.exit_code == 0, exported.stderr
    assert (exported.json["base"]["file"], exported.json["front_end"]["type"]) == ("ours.onnx", "waveform")
    found, expected = (mrlspk.load(name).embed("a.wav") for name in ("one.onnx", "other.npz"))
    np.testing.assert_allclose(found, expected, atol=1e-4)


@pytest.mark.parametrize("bundled", [False, True])
def test_head_checkpoint_becomes_one_graph_with_its_base_model(run, world, bundled):
    own = torch.from_numpy(mrlspk.load("base.onnx").embed("a.wav", speech="all"))
    base = BaseFile(file="base.onnx", sha256=file_sha256(world / "base.onnx"))
    architecture = HeadArchitecture(in_features=WIDTH, matryoshka_dims=(8, 24), base=base)
    torch.manual_seed(0)
    encoder = build_external_encoder(architecture).eval()
    entries = encoder_entries(encoder, architecture)
    if bundled:
        entries[schema.BASE_MODEL] = BundledBase((world / "base.onnx").read_bytes(), None).entry()
        (world / "base.onnx").unlink()
    save_checkpoint(world / "head.pt", entries)
    exported = run("export", "head.pt", "-o", "one.onnx", "--json")
    assert exported.exit_code == 0, exported.stderr
    assert (exported.json["dims"], exported.json["transform"]) == ([8, 24], None)
    assert exported.json["base"] == base.model_dump()
    with torch.inference_mode():
        expected = encoder.project(own[None])[0].numpy()
    alone(world, "one.onnx", "a.wav")
    found = mrlspk.load("one.onnx").embed("a.wav", speech="all")
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-4)
