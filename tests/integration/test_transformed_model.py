"""A transform beside an ONNX speaker model is a Matryoshka model for every command."""

import shutil

import numpy as np
import pytest
import soundfile

import mrlspk
from speaker_graphs import SPEAKER_3D, write_speaker_graph

N_SPEAKERS, WIDTH = 6, 160


@pytest.fixture
def world(tmp_path, monkeypatch):
    """Speakers, each with a tone of its own in noise, and a speaker model."""
    monkeypatch.chdir(tmp_path)
    rng, time = np.random.default_rng(0), np.arange(8000) / 16000
    for speaker in range(N_SPEAKERS):
        for number in range(3):
            path = tmp_path / "speech" / f"s{speaker}" / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            tone = 0.1 * np.sin(2 * np.pi * (300 + 250 * speaker + rng.normal()) * time)
            soundfile.write(path, tone + 0.01 * rng.normal(size=8000), 16000)
    write_speaker_graph(tmp_path / "base.onnx", SPEAKER_3D)
    return tmp_path


FIT = ("rotate", "base.onnx", "--speech", "speech", "-o", "head.npz", "--dims", "16", "--centre", "--flatten", 0.1)


def test_model_and_transform_embed_like_numpy(run, world):
    fitted = run(*FIT, "--json")
    assert fitted.exit_code == 0, fitted.stderr
    assert fitted.json["transform"] == {"centred": True, "flatten": 0.1, "order": "energy"}
    assert fitted.json["base"]["file"] == "base.onnx"
    assert (fitted.json["dims"], fitted.json["speakers"]) == ([16, WIDTH], N_SPEAKERS)
    path = "speech/s1/0.wav"
    own = mrlspk.load("base.onnx").embed(path).astype(np.float64)
    with np.load(world / "head.npz") as part:
        moved = (own / np.linalg.norm(own) - part["mean"]) @ part["matrix"].T * part["scales"]
    for dim in (16, WIDTH):
        shown = run("embed", path, "--model", "head.npz", "--speech", "all", "--dim", dim, "--json")
        assert shown.exit_code == 0, shown.stderr
        expected = moved[:dim] / np.linalg.norm(moved[:dim])
        assert shown.json["embeddings"][0]["embedding"] == pytest.approx(expected, abs=1e-5)
    assert mrlspk.load("head.npz").embed(path, dim=16) == pytest.approx(
        moved[:16] / np.linalg.norm(moved[:16]), abs=1e-5
    )


def test_verify_and_eval_take_the_transformed_model(run, world):
    assert run(*FIT).exit_code == 0
    (world / "trials.txt").write_text(
        "1 s0/0.wav s0/1.wav\n1 s2/0.wav s2/1.wav\n0 s0/0.wav s2/1.wav\n0 s1/0.wav s2/0.wav\n"
    )
    scored = run("eval", "head.npz", "--trials", "trials.txt", "--audio-root", "speech", "--json")
    assert scored.exit_code == 0, scored.stderr
    assert [each["dim"] for each in scored.json["trials"][0]["results"]] == [16, WIDTH]
    verified = run("verify", "speech/s0/0.wav", "speech/s0/1.wav", "--model", "head.npz", "--speech", "all", "--json")
    assert verified.exit_code == 0, verified.stderr
    assert [each["dim"] for each in verified.json["scores"]] == [16, WIDTH]


@pytest.mark.parametrize("case", ["absent", "other", "vectors", "path", "bf16", "openvino"])
def test_transform_without_its_model_is_refused(run, world, case):
    assert run(*FIT).exit_code == 0
    words = ["embed", "speech/s0/0.wav", "--model", "head.npz"]
    if case == "absent":
        (world / "base.onnx").unlink()
        message = "head.npz: its base model base.onnx is not beside it"
    elif case == "other":
        write_speaker_graph(world / "base.onnx", SPEAKER_3D | {"comment": "another"})
        message = "base.onnx: expected the base model of head.npz, with the SHA-256 "
    else:
        with np.load(world / "head.npz") as file:
            arrays = dict(file)
        if case == "vectors":
            del arrays["base_file"]
            message = "head.npz: is a transform of vectors, and names no base model"
        elif case == "path":
            arrays["base_file"] = np.array("../base.onnx")
            message = "head.npz: holds no transform: expected a file name as the base model, got a path"
        elif case == "openvino":
            words += ["--backend", "openvino"]
            message = "--backend: an ONNX speaker model of another toolkit runs in ONNX Runtime only"
        else:
            words += ["--precision", "bf16"]
            message = "--precision: a .npz model runs in f32"
        np.savez(world / "head.npz", **arrays)
    outcome = run(*words)
    assert outcome.exit_code == {"bf16": 2, "openvino": 2, "path": 3}.get(case, 1)
    assert message in outcome.stderr


def test_transform_away_from_its_model_is_refused_before_any_work(run, world):
    (world / "models").mkdir()
    shutil.move(world / "base.onnx", world / "models" / "base.onnx")
    outcome = run("rotate", "models/base.onnx", "--speech", "speech", "-o", "head.npz")
    assert outcome.exit_code == 2
    assert "--output: expected the folder of the model, models" in outcome.stderr
    assert not (world / "head.npz").exists()


def test_compare_pairs_the_transformed_model_with_its_base(run, world):
    assert run(*FIT).exit_code == 0
    (world / "trials.txt").write_text("1 s0/0.wav s0/1.wav\n0 s0/0.wav s2/1.wav\n0 s1/0.wav s2/0.wav\n")
    outcome = run("compare", "head.npz", "base.onnx", "--trials", "trials.txt", "--audio-root", "speech", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.json["models"] == ["head.npz", "base.onnx"]
    assert [each["dim"] for each in outcome.json["trials"][0]["results"]] == [WIDTH]


@pytest.mark.usefixtures("world")
def test_inspect_shows_the_transform_and_its_base(run):
    fitted = run(*FIT, "--json")
    shown = run("pretrained", "inspect", "head.npz", "--json")
    assert shown.exit_code == 0, shown.stderr
    for key in ("transform", "base", "fingerprint", "speech", "speech_detector", "dims", "sha256", "bytes"):
        assert shown.json[key] == fitted.json[key]
    assert shown.json["embed_dim"] == WIDTH
    assert (shown.json["speech"], shown.json["speech_detector"]) == ("all", None)
    text = run("pretrained", "inspect", "head.npz").stdout
    assert "base model  base.onnx" in text
    assert "fitted to   whole recordings" in text
    cut = run(*FIT, "--speech-detector", "auto", "--force", "--json").json
    assert (cut["speech"], bool(cut["speech_detector"])) == ("auto", True)
    assert run("pretrained", "inspect", "head.npz", "--json").json["speech_detector"] == cut["speech_detector"]


@pytest.mark.usefixtures("world")
def test_transform_as_a_checkpoint_is_refused_in_plain_words(run):
    assert run(*FIT).exit_code == 0
    outcome = run("pretrained", "convert", "head.npz", "-o", "out.pt")
    assert outcome.exit_code == 1
    assert "head.npz: is a transform of the embeddings of a model, which has no PyTorch network" in outcome.stderr


def test_speaker_model_as_a_checkpoint_is_refused_with_the_way(run, world):
    outcome = run("rotate", "base.onnx", "--speech", "speech", "-o", "head.pt")
    assert outcome.exit_code == 1
    assert "`mrlspk rotate` writes a transform, as FILE.npz" in outcome.stderr
    assert not (world / "head.pt").exists()


def test_method_of_rotations_is_refused_for_a_transform(run, world):
    outcome = run(*FIT[:6], "--method", "svd")
    assert outcome.exit_code == 2
    assert "--method: a transform is fitted by no method of rotations" in outcome.stderr
    assert not (world / "head.npz").exists()
