"""``mrlspk train --init-from MODEL.onnx``: a head on the embeddings of a speaker model of another toolkit."""

import hashlib
import json
import shutil

import numpy as np
import onnx
import pytest
import torch
import yaml

import mrlspk
from factories import write_tiny_model, write_voices
from head_runs import load, moved, ran, same, sets
from mrlspk.config import load_config
from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.errors import ConfigError
from mrlspk.evaluation.model_origin import find_origin
from mrlspk.feature_store.extraction import ensure_utterances
from mrlspk.files import file_sha256
from mrlspk.inference.backend_registry import load_backend
from mrlspk.inference.model_file import ModelFile
from mrlspk.models.external_encoder import ExternalEncoder, identity_head
from mrlspk.workflows.train import train
from speaker_graphs import write_speaker_graph

WIDTH = 160
SIGNAL = np.random.default_rng(0).normal(0, 0.05, (1, 8_000)).astype(np.float32)


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
        "evaluation": {"n_resamples": 0},
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
    for name in ("base.onnx", "base.yaml"):  # copies: writing the original in place must not change the run
        assert (folder / name).read_bytes() == (world / name).read_bytes()
        assert not (folder / name).samefile(world / name)
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
    assert "mrlspk pretrained convert last.pt -o whole.pt --bundle" in outcome.stderr


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


def test_every_command_takes_the_head(run, world):
    best, speech = world / "runs" / "one" / "best.pt", world / "speech"
    trials = world / "trials.txt"
    trials.write_text(
        "1 speaker1/a/1.wav speaker1/b/1.wav\n1 speaker2/a/1.wav speaker2/b/2.wav\n"
        "0 speaker1/a/1.wav speaker2/a/1.wav\n0 speaker2/a/2.wav speaker3/a/1.wav\n"
    )
    listed = ("--trials", trials, "--audio-root", speech)
    scored = ran(run("eval", best, *listed, "--baselines", "--json"))["trials"][0]
    own = ran(run("eval", world / "base.onnx", *listed, "--json"))["trials"][0]["results"]
    baselines = {each["name"]: each["results"] for each in scored["baselines"]}
    assert [each["dim"] for each in scored["results"]] == [64, 128, WIDTH]
    assert baselines["own"][0]["eer"] == own[0]["eer"]
    assert [each["dim"] for each in baselines["rotation"]] == [64, 128, WIDTH]
    compared = ran(run("compare", best, world / "base.onnx", *listed, "--json"))
    assert len(compared["models"]) == 2
    assert ran(run("compare", world / "runs" / "one", *listed, "--json"))["trials"]
    pair = (speech / "speaker1" / "a" / "1.wav", speech / "speaker1" / "b" / "1.wav")
    assert ran(run("verify", *pair, "--model", best, "--speech", "all", "--json"))["scores"]
    ran(run("rotate", best, "--speech", speech, "-o", best.with_name("turned.npz"), "--centre", "--json"))
    assert mrlspk.load(best.with_name("turned.npz")).embed(pair[0]).shape == (WIDTH,)
    assert ran(run("pretrained", "inspect", best, "--json"))["config"]["base"]["file"] == "base.onnx"
    refused = run("rotate", best, "--speech", speech, "-o", best.with_name("turned.pt"))
    assert "is a head on the embeddings of another model" in refused.stderr


def test_converted_head_has_its_base_beside_it_or_inside(run, world, tmp_path):
    best, recording = world / "runs" / "one" / "best.pt", world / "speech" / "speaker1" / "a" / "1.wav"
    expected = mrlspk.load(best).embed(recording)
    ran(run("pretrained", "convert", best, "-o", tmp_path / "apart" / "head.pt", "--json"))
    assert {path.name for path in (tmp_path / "apart").iterdir()} == {"head.pt", "base.onnx", "base.yaml"}
    own, found = backend(world / "base.onnx").embed(SIGNAL), origin_of(tmp_path / "apart" / "head.pt").embed(SIGNAL)
    np.testing.assert_allclose(found, own / np.linalg.norm(own), atol=1e-6)
    ran(run("pretrained", "convert", best, "-o", tmp_path / "one" / "head.pt", "--bundle", "--json"))
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["head.pt"]
    ran(run("pretrained", "add", best, "--name", "mine", "--json"))
    for model in (tmp_path / "apart" / "head.pt", tmp_path / "one" / "head.pt", "mine"):
        shown = ran(run("embed", recording, "--model", model, "--speech", "all", "--json"))
        np.testing.assert_allclose(shown["embeddings"][0]["embedding"], expected, atol=1e-6)
    assert [path.name for path in (tmp_path / "one").iterdir()] == ["head.pt"]
    (tmp_path / "apart" / "base.yaml").write_text("front_end: {type: kaldi-fbank, window: hamming, mean: none}\n")
    changed = run("embed", recording, "--model", tmp_path / "apart" / "head.pt")
    assert (changed.exit_code, "makes other embeddings than" in changed.stderr) == (1, True)


@pytest.mark.parametrize("fault", ["content", "kind", "settings", "described", "external"])
def test_damaged_bundle_is_refused(run, world, tmp_path, fault):
    best, recording = world / "runs" / "one" / "best.pt", world / "speech" / "speaker1" / "a" / "1.wav"
    ran(run("pretrained", "convert", best, "-o", tmp_path / "head.pt", "--bundle", "--json"))
    entries = load(tmp_path / "head.pt")
    bundled, message = entries["base_model"], "its base_model is damaged"
    if fault == "content":
        bundled["content"] = bundled["content"].flip(0)
    elif fault == "kind":
        bundled["content"] = bundled["content"].float()
    elif fault == "settings":
        bundled["settings"] = 3
    elif fault == "described":
        bundled["settings"] = "front_end: {type: kaldi-fbank, window: hamming, mean: none}\n"
        message = "head.pt: its base model makes other embeddings than in training"
    else:
        content, message = with_weights_outside(tmp_path), "keeps them in other files"
        bundled["content"] = torch.frombuffer(bytearray(content), dtype=torch.uint8)
        entries["architecture"]["base"]["sha256"] = hashlib.sha256(content).hexdigest()
    torch.save(entries, tmp_path / "head.pt")
    outcome = run("embed", recording, "--model", tmp_path / "head.pt")
    assert (outcome.exit_code, message in outcome.stderr) == (1, True), outcome.stderr


def with_weights_outside(folder):
    """Return an ONNX file whose weights are in another one."""
    write_speaker_graph(folder / "whole.onnx", constants=[onnx.numpy_helper.from_array(np.ones(999, np.float32), "w")])
    proto = onnx.load(folder / "whole.onnx")
    onnx.save(proto, folder / "split.onnx", save_as_external_data=True, location="weights.bin", size_threshold=10)
    return (folder / "split.onnx").read_bytes()


def test_run_bundles_its_best_checkpoint_and_starts_another(world):
    report = train_head(world, "bundled", bundle=True)
    alone = world / "alone" / "best.pt"
    alone.parent.mkdir()
    shutil.copy(report.best_checkpoint, alone)
    recording = world / "speech" / "speaker1" / "a" / "1.wav"
    np.testing.assert_allclose(
        mrlspk.load(alone).embed(recording), mrlspk.load(report.best_checkpoint).embed(recording)
    )
    again = train_head(world, "again-from-head", "head.trained=none", init_from="alone/best.pt")
    assert (again.run_dir / "base.onnx").read_bytes() == (world / "base.onnx").read_bytes()
    assert (again.run_dir / "base.yaml").read_bytes() == (world / "base.yaml").read_bytes()
    card = json.loads((again.run_dir / "best.card.json").read_text())
    assert card["base"]["base"]["front_end"]["mean"] == "none"


def test_transform_starts_a_run(run, world):
    speech = world / "speech"
    ran(
        run(
            "rotate", world / "base.onnx", "--speech", speech, "-o", world / "t.npz", "--centre", "--dims", 32, "--json"
        )
    )
    report = train_head(world, "transform", "head.trained=none", init_from="t.npz")
    assert (report.transfer.family, report.transfer.head_rows_random) == ("transform", 0)
    recording = speech / "speaker1" / "a" / "1.wav"
    found = mrlspk.load(report.best_checkpoint).embed(recording, dim=32)
    np.testing.assert_allclose(found, mrlspk.load(world / "t.npz").embed(recording, dim=32), atol=1e-5)
    found, expected = origin_of(report.best_checkpoint).embed(SIGNAL), backend(world / "t.npz").embed(SIGNAL)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    card = json.loads((report.run_dir / "best.card.json").read_text())
    assert card["base"]["base"]["model"] == "base.onnx"


def backend(path):
    return load_backend(ModelFile(path, str(path)), backend="auto").backend


def origin_of(path):
    """Return the model before a head as a backend."""
    loaded = load_backend(ModelFile(path, str(path)))
    return find_origin(loaded.checkpoint, path, backend=loaded.backend, cache_dir=None, mirror=None).backend


def test_bundle_without_a_base_model_is_refused(run, tmp_path):
    write_tiny_model(tmp_path / "own.pt")
    outcome = run("pretrained", "convert", tmp_path / "own.pt", "-o", tmp_path / "new.pt", "--bundle")
    assert (outcome.exit_code, "--bundle: only a head on a model of another toolkit" in outcome.stderr) == (2, True)
    assert not (tmp_path / "new.pt").exists()


def test_dry_run_shows_the_widths_and_writes_nothing(run, world):
    words = ("train", "--config", world / "run.yaml", "--init-from", world / "base.onnx", "--dry-run", "--json")
    plan = ran(run(*words, *sets("logging.run_name=planned", "training.batch_size=auto")))
    assert plan["config"]["model"]["matryoshka_dims"] == [64, 128, WIDTH]
    assert (plan["transfer"]["family"], plan["stored_vectors"]) == ("onnx", 16)
    assert not (world / "runs" / "planned").exists()


def test_run_stopped_before_its_first_step_starts_again(world, monkeypatch):
    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mrlspk.workflows.train.fit", stop)
        with pytest.raises(KeyboardInterrupt):
            train_head(world, "halted")
    assert {"rotation.pt", "base.onnx"} <= {path.name for path in (world / "runs" / "halted").iterdir()}
    report = train_head(world, "halted", "head.trained=none", resume="auto")
    assert (report.run_dir / "best.pt").is_file()


def test_recording_of_several_windows_is_stored_at_unit_length(world, tmp_path):
    encoder = ExternalEncoder(identity_head(2), (2,), base_fingerprint=None)
    encoder.attach(lambda waveforms: waveforms[:, [100, 1500]], min_samples=1600, concurrency=2)
    utterances = scan_corpus(world / "speech").utterances[:3]
    options = {"dtype": "float32", "batch_size": 4, "max_seconds": 0.2, "precision": "fp32"}
    rows = ensure_utterances(encoder, utterances, folder=tmp_path, **options).rows(np.arange(3))
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_real_model_by_its_name_gives_its_licence_and_front_end(shared, tmp_path):
    mirror = tmp_path / "mirror"
    mirror.mkdir()
    name = "wespeaker_en_voxceleb_resnet34"
    (mirror / f"{name}.onnx").symlink_to(shared / "pretrained" / "wespeaker-resnet34.onnx")
    chosen = sorted((shared / "speech" / "train").glob("ls*/*/00003.m4a"), key=lambda path: path.stat().st_size)[:4]
    for path in (first.with_name(each) for first in chosen for each in ("00002.m4a", "00003.m4a")):
        copy = tmp_path / "speech" / path.relative_to(shared / "speech" / "train")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.symlink_to(path)
    values = settings(tmp_path) | {"head": {"trained": "none", "start_decay": 0}}
    values["data"] |= {"chunk_duration": 1.0, "validation_seconds": 1.0}
    (tmp_path / "run.yaml").write_text(yaml.safe_dump(values))
    config = load_config(tmp_path / "run.yaml", [f"model.pretrained.pretrained_checkpoint={name}"])
    report = train(config, cache_dir=tmp_path / "cache", mirror=str(mirror))
    assert file_sha256(report.run_dir / f"{name}.onnx") == file_sha256(tmp_path / "cache" / f"{name}.onnx")
    base = json.loads((report.run_dir / "best.card.json").read_text())["base"]
    assert (base["model"], base["licence"]) == (name, "CC BY 4.0; as its corpus VoxCeleb")
    assert base["front_end"]["window"] == "hamming"
    recording = chosen[0]
    unit = mrlspk.load(shared / "pretrained" / "wespeaker-resnet34.onnx").embed(recording).astype(np.float64)
    weight, bias = head_of(report.best_checkpoint)
    expected = (weight @ unit + bias)[:64]
    found = mrlspk.load(report.best_checkpoint).embed(recording, dim=64)
    np.testing.assert_allclose(found, expected / np.linalg.norm(expected), atol=1e-5)


def test_random_head_and_a_teacher_of_another_toolkit(world):
    teacher = f"loss.distillation_teacher={world / 'base.onnx'}"
    report = train_head(world, "taught", teacher, "head.start=random", "model.matryoshka_dims=[8, 16]")
    assert mrlspk.load(report.best_checkpoint).dims == (8, 16)
    assert np.isfinite(load(report.run_dir / "trained.pt")["validation"]["loss"])


def test_no_memory_is_measured_for_a_head_on_a_speaker_model(run, world):
    model = f"model.pretrained.pretrained_checkpoint={world / 'base.onnx'}"
    outcome = run("gpu-profile", "--config", world / "run.yaml", *sets(model), "--vram-limit", "12GiB")
    assert (outcome.exit_code, "base.onnx: is run on the CPU" in outcome.stderr) == (1, True), outcome.stderr
