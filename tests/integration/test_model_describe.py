"""``model describe`` on speaker models of other toolkits, and the commands that take them as MODEL."""

import re
import shutil

import pytest
import yaml

from graphs import write_moments
from mrlspk.inference.speaker_models import separation
from mrlspk.workflows import describe_model
from speaker_graphs import SPEAKER_3D, WESPEAKER, write_speaker_graph


@pytest.fixture
def model(tmp_path):
    return write_speaker_graph(tmp_path / "m.onnx", WESPEAKER)


def test_recognised_model_shows_how_it_is_run(run, model):
    shown = run("model", "describe", model, "--json").json
    assert (shown["recognised_as"], shown["described_by"], shown["embed_dim"]) == ("wespeaker", "metadata", 160)
    assert shown["front_end"] == {
        "type": "kaldi-fbank", "bins": 80, "window": "hamming", "sample_scale": 32768, "mean": "utterance",
        "low_hz": 20.0, "high_hz": None, "snip_edges": True,
    }  # fmt: skip
    assert (shown["input"], shown["axes"], shown["output"]) == ("feats", ["batch", "time", "bins"], "embs")
    assert shown["check"] is None
    text = run("model", "describe", model).stdout
    assert re.search(r"high_hz +half the rate", text)
    assert "front end           kaldi-fbank" in text
    assert "feats (B, T, 80) float32 → embs (B, 160) float32" in text


def test_unknown_model_gets_a_draft_that_describes_it(run, tmp_path):
    path = write_speaker_graph(tmp_path / "x.onnx", inputs=(("in", ("B", "T", 64)),), output=("out", ("B", 128)))
    shown = run("model", "describe", path, "--json").json
    assert (shown["recognised_as"], shown["front_end"], shown["embed_dim"]) == (None, None, None)
    assert run("model", "describe", path).stdout.rstrip() == shown["yaml"].rstrip()
    done = run("model", "describe", path, "-o", tmp_path / "x.yaml")
    assert "x.onnx is not recognised. This is a draft of x.yaml:" in done.stderr
    assert f"description: {tmp_path / 'x.yaml'}\n" in done.stderr
    assert yaml.safe_load((tmp_path / "x.yaml").read_text())["front_end"]["bins"] == 64
    described = run("model", "describe", path, "--json").json
    assert (described["described_by"], described["embed_dim"]) == ("x.yaml", 128)
    again = run("model", "describe", path, "-o", tmp_path / "x.yaml")
    assert (again.exit_code, "--force" in again.stderr) == (1, True)


def test_written_description_is_the_one_in_use(run, model, tmp_path):
    before = run("model", "describe", model, "-o", tmp_path / "m.yaml", "--json").json
    after = run("model", "describe", model, "--json").json
    assert after["described_by"] == "m.yaml"
    assert after["notes"] == []
    assert {key: after[key] for key in ("front_end", "axes", "input", "output", "embed_dim")} == {
        key: before[key] for key in ("front_end", "axes", "input", "output", "embed_dim")
    }


def test_wrong_front_end_is_noticed_on_real_speech(run, shared, tmp_path, monkeypatch):
    """Without the mean the speakers of WeSpeaker's ResNet34 come close; with another window nothing can be seen."""
    for name, value in {"MOST_SPEAKERS": 4, "MOST_UTTERANCES": 2, "SECONDS": 2.0}.items():
        monkeypatch.setattr(describe_model, name, value)
    monkeypatch.delitem(separation.OTHERS, "sample_scale")
    path = tmp_path / "wespeaker.onnx"
    shutil.copy(shared / "pretrained" / "wespeaker-resnet34.onnx", path)
    speech = shared / "speech" / "test"
    right = run("model", "describe", path, "--check", speech, "--json").json["check"]
    assert right["separated"]
    assert right["better"] == {}
    (tmp_path / "wespeaker.yaml").write_text("front_end: {type: kaldi-fbank, sample_scale: 32768, mean: none}")
    wrong = run("model", "describe", path, "--check", speech, "--json").json
    assert {note.partition(",")[0] for note in wrong["notes"]} == {
        "wespeaker.yaml says window: povey", "wespeaker.yaml says mean: none",
    }  # fmt: skip
    assert list(wrong["check"]["better"]) == ["mean: utterance"]
    assert wrong["check"]["distance"] < right["distance"]


@pytest.mark.parametrize(
    ("name", "code", "what"),
    [
        ("a.pt", 2, "expected an ONNX file, got a.pt"),
        ("ours.onnx", 1, "was exported by mrlspk"),
        ("html.onnx", 1, "is not an ONNX file but a web page"),
        ("none.onnx", 1, "no such model file"),
    ],
)
def test_other_files_are_refused(run, tmp_path, name, code, what):
    (tmp_path / "a.pt").write_bytes(b"")
    (tmp_path / "html.onnx").write_text("<html>")
    write_moments(tmp_path / "ours.onnx")
    done = run("model", "describe", tmp_path / name)
    assert done.exit_code == code
    assert what in done.stderr


def test_check_needs_two_speakers_and_a_front_end(run, model, tmp_path, tiny_corpus):
    alone = tmp_path / "alone"
    shutil.copytree(next(path for path in sorted(tiny_corpus.root.iterdir()) if path.is_dir()), alone / "s1")
    done = run("model", "describe", model, "--check", alone)
    assert done.exit_code == 3
    assert "expected two speakers with two recordings each, found 1" in done.stderr
    unknown = write_speaker_graph(tmp_path / "x.onnx", inputs=(("in", ("B", "T", 64)),))
    assert "has no front end to check" in run("model", "describe", unknown, "--check", tiny_corpus.root).stderr


def test_commands_take_a_speaker_model(run, model, tiny_corpus):
    first, second = (tiny_corpus.root / name for name in tiny_corpus.utterance_ids[:2])
    verified = run("verify", first, second, "--model", model, "--json")
    assert verified.exit_code == 0, verified.stderr
    assert [score["dim"] for score in verified.json["scores"]] == [160]
    lists = ["--trials", tiny_corpus.trials, "--audio-root", tiny_corpus.root, "--json"]
    evaluated = run("eval", model, *lists)
    assert evaluated.exit_code == 0, evaluated.stderr
    other = write_speaker_graph(model.with_name("other.onnx"), SPEAKER_3D)
    compared = run("compare", model, other, *lists)
    assert compared.exit_code == 0, compared.stderr
    calibrated = run("calibrate", model, *lists)
    assert calibrated.exit_code == 0, calibrated.stderr
    assert run("verify", first, second, "--model", model, "--json").json["calibration"] is not None


def test_inspect_shows_a_speaker_model_of_the_family_onnx(run, model):
    shown = run("pretrained", "inspect", model, "--json").json
    assert (shown["family"], shown["embed_dim"], shown["dims"], shown["licence"]) == ("onnx", 160, [160], "unknown")
    assert shown["config"]["front_end"]["window"] == "hamming"
    assert shown["bytes"] == model.stat().st_size
    assert "recognised as  wespeaker" in run("pretrained", "inspect", model).stdout


def test_speaker_model_is_fetched_by_its_name(run, model, tmp_path, monkeypatch):
    name = "nemo_en_titanet_small"  # its SHA-256 is not known beforehand
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    model.rename(mirror / f"{name}.onnx")
    monkeypatch.setenv("MRLSPK_MIRROR", str(mirror))
    shown = run("pretrained", "inspect", name, "--json").json
    assert shown["path"] == str(tmp_path / "cache" / f"{name}.onnx")
    assert (shown["embed_dim"], shown["licence"]) == (160, "not confirmed; see its page in NVIDIA's catalogue")
    assert run("model", "describe", name, "--json").json["recognised_as"] == "wespeaker"
