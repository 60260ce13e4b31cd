"""A head trained on real speech: rotation and verdict with few speakers."""

import json

import pytest
import torch
import yaml

from chromium import check_fits, needs_chromium
from head_runs import load, ran, same, sets

pytestmark = pytest.mark.slow

N_HELD_OUT, N_TRAINED = 21, 12


@pytest.fixture(scope="module")
def speech(shared, tmp_path_factory):
    """Links to the two shortest files of a few speakers of the shared corpus."""
    root, corpus = tmp_path_factory.mktemp("speech") / "train", shared / "speech" / "train"
    of_speaker = [sorted(folder.rglob("*.m4a"), key=lambda path: path.stat().st_size) for folder in corpus.glob("ls*")]
    several = sorted(files[:2] for files in of_speaker if len(files) > 1)
    for path in (path for files in several[: N_HELD_OUT + N_TRAINED] for path in files):
        link = root / path.relative_to(corpus)
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(path)
    return root


@pytest.fixture
def head(run, shared, speech, tmp_path, monkeypatch):
    """Train a head on the shared backbone."""
    monkeypatch.chdir(tmp_path)
    config = {
        "model": {
            "pretrained": {"pretrained_checkpoint": str(shared / "pretrained" / "redimnet-small-speech.pt")},
            "matryoshka_dims": [64, 192],
            "trained_dims": [16, 64, 192],
        },
        "head": {"rotation": "svd", "centre": False, "flatten": 0.0},
        "training": {"freeze_backbone_epochs": None, "num_epochs": 1, "batch_size": 16, "refit": False},
        "data": {
            "train_dataset": str(speech),
            "val_dataset": None,
            "n_validation_speakers": N_HELD_OUT,
            "n_validation_trials": 400,
            "validation_seconds": 1.0,
            "chunk_duration": 1.0,
            "crops_per_epoch": 32,
            "num_workers": 0,
            "augmentation": False,
        },
        "features": {
            "folder": str(speech.parent / "features"),
            "crops_per_utterance": 1,
            "n_whole": 20,
            "dtype": "float32",
        },
        "evaluation": {"n_resamples": 200},
        "logging": {"tensorboard": False},
    }
    (tmp_path / "speech.yaml").write_text(yaml.safe_dump(config))

    def command(*settings, name):
        return ran(run("train", "--config", "speech.yaml", *sets(f"logging.run_name={name}", *settings), "--json"))

    return command


def test_rotation_keeps_full_width_eer_and_beats_truncation_below(head, tmp_path):
    found = head("head.trained=none", name="rotation")["baselines"]
    assert found["own_dim"] == 192
    assert found["rotation"]["192"] == pytest.approx(found["own"], abs=1e-9)
    assert found["truncation"]["192"] == found["own"]
    assert found["rotation"]["16"] <= found["truncation"]["16"]
    assert (tmp_path / "checkpoints" / "rotation" / "best.pt").is_file()


def test_absurd_rate_is_a_regression_and_the_rotation_is_kept(head, tmp_path):
    report = head("training.learning_rate=100", "training.warmup_epochs=0", "head.start_decay=0", name="absurd")
    verdict, folder = report["verdict"], tmp_path / "checkpoints" / "absurd"
    outcomes = {width["dim"]: width["outcome"] for width in verdict["widths"]}
    assert outcomes[192] == "REGRESSION"
    assert verdict["kept"] == "rotation"
    rotation, best, trained = (load(folder / name) for name in ("rotation.pt", "best.pt", "trained.pt"))
    assert same(rotation["model"], best["model"])
    assert not torch.equal(trained["model"]["head.linear.weight"], best["model"]["head.linear.weight"])


@needs_chromium
def test_page_of_a_real_run_tells_its_verdict_and_fits_a_phone(run, head, tmp_path):
    report = head("training.refit=true", name="shown")
    assert run("report", "checkpoints/shown", "-o", "page", "--json").json["path"] == "page/index.html"
    document = json.loads((tmp_path / "page" / "report.json").read_text())
    *told, of_refit = document["sentences"]
    assert told == report["verdict"]["summary"]
    assert of_refit.startswith(f"best.pt is this recipe fitted again on all {N_HELD_OUT + N_TRAINED} speakers")
    assert {str(row["dim"]): row["eer"] for row in document["best"]} == report["best"]
    shown = {row["dim"]: row["eer"] for row in document["verdict_rows"]}
    assert shown[192]["trained"] == report["verdict"]["widths"][-1]["trained"]
    check_fits(tmp_path / "page", n_plots=3)
