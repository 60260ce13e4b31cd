"""``pretrained inspect`` and ``pretrained convert`` on files of every layout."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch

import mrlspk
from conformance.reference import read_reference, write_predecessor, write_published

FIRST, SECOND = "redimnet-opt-conv-hop240-tstp", "redimnet2-opt-freqpos-pt"


@pytest.fixture
def write_layout(tmp_path, write_model):
    """Write a file of a layout; return it with what the file says of itself."""

    def write(family):
        path = tmp_path / f"{family}.pt"
        if family == "mrlspk":
            return write_model(path), None
        if family == "redimnet-mrl":
            return write_predecessor(path), read_reference("redimnet-mrl-1.0.1")
        reference = read_reference(FIRST if family == "redimnet" else SECOND)
        return write_published(reference, path), reference

    return write


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "noise.wav"
    soundfile.write(path, 0.1 * np.random.default_rng(0).normal(size=16000), 16000)
    return path


@pytest.mark.parametrize("family", ["redimnet", "redimnet2", "redimnet-mrl", "mrlspk"])
def test_inspect_accounts_for_every_entry_of_every_layout(run, write_layout, family):
    path, reference = write_layout(family)
    found = run("pretrained", "inspect", path, "--json")
    assert found.exit_code == 0, found.stderr
    report = found.json
    assert (report["command"], report["family"], report["path"]) == ("pretrained inspect", family, str(path))
    assert report["bytes"] == path.stat().st_size
    transfer = report["transfer"]
    assert {key: transfer[key] for key in ("missing", "unexpected", "mismatched", "left_out", "coverage")} == {
        "missing": [], "unexpected": [], "mismatched": [], "left_out": [], "coverage": 1.0,
    }  # fmt: skip
    if reference:
        assert report["parameters"] == reference["parameters"]
        assert report["config"] == reference["config"]
        assert transfer["loaded"] == len(reference["state_dict"])
    dims = {"redimnet-mrl": [64, 128, 192, 256], "mrlspk": [4, 8]}.get(family, [192])
    assert (report["dims"], report["embed_dim"]) == (dims, dims[-1])


def test_inspect_shows_what_does_not_load_and_exits_1(run, write_layout):
    path, _ = write_layout("redimnet")
    contents = torch.load(path, weights_only=True)
    state = contents["state_dict"]
    values = sum(tensor.numel() for tensor in state.values())
    lost = state.pop("linear.weight").numel() + state["bn.bias"].numel()
    state["bn.bias"] = torch.zeros(3)
    state["cls_head.2.weight"], state["extra"] = torch.zeros(5, 192), torch.zeros(1)
    torch.save(contents, path)

    found = run("pretrained", "inspect", path, "--json")
    assert found.exit_code == 1
    assert "do not fit its own configuration" in found.stderr
    transfer = found.json["transfer"]
    assert transfer["missing"] == ["bn.bias", "linear.weight"]
    assert transfer["mismatched"] == ["bn.bias has shape (3,), expected (1152,)"]
    assert (transfer["unexpected"], transfer["left_out"]) == (["extra"], ["cls_head.2.weight"])
    assert transfer["coverage"] == pytest.approx((values - lost) / values)

    shown = run("pretrained", "inspect", path).stdout
    for text in ("redimnet", "linear.weight", "bn.bias has shape (3,)", "cls_head.2.weight", "stages_setup"):
        assert text in shown
    refused = run("embed", path, "--model", path)
    assert refused.exit_code == 1
    assert "missing linear.weight" in refused.stderr


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["pt", "safetensors"])
@pytest.mark.parametrize("family", ["redimnet", "redimnet2", "redimnet-mrl", "mrlspk"])
def test_converted_model_gives_the_same_embedding_bit_for_bit(run, write_layout, recording, tmp_path, family, suffix):
    path, _ = write_layout(family)
    output = tmp_path / f"converted.{suffix}"
    converted = run("pretrained", "convert", path, "-o", output, "--json")
    assert converted.exit_code == 0, converted.stderr
    assert (converted.json["family"], converted.json["path"]) == (family, str(output))
    before, after = (mrlspk.load(model, device="cpu") for model in (path, output))
    assert (converted.json["dims"], after.dims) == (list(before.dims), before.dims)
    for dim in before.dims:
        assert np.array_equal(after.embed(recording, dim=dim), before.embed(recording, dim=dim))
    inspected = run("pretrained", "inspect", output, "--json").json
    assert (inspected["family"], inspected["transfer"]["coverage"]) == ("mrlspk", 1.0)
    assert (inspected["sha256"], inspected["bytes"]) == (converted.json["sha256"], converted.json["bytes"])


def test_convert_needs_force_to_overwrite_and_a_known_suffix(run, write_layout, tmp_path):
    path, _ = write_layout("mrlspk")
    (tmp_path / "there.pt").write_text("mine")
    refused = run("pretrained", "convert", path, "-o", tmp_path / "there.pt")
    assert (refused.exit_code, (tmp_path / "there.pt").read_text()) == (1, "mine")
    assert run("pretrained", "convert", path, "-o", tmp_path / "there.pt", "--force").exit_code == 0
    refused = run("pretrained", "convert", path, "-o", tmp_path / "model.onnx")
    assert refused.exit_code == 2
    assert "--output: expected a file that ends in .pt or .safetensors" in refused.stderr


def test_safetensors_that_are_not_ours_are_refused(run, tmp_path):
    from safetensors.torch import save_file

    save_file({"linear.weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    refused = run("pretrained", "inspect", tmp_path / "other.safetensors")
    assert refused.exit_code == 1
    assert "without a configuration of mrlspk's" in refused.stderr
    (tmp_path / "cut.safetensors").write_bytes((tmp_path / "other.safetensors").read_bytes()[:-3])
    refused = run("pretrained", "inspect", tmp_path / "cut.safetensors")
    assert refused.exit_code == 1
    assert "is damaged or no safetensors file" in refused.stderr


@pytest.mark.process
def test_missing_safetensors_package_is_reported_with_a_fix(write_layout, tmp_path):
    path, _ = write_layout("mrlspk")
    hidden = "import sys; sys.modules['safetensors'] = None; from mrlspk.cli.app import main; main()"
    arguments = ["pretrained", "convert", str(path), "-o", str(tmp_path / "model.safetensors")]
    ended = subprocess.run([sys.executable, "-c", hidden, *arguments], capture_output=True, text=True, check=False)
    assert ended.returncode == 4, ended.stderr
    assert "pip install safetensors" in ended.stderr


def test_shared_backbone_is_accounted_for(run, shared):
    found = run("pretrained", "inspect", shared / "pretrained" / "redimnet-small-speech.pt", "--json").json
    assert (found["family"], found["embed_dim"], found["transfer"]["coverage"]) == ("redimnet", 192, 1.0)
    assert json.dumps(found["config"]["hop_length"]) == "240"
