"""``mrlspk train --init-from MODEL.onnx``: a head on the embeddings of a speaker model of another toolkit."""

import shutil

import numpy as np
import pytest
import yaml

import mrlspk
from factories import write_voices
from head_runs import load, moved, ran, same, sets
from mrlspk.config import load_config
from mrlspk.errors import ConfigError
from mrlspk.workflows.train import train
from speaker_graphs import write_speaker_graph

WIDTH = 160


def settings(root):
    return {
        "data": {
            "train_dataset": str(root / "speech"),
            "val_dataset": None,
            "n_validation_speakers": 2,
            "n_validation_trials": 40,
            "chunk_duration": 0.4,
            "num_workers": 0,
        },
        "features": {"folder": str(root / "features"), "crops_per_utterance": 1},
        "training": {"num_epochs": 2, "batch_size": 4, "learning_rate": 0.01},
        "head": {"start_decay": 0},
        "logging": {"tensorboard": False, "save_dir": str(root / "runs"), "keep_last_n": 2},
    }


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A folder with voices, a speaker model and the settings of a run; ``runs/one`` is a run that has ended."""
    root = tmp_path_factory.mktemp("world")
    write_voices(root / "speech", 6)
    write_speaker_graph(root / "base.onnx")
    (root / "base.yaml").write_text("front_end: {type: kaldi-fbank, mean: none}\n")
    (root / "run.yaml").write_text(yaml.safe_dump(settings(root)))
    train_head(root, "one")
    return root


def train_head(root, name, *sets, init_from="base.onnx", **options):
    """Train with the settings of a world, and return the report."""
    pretrained = f"model.pretrained.pretrained_checkpoint={root / init_from}"
    config = load_config(root / "run.yaml", [pretrained, f"logging.run_name={name}", *sets])
    return train(config, cache_dir=root / "cache", **options)


def head_of(path):
    """Return weight and bias of what the head of a checkpoint computes, from its entries."""
    state = {name: values.double().numpy() for name, values in load(path)["model"].items()}
    scale = state["head.norm.weight"] / np.sqrt(state["head.norm.running_var"] + 1e-5)
    offset = state["head.norm.bias"] - scale * state["head.norm.running_mean"]
    weight = state["head.linear.weight"]
    return weight * scale, weight @ offset + state["head.linear.bias"]


def test_run_embeds_with_its_base_model_then_its_head(run, world):
    folder, recording = world / "runs" / "one", world / "speech" / "speaker1" / "a" / "1.wav"
    assert (folder / "base.onnx").read_bytes() == (world / "base.onnx").read_bytes()
    assert (folder / "base.yaml").read_text() == (world / "base.yaml").read_text()
    assert load_config(folder / "config.yaml").model.matryoshka_dims == (64, 128, WIDTH)
    unit = mrlspk.load(world / "base.onnx").embed(recording).astype(np.float64)
    for name in ("best.pt", "trained.pt", "rotation.pt"):
        weight, bias = head_of(folder / name)
        expected = (weight @ unit + bias)[:64]
        shown = ran(run("embed", recording, "--model", folder / name, "--speech", "all", "--dim", 64, "--json"))
        found = shown["embeddings"][0]["embedding"]
        np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-5)


def test_resumed_run_equals_the_uninterrupted_one(world):
    train_head(world, "stopped", max_batches=1)
    shutil.copytree(world / "runs" / "stopped", world / "runs" / "again")
    (world / "runs" / "again" / "epoch-001.pt").rename(world / "runs" / "again" / "last.pt")
    config = load_config(world / "run.yaml", [])
    train(config, cache_dir=world / "cache", resume=str(world / "runs" / "again"), max_batches=1)
    ended, resumed = (load(world / "runs" / name / "last.pt") for name in ("stopped", "again"))
    assert same(ended["model"], resumed["model"])
    assert same(ended["criterion"], resumed["criterion"])
    assert moved(load(world / "runs" / "stopped" / "epoch-001.pt")["model"], resumed["model"]) == {
        "head.linear.weight",
        "head.linear.bias",
    }


def test_resumed_run_without_its_base_model_is_refused(run, world):
    shutil.copytree(world / "runs" / "one", world / "runs" / "bare")
    (world / "runs" / "bare" / "base.onnx").unlink()
    outcome = run("train", "--resume", world / "runs" / "bare")
    assert outcome.exit_code == 1
    assert "last.pt: its base model base.onnx is not beside it" in outcome.stderr


def test_model_is_refused_before_the_corpus_is_read(run, world, tmp_path):
    for name, properties, message in (
        ("broken.onnx", None, "is not a whole ONNX file"),
        ("plain.onnx", {}, "whose front end nothing describes"),
    ):
        if properties is None:
            (tmp_path / name).write_bytes(b"\x0a\xff")
        else:
            write_speaker_graph(tmp_path / name, properties, inputs=(("a", ("B", "T", 80)),))
        absent = sets(f"data.train_dataset={tmp_path / 'absent'}")
        outcome = run("train", "--config", world / "run.yaml", "--init-from", tmp_path / name, *absent)
        assert outcome.exit_code == 1
        assert message in outcome.stderr


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("training.freeze_backbone_epochs=1", "only a head on its embeddings is trained"),
        ("training.lora.rank=2", "only a head on its embeddings is trained"),
        ("model.matryoshka_dims=[64, 192]", "has at most as many, got 192"),
        ("model.matryoshka_weights=[1, 1]", "3 matryoshka_dims need 3 matryoshka_weights"),
    ],
)
def test_settings_that_a_speaker_model_cannot_have_are_refused(world, change, message):
    with pytest.raises(ConfigError, match=message):
        train_head(world, "refused", change)
    assert not (world / "runs" / "refused").exists()
