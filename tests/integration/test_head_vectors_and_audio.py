"""A head trained on vectors gives the numbers of its base model on audio."""

import json
import shutil
from itertools import combinations

import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from factories import write_tiny_model, write_voices
from mrlspk.cli.app import app
from mrlspk.evaluation.score_files import read_scores
from mrlspk.models.checkpoints import load_model
from mrlspk.vectors.loading import load_vectors
from mrlspk.vectors.saving import save_vectors
from mrlspk.vectors.table import VectorTable
from speaker_graphs import write_speaker_graph

SETTINGS = (
    "data.n_validation_speakers=4",
    "data.n_validation_trials=60",
    "training.num_epochs=1",
    "training.batch_size=16",
    "evaluation.n_resamples=0",
    "logging.tensorboard=false",
)
SETS = [part for each in SETTINGS for part in ("--set", each)]


def invoke(*arguments, code=0):
    done = CliRunner().invoke(app, [*map(str, arguments)])
    assert done.exit_code == code, done.stderr
    return done


def train_head(folder, name, vectors, *arguments, code=0):
    """Train on vectors, and return the folder of the run, or the text on stderr."""
    named = "--set", f"logging.save_dir={folder}", "--set", f"logging.run_name={name}"
    done = invoke("train", "--vectors", vectors, *arguments, *SETS, *named, "--quiet", code=code)
    return done.stderr if code else folder / name


def write_labelled(path, dim, fingerprint):
    """Write vectors of 12 speakers as if a model had made them."""
    rng = np.random.default_rng(0)
    rows = (rng.normal(size=(12, 1, dim)) + 0.5 * rng.normal(size=(12, 4, dim))).reshape(-1, dim)
    ids = tuple(f"g{speaker:02}/{number}" for speaker in range(12) for number in range(4))
    save_vectors(VectorTable(ids, rows.astype(np.float32), fingerprint), path, force=False)


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A speaker model, the embeddings of voices, and a run on labelled vectors that starts from the model."""
    folder = tmp_path_factory.mktemp("heads")
    write_voices(folder / "voices", 4)
    write_speaker_graph(folder / "base.onnx")
    (folder / "base.yaml").write_text("front_end: {type: kaldi-fbank, mean: none}\n")
    invoke("embed", folder / "voices", "--model", folder / "base.onnx", "--speech", "all", "-o", folder / "v.npz")
    table = load_vectors(folder / "v.npz")
    write_labelled(folder / "train.npz", table.dim, table.fingerprint)
    train_head(folder, "run", folder / "train.npz", "--init-from", folder / "base.onnx")
    return folder


def test_base_model_lies_beside_the_head(world):
    head = world / "run" / "best.pt"
    architecture = load_model(head).architecture
    assert (architecture.base.file, architecture.in_features) == ("base.onnx", load_vectors(world / "v.npz").dim)
    assert architecture.fingerprint == load_vectors(world / "v.npz").fingerprint
    assert (world / "run" / "base.onnx").read_bytes() == (world / "base.onnx").read_bytes()
    card = json.loads((world / "run" / "best.card.json").read_text())
    assert card["base"]["model"].endswith("base.onnx")
    assert card["data"]["vectors"]


def test_run_is_resumed_by_its_vectors_and_keeps_its_base(world, tmp_path):
    shutil.copytree(world / "run", tmp_path / "run")
    words = "train", "--resume", tmp_path / "run", "--vectors"
    invoke(*words, world / "train.npz", "--quiet")
    assert load_model(tmp_path / "run" / "best.pt").architecture == load_model(world / "run" / "best.pt").architecture
    assert "data.vectors was" in invoke(*words, world / "v.npz", code=1).stderr


def test_head_on_audio_is_the_head_on_vectors(world, tmp_path):
    head = world / "run" / "best.pt"
    invoke("embed", world / "voices", "--model", head, "--speech", "all", "-o", tmp_path / "audio.npz")
    invoke("vectors", "apply", world / "v.npz", "--transform", head, "-o", tmp_path / "applied.npz")
    audio, applied = (load_vectors(tmp_path / name) for name in ("audio.npz", "applied.npz"))
    assert (audio.ids, audio.fingerprint) == (applied.ids, applied.fingerprint)
    unit = audio.vectors / np.linalg.norm(audio.vectors, axis=1, keepdims=True)
    np.testing.assert_allclose(applied.vectors, unit, atol=1e-6)


@pytest.mark.parametrize("start", ["run/best.pt", "transform.npz"])
def test_head_and_transform_are_trained_on(world, tmp_path, start):
    head = shutil.copytree(world, tmp_path / "world") / start
    transform = "--centre", "--flatten", 0.1, "--dims", "8"
    invoke("rotate", "--vectors", world / "train.npz", *transform, "-o", tmp_path / "world" / "transform.npz")
    run = train_head(tmp_path, "next", world / "train.npz", "--init-from", head, "--set", "head.rotation=none")
    known = load_model(run / "best.pt").architecture
    assert known.fingerprint == load_vectors(world / "v.npz").fingerprint
    assert (known.base is None) == (start == "transform.npz")
    assert (run / "base.onnx").is_file() == (start != "transform.npz")
    first, start = tmp_path / "start.npz", tmp_path / "rotation.npz"
    invoke("vectors", "apply", world / "v.npz", "--transform", head, "-o", first)
    invoke("vectors", "apply", world / "v.npz", "--transform", run / "rotation.pt", "-o", start)
    np.testing.assert_allclose(load_vectors(start).vectors, load_vectors(first).vectors, atol=1e-5)


def test_vectors_of_another_model_do_not_fit_a_base(world, tmp_path):
    dim = load_vectors(world / "v.npz").dim
    write_labelled(tmp_path / "other.npz", dim, "other")
    write_labelled(tmp_path / "narrow.npz", dim - 1, None)
    write_tiny_model(tmp_path / "network.pt", (8,))
    base = "--init-from", world / "base.onnx"
    assert "other.npz: is of the model other, and" in train_head(tmp_path, "a", tmp_path / "other.npz", *base, code=3)
    told = train_head(tmp_path, "a", tmp_path / "narrow.npz", *base, code=3)
    assert f"narrow.npz: expected {dim} values a vector, as {world / 'base.onnx'} has, got {dim - 1}" in told
    told = train_head(tmp_path, "a", world / "train.npz", "--init-from", tmp_path / "network.pt", code=1)
    assert "network.pt: has a network of its own, which is not trained on vectors" in told
    assert not (tmp_path / "a").exists()


def test_validation_trials_of_vectors_are_no_audio(world):
    told = invoke("eval", world / "run" / "best.pt", code=3).stderr
    assert "are between stored vectors" in told
    assert "--vectors FILE" in told


@pytest.mark.slow
def test_published_model_scores_alike_from_audio_and_both_formats(shared, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MRLSPK_CACHE_DIR", str(tmp_path / "cache"))
    base = shared / "pretrained" / "campplus-zh-en.onnx"
    voices = sorted((shared / "speech" / "test-short").iterdir())[:3]
    files = [path for voice in voices for path in sorted(voice.rglob("*.wav"))[:2]]
    ids = [path.relative_to(shared / "speech" / "test-short").as_posix() for path in files]
    for path, id_ in zip(files, ids, strict=True):
        (tmp_path / "speech" / id_).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, tmp_path / "speech" / id_)
    pairs = (f"{int(a[:7] == b[:7])} {a} {b}\n" for a, b in combinations(ids, 2))
    (tmp_path / "trials.txt").write_text("".join(pairs))
    invoke("embed", "speech", "--model", base, "--speech", "all", "-o", "v.npz")
    invoke("vectors", "convert", "v.npz", "-o", "v.ark")
    write_labelled(tmp_path / "train.npz", 192, load_vectors(tmp_path / "v.npz").fingerprint)
    head = train_head(tmp_path, "run", "train.npz", "--init-from", base) / "trained.pt"
    common = "--trials", "trials.txt", "--resamples", 0, "--json"
    invoke("calibrate", head, "--vectors", "v.npz", "--trials", "trials.txt")
    told = {}
    for name, source in {"audio": ("--audio-root", "speech"), "npz": ("--vectors", "v.npz")}.items():
        told[name] = json.loads(invoke("eval", head, *source, *common, "--scores", f"{name}-scores.npz").stdout)
    invoke("eval", head, "--vectors", "v.ark", *common, "--calibration", "none", "--scores", "ark-scores.npz")
    scores = [read_scores(tmp_path / f"{n}-scores.npz").lists[0].scored.scores for n in ("audio", "npz", "ark")]
    np.testing.assert_allclose(scores[1], scores[0], atol=1e-6)
    np.testing.assert_allclose(scores[2], scores[0], atol=1e-6)
    assert told["audio"]["fingerprint"] == told["npz"]["fingerprint"]
    cllr = [each["trials"][0]["results"][0]["cllr"] for each in told.values()]  # by the calibration on vectors
    assert cllr == [pytest.approx(cllr[0], abs=1e-6)] * 2
    assert cllr[0] > 0
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["data"]["vectors"] == ["train.npz"]
