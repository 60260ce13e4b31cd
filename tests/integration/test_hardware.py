"""``mrlspk train`` with section ``hardware``: compilation, channels last, precision, checkpointing."""

import json

import torch

ONE_EPOCH = "--set", "training.num_epochs=1", "--set", "training.freeze_backbone_epochs=0"
ANEW, LAST = "hardware.gradient_checkpointing=true", "hardware.channels_last=true"


def weights(folder):
    return torch.load(folder / "last.pt", weights_only=True)["model"]


def test_gradient_checkpointing_trains_the_same_model(train, tmp_path):
    for name, extra in (("plain", ()), ("anew", ("--set", ANEW))):
        outcome = train(*ONE_EPOCH, *extra, name=name)
        assert outcome.exit_code == 0, outcome.stderr
    plain, anew = (weights(tmp_path / "checkpoints" / name) for name in ("plain", "anew"))
    assert plain.keys() == anew.keys()
    assert all(torch.equal(values, anew[name]) for name, values in plain.items())


def test_bf16_channels_last_run_is_validated_saved_and_resumed(train, tmp_path):
    options = "--set", "hardware.precision=bf16", "--set", LAST, "--set", ANEW
    for epochs, resume in ((1, ()), (2, ("--resume", "auto", "--allow-changes"))):
        outcome = train(*ONE_EPOCH, *options, "--set", f"training.num_epochs={epochs}", *resume, name="half")
        assert outcome.exit_code == 0, outcome.stderr
    folder = tmp_path / "checkpoints" / "half"
    assert all(values.dtype in {torch.float32, torch.int64} for values in weights(folder).values())
    steps = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    steps = [entry for entry in steps if entry["event"] == "step"]
    assert {entry["epoch"] for entry in steps} == {1, 2}
    assert all(0 <= entry["waiting_share"] <= 1 and entry["memory_mib"] > 0 for entry in steps)
