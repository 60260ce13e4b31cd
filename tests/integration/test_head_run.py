"""``mrlspk train`` of the head on stored vectors: from the rotation to the verdict, stopped and resumed."""

import json
import re
import shutil

import numpy as np
import pytest
import torch

import mrlspk
from head_runs import linear, load, moved, ran, same, sets
from mrlspk.training.step import StepResult

pytestmark = pytest.mark.slow


def test_head_run_leaves_rotation_trained_head_and_the_better_one(head, checkpoints):
    report, folder = ran(head(name="one")), checkpoints / "one"
    assert sorted(path.name for path in folder.iterdir() if path.suffix != ".md") == [
        "best.card.json", "best.pt", "config.yaml", "corpus.txt.gz", "epoch-001.pt", "epoch-002.pt", "epoch-003.pt",
        "last.pt",
        "metrics.jsonl", "rotation.card.json", "rotation.pt", "trained.card.json", "trained.pt",
        "validation-trials.txt",
    ]  # fmt: skip
    assert (report["epochs"], report["last_checkpoint"]) == (3, "checkpoints/one/last.pt")
    baselines, verdict = report["baselines"], report["verdict"]
    assert set(baselines["rotation"]) == set(baselines["truncation"]) == {"4", "8"}
    assert (baselines["own_dim"], baselines["own"]) == (8, baselines["rotation"]["8"])
    assert [width["dim"] for width in verdict["widths"]] == [4, 8]
    assert {str(width["dim"]): width["rotation"] for width in verdict["widths"]} == baselines["rotation"]
    trained = load(folder / "trained.pt")
    assert trained["progress"]["epoch"] == trained["progress"]["best_epoch"]
    assert {str(dim): eer for dim, eer in trained["validation"]["eer"].items()} == {
        str(width["dim"]): width["trained"] for width in verdict["widths"]
    }
    kept, best = load(folder / f"{verdict['kept']}.pt"), load(folder / "best.pt")
    assert same(kept["model"], best["model"])
    assert best["verdict"]["reason"] == verdict["reason"]
    assert {"rotation", "own_head", "baselines"} <= best.keys()


def test_rotation_keeps_full_width_cosines_and_is_in_the_checkpoint(head, single_width, checkpoints, tiny_corpus):
    ran(head("training.num_epochs=1", "head.rotation=svd", name="one"))
    files = [tiny_corpus.root / each for each in tiny_corpus.utterance_ids]
    before, after = (
        np.stack([mrlspk.load(path).embed(file) for file in files]).astype(np.float64)
        for path in (single_width, checkpoints / "one" / "rotation.pt")
    )
    assert np.abs(after @ after.T - before @ before.T).max() < 1e-5
    entry = load(checkpoints / "one" / "rotation.pt")["rotation"]
    matrix = np.array(entry["matrix"])
    assert entry["method"] == "svd"
    rotated = matrix @ load(single_width)["model"]["head.linear.weight"].double().numpy()
    assert np.allclose(linear(checkpoints / "one" / "rotation.pt").numpy(), rotated, atol=1e-6)


def test_second_run_reads_no_audio(head, monkeypatch, tmp_path):
    first = ran(head(name="first"))
    stored = {path: path.stat().st_mtime_ns for path in (tmp_path / "features").rglob("*.npy")}
    assert len({path.parent for path in stored}) == 3  # crops, whole utterances, those of validation

    def refuse(*_arguments, **_options):
        raise AssertionError("audio was read")

    for name in ("mrlspk.data.crops.dataset.random_crop", "mrlspk.inference.decoding.open_audio"):
        monkeypatch.setattr(name, refuse)
    again = ran(head(name="second"))
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "features").rglob("*.npy")} == stored
    assert again["verdict"] == first["verdict"]


def test_dry_run_tells_the_vectors_and_writes_nothing(head, tmp_path):
    before = {*tmp_path.iterdir()}
    plan = ran(head("features.crops_per_utterance=3", "features.dtype=float32", flags=["--dry-run"]))
    assert plan["stored_vectors"] == 8 * 2 * 3  # utterances of two speakers, at two speeds
    n_features = load(tmp_path / "origin.pt")["model"]["head.linear.weight"].shape[1]
    values = plan["stored_vectors"] * n_features * 4
    assert values < plan["stored_bytes"] < values + 3 * 256  # the headers of its three shards
    assert plan["trained_parameters"] == 8 * n_features + 8 + 4 * 8
    assert {*tmp_path.iterdir()} == before


@pytest.mark.parametrize("trained", ["linear", "orthogonal"])
def test_epoch_moves_linear_layer_and_prototypes_only(head, single_width, checkpoints, trained):
    ran(head(f"head.trained={trained}", "training.num_epochs=1", name="one"))
    start, last = (load(checkpoints / "one" / name) for name in ("rotation.pt", "last.pt"))
    for before in (load(single_width), start):
        assert moved(before["model"], last["model"]) == {"head.linear.weight", "head.linear.bias"}
    assert moved(start["criterion"], last["criterion"]) == {"loss.weight"}
    assert any(name.endswith("running_var") for name in last["model"])


@pytest.mark.parametrize(
    "settings",
    [
        ["head.trained=linear", "head.start_decay=5", "loss.n_dims_per_step=1"],
        ["head.trained=linear", "head.flatten=0.3", "loss.distillation_weight=0.5", "loss.type=SubCenter"],
        ["head.trained=orthogonal", "head.start_decay=5", "loss.n_dims_per_step=1", "loss.distillation_weight=0.5"],
    ],
    ids=["decay", "flattened", "orthogonal"],
)
def test_resumed_run_equals_the_uninterrupted_one(head, run, checkpoints, settings):
    report = ran(head(*settings, name="whole"))
    whole, again = checkpoints / "whole", checkpoints / "again"
    again.mkdir()
    for path in [*whole.glob("rotation.pt"), *whole.glob("start.pt")]:
        (again / path.name).write_bytes(path.read_bytes())
    for name in ("trained.pt", "last.pt"):  # the first epoch is the best so far
        (again / name).write_bytes((whole / "epoch-001.pt").read_bytes())
    resumed = ran(run("train", "--resume", again, "--json"))
    first, second = load(whole / "last.pt"), load(again / "last.pt")
    for part in ("model", "criterion", *({"turn"} & first.keys())):
        assert same(first[part], second[part]), part
    for key, state in first["optimiser"]["state"].items():
        assert same(state, second["optimiser"]["state"][key])
    assert torch.equal(first["random_states"][0]["torch"], second["random_states"][0]["torch"])
    assert torch.equal(first.get("draws", torch.empty(0)), second.get("draws", torch.empty(0)))
    assert (first["progress"], first["validation"]) == (second["progress"], second["validation"])
    assert (report["verdict"], report["baselines"]) == (resumed["verdict"], resumed["baselines"])
    assert same(load(whole / "best.pt")["model"], load(again / "best.pt")["model"])


def test_run_killed_before_its_first_step_starts_again(head, run, checkpoints, monkeypatch):
    ran(head("head.flatten=0.3", "training.num_epochs=1", name="whole"))

    def kill(*_arguments):
        raise RuntimeError("killed")

    with monkeypatch.context() as patch:
        patch.setattr("mrlspk.workflows.train.fit", kill)
        with pytest.raises(RuntimeError, match="killed"):
            head("head.flatten=0.3", "training.num_epochs=1", name="one")
    folder = checkpoints / "one"
    assert {path.name for path in folder.glob("*.pt")} == {"rotation.pt", "start.pt"}
    refused = head("training.num_epochs=1", name="one")
    assert (refused.exit_code, "--resume" in refused.stderr) == (1, True)
    by_path = run("train", "--resume", folder)
    assert by_path.exit_code == 1
    assert "stopped before its first step" in " ".join(by_path.stderr.split())
    assert "logging.run_name=one" in by_path.stderr
    settings = sets(
        "model.backbone=null",
        "model.pretrained.use_pretrained=true",
        "model.pretrained.pretrained_checkpoint=origin.pt",
        "training.freeze_backbone_epochs=null",
        "head.centre=false",
        "head.flatten=0.3",
        "loss.margin_shares={4: 0.5}",
        "training.num_epochs=1",
        "logging.run_name=one",
    )
    outcome = run("train", "--config", "tiny.yaml", *settings, "--resume", "auto", "--json")
    ran(outcome)
    assert "starts again" in outcome.stderr
    assert same(load(checkpoints / "whole" / "last.pt")["model"], load(folder / "last.pt")["model"])


def test_copy_of_a_run_resumes_from_an_earlier_epoch(head, run, checkpoints):
    ran(head("head.flatten=0.3", name="whole"))
    whole, copy = checkpoints / "whole", checkpoints / "copy"
    refused = run("train", "--resume", whole / "epoch-001.pt")
    assert (refused.exit_code, "copy the folder and rename the checkpoint" in " ".join(refused.stderr.split())) == (
        1,
        True,
    )
    shutil.copytree(whole, copy)
    (copy / "epoch-001.pt").rename(copy / "last.pt")
    ran(run("train", "--resume", copy, "--json"))
    assert same(load(whole / "last.pt")["model"], load(copy / "last.pt")["model"])


def test_untrained_head_run_keeps_the_rotation(head, run, checkpoints):
    report = ran(head("head.trained=none", "head.flatten=0.3", name="one"))
    assert "verdict" not in report
    assert (report["epochs"], report["best_epoch"]) == (0, 0)
    assert report["best"] == report["baselines"]["rotation"]
    assert report["best_checkpoint"] == report["last_checkpoint"] == "checkpoints/one/best.pt"
    rotation, best = (load(checkpoints / "one" / name) for name in ("rotation.pt", "best.pt"))
    assert same(rotation["model"], best["model"])
    assert {path.name for path in (checkpoints / "one").glob("*.pt")} == {"rotation.pt", "best.pt"}
    assert json.loads((checkpoints / "one" / "metrics.jsonl").read_text())["event"] == "run"
    again = run("train", "--resume", checkpoints / "one")
    assert (again.exit_code, "ended with nothing trained" in " ".join(again.stderr.split())) == (1, True)


def test_ruined_head_is_a_regression_and_the_rotation_is_kept(head, many_speakers, checkpoints, monkeypatch):
    def ruin(stepper, _group, *, asks):
        torch.nn.init.zeros_(stepper.module.module.encoder.head.linear.weight)  # every embedding is the bias
        return StepResult(1.0, {8: 1.0}, 0.0, is_done=True, asks=asks)

    monkeypatch.setattr("mrlspk.training.step.Stepper.step", ruin)
    corpus = f"data.train_dataset={many_speakers.root}", "data.n_validation_speakers=20", "data.n_validation_trials=120"
    report = ran(head(*corpus, "training.num_epochs=1", "evaluation.n_resamples=200", name="one"))
    verdict, folder = report["verdict"], checkpoints / "one"
    assert [width["outcome"] for width in verdict["widths"]] == ["REGRESSION", "REGRESSION"]
    assert [width["trained"] for width in verdict["widths"]] == [0.5, 0.5]
    assert all(0 < width["delta_ci"][0] < width["delta_ci"][1] for width in verdict["widths"])
    assert (verdict["kept"], verdict["reason"]) == ("rotation", "the trained head is worse at 4, 8")
    rotation, trained, best = (load(folder / name) for name in ("rotation.pt", "trained.pt", "best.pt"))
    assert same(rotation["model"], best["model"])
    assert moved(best["model"], trained["model"]) == {"head.linear.weight"}
    assert report["best"] == report["baselines"]["rotation"]
    assert best["verdict"]["kept"] == "rotation"
    assert not trained["progress"]["best_within_limit"]


def test_absurd_rate_does_not_replace_the_rotation(head, checkpoints):
    absurd = "training.learning_rate=1000", "training.warmup_epochs=0", "training.num_epochs=1", "evaluation.best_by=8"
    report = ran(head(*absurd, name="one"))
    best, limit = load(checkpoints / "one" / "best.pt"), report["baselines"]["rotation"]["8"]
    assert best["validation"]["eer"][8] <= limit
    assert same(best["model"], load(checkpoints / "one" / f"{report['verdict']['kept']}.pt")["model"])


def test_terminal_shows_the_verdict(run, head, single_width):
    ran(head("training.num_epochs=1", flags=["--dry-run"]))  # the configuration is written and good
    options = sets(
        "training.freeze_backbone_epochs=null", "training.num_epochs=1", "head.centre=false", "head.flatten=0"
    )
    outcome = run("train", "--config", "tiny.yaml", "--init-from", single_width, *options)
    assert outcome.exit_code == 0, outcome.stderr
    said = " ".join(outcome.stdout.split())
    assert re.match(r"On 2 held-out speakers the trained head.* best\.pt holds the (rotation|trained head)", said)
    assert re.search(r"To evaluate: mrlspk eval checkpoints/\S+/best\.pt To compare the candidates: mrlspk comp", said)
    assert outcome.stderr.count("\nrotation  ") == 1


@pytest.mark.parametrize(("flatten", "start"), [(0.3, "start.pt"), (0, "rotation.pt")])
def test_head_run_without_its_start_is_not_resumed(head, run, checkpoints, flatten, start):
    ran(head("head.trained=linear", f"head.flatten={flatten}", "training.num_epochs=1", name="one"))
    (checkpoints / "one" / start).unlink()
    outcome = run("train", "--resume", checkpoints / "one")
    assert outcome.exit_code == 1
    assert f"{start}: the start of the run is gone" in outcome.stderr
