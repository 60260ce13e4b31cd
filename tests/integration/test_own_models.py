"""``mrlspk pretrained add``, and own models used by name."""

import hashlib
import json
from datetime import datetime

import numpy as np
import pytest
import torch

import mrlspk
from conformance.reference import read_reference, write_predecessor, write_published
from mrlspk.models.checkpoints import load_model

SMALL = "redimnet-opt-conv-hop240-tstp"
PUBLISHED, FILE = "redimnet-M-vb2-ptn", "M-vb2-ptn.pt"  # no SHA-256 is known beforehand
ONE_EPOCH = "--set", "training.num_epochs=1"


def load(path):
    return torch.load(path, weights_only=True)


@pytest.fixture(autouse=True)
def zoo(tmp_path, monkeypatch):
    """The folder of the zoo, in a cache of the test's own."""
    monkeypatch.setenv("MRLSPK_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache" / "zoo"


@pytest.fixture
def add(run):
    """Add a model, as JSON."""
    return lambda file, name, *rest: run("pretrained", "add", file, "--name", name, *rest, "--json")


def test_added_model_is_reported_and_kept(add, zoo, write_model, tmp_path):
    outcome = add(write_model(tmp_path / "model.pt"), "mine-1.0+x_y", "--licence", "CC BY 4.0")
    assert outcome.exit_code == 0, outcome.stderr
    assert add(tmp_path / "model.pt", "again").json["sha256"] == outcome.json["sha256"]
    path = zoo / "mine-1.0+x_y.pt"
    common = {"schema_version", "mrlspk_version", "warnings"}
    report = {key: value for key, value in outcome.json.items() if key not in common}
    facts = {
        "name": "mine-1.0+x_y",
        "sha256": hashlib.sha256(path.read_bytes()).hexdigest(),
        "bytes": path.stat().st_size,
        "family": "redimnet",
        "dims": [4, 8],
        "licence": "CC BY 4.0",
        "non_commercial": None,
    }
    assert report == {"command": "pretrained add", "path": str(path), "calibration": None, **facts}
    entry = json.loads((zoo / "mine-1.0+x_y.json").read_text())
    assert datetime.fromisoformat(entry.pop("added")).tzinfo
    assert entry == facts | {"card": None}
    kept = sorted(found.name for found in zoo.iterdir())
    assert kept == ["again.json", "again.pt", "mine-1.0+x_y.json", "mine-1.0+x_y.pt"]


def test_table_says_the_same(run, write_model, tmp_path):
    outcome = run("pretrained", "add", write_model(tmp_path / "model.pt"), "--name", "mine")
    assert "4, 8" in outcome.stdout
    assert "unknown" in outcome.stdout


def test_run_is_added_without_what_only_its_training_needed(train, add, zoo, tmp_path, tiny_corpus):
    assert train(*ONE_EPOCH, name="one").exit_code == 0
    best = tmp_path / "checkpoints" / "one" / "best.pt"
    assert add(best, "mine").exit_code == 0
    ours, theirs = load(zoo / "mine.pt"), load(best)
    network = {"format", "format_version", "mrlspk_version", "architecture", "model"}
    assert ours.keys() == network | {"config", "card", "validation", "corpus", "provenance"}
    assert all(ours[key] == theirs[key] for key in ours.keys() - {"model"})
    assert json.loads((zoo / "mine.json").read_text())["card"] == theirs["card"]
    file = tiny_corpus.root / tiny_corpus.utterance_ids[0]
    assert np.array_equal(mrlspk.load("mine").embed(file), mrlspk.load(best).embed(file))


@pytest.mark.parametrize("kind", ["published", "redimnet-mrl"])
def test_model_of_any_layout_embeds_as_before(add, tmp_path, tiny_corpus, kind):
    path = tmp_path / "origin.pt"
    write_predecessor(path) if kind == "redimnet-mrl" else write_published(read_reference(SMALL), path)
    outcome = add(path, "mine")
    assert outcome.exit_code == 0, outcome.stderr
    assert (outcome.json["licence"], outcome.json["non_commercial"]) == ("unknown", None)
    file = tiny_corpus.root / tiny_corpus.utterance_ids[0]
    assert np.array_equal(mrlspk.load("mine").embed(file), mrlspk.load(path).embed(file))


def test_every_model_argument_takes_the_name(run, train, add, write_model, tmp_path, tiny_corpus):
    for seed, name in enumerate(("mine", "other")):
        assert add(write_model(tmp_path / f"{name}.pt", seed=seed), name, "--licence", "my own").exit_code == 0
    lists = "--trials", tiny_corpus.trials, "--audio-root", tiny_corpus.root
    for outcome in (
        run("eval", "mine", *lists),
        run("compare", "mine", "other", *lists),
        run("embed", tiny_corpus.root, "--model", "mine"),
        run("pretrained", "inspect", "mine"),
        train("--init-from", "mine", *ONE_EPOCH, name="next"),
    ):
        assert outcome.exit_code == 0, outcome.stderr
    base = json.loads((tmp_path / "checkpoints" / "next" / "best.card.json").read_text())["base"]
    assert (base["model"], base["licence"], base["non_commercial"]) == ("mine", "my own", None)


@pytest.mark.slow
def test_terms_of_a_published_base_come_along(train, add, tmp_path, monkeypatch):
    monkeypatch.setenv("MRLSPK_MIRROR", str(tmp_path / "mirror"))
    (tmp_path / "mirror").mkdir()
    write_published(read_reference(SMALL), tmp_path / "mirror" / FILE)
    assert train("--init-from", PUBLISHED, *ONE_EPOCH, name="one").exit_code == 0
    outcome = add(tmp_path / "checkpoints" / "one" / "best.pt", "mine")
    assert "CC BY-NC-SA" in outcome.json["licence"]
    assert outcome.json["non_commercial"] is True
    renamed = add(tmp_path / "checkpoints" / "one" / "best.pt", "renamed", "--licence", "MIT")
    assert (renamed.json["licence"], renamed.json["non_commercial"]) == ("MIT", True)


@pytest.mark.parametrize("name", ["Mine", "-mine", ".mine", "my model", "a/b", "../mine", "", "redimnet-b2-vox2-ft_lm"])
def test_invalid_name_is_refused_before_anything_is_written(add, zoo, write_model, tmp_path, name):
    outcome = add(write_model(tmp_path / "model.pt"), name)
    assert outcome.exit_code == 2
    assert "--name" in outcome.stderr
    assert not zoo.exists()


@pytest.mark.parametrize("kind", ["text", "missing", "tensor short"])
def test_incomplete_model_is_refused_before_anything_is_written(add, zoo, write_model, tmp_path, kind):
    path = write_model(tmp_path / "model.pt")
    if kind == "tensor short":
        contents = load(path)
        del contents["model"]["head.linear.bias"]
        torch.save(contents, path)
    elif kind == "text":
        path.write_text("no model")
    else:
        path.unlink()
    outcome = add(path, "mine")
    assert outcome.exit_code == 1
    assert str(path) in outcome.stderr
    assert not zoo.exists()


def test_name_that_is_taken_needs_force(add, zoo, write_model, tmp_path):
    assert add(write_model(tmp_path / "first.pt"), "mine").exit_code == 0
    before = {path.name: path.read_bytes() for path in zoo.iterdir()}
    second = write_model(tmp_path / "second.pt", seed=1, dims=(4, 6))
    refused = add(second, "mine")
    assert refused.exit_code == 1
    assert "--force" in refused.stderr
    assert before == {path.name: path.read_bytes() for path in zoo.iterdir()}
    assert add(second, "mine", "--force").json["dims"] == [4, 6]
    assert mrlspk.load("mine").dims == (4, 6)
    assert sorted(path.name for path in zoo.iterdir()) == ["mine.json", "mine.pt"]


@pytest.mark.parametrize("damage", ["changed", "gone", "entry broken", "entry of another"])
def test_damaged_model_is_refused_with_the_remedy(run, add, zoo, write_model, tmp_path, tiny_corpus, damage):
    model = write_model(tmp_path / "model.pt")
    assert add(model, "mine").exit_code == 0
    if damage == "changed":
        (zoo / "mine.pt").write_bytes((zoo / "mine.pt").read_bytes() + b"x")
    elif damage == "gone":
        (zoo / "mine.pt").unlink()
    elif damage == "entry broken":
        (zoo / "mine.json").write_text((zoo / "mine.json").read_text()[:-20])
    else:
        (zoo / "mine.json").write_text((zoo / "mine.json").read_text().replace('"mine"', '"other"'))
    outcome = run("embed", tiny_corpus.root, "--model", "mine")
    assert outcome.exit_code == 1
    assert str(zoo / ("mine.pt" if damage in {"changed", "gone"} else "mine.json")) in outcome.stderr
    assert "mrlspk pretrained add FILE --name mine --force" in outcome.stderr
    assert add(model, "mine", "--force").exit_code == 0
    assert run("embed", tiny_corpus.root, "--model", "mine").exit_code == 0


def test_misspelt_name_error_names_the_nearest(run, add, write_model, tmp_path, tiny_corpus):
    assert add(write_model(tmp_path / "model.pt"), "my-voices").exit_code == 0
    outcome = run("embed", tiny_corpus.root, "--model", "my-voice")
    assert outcome.exit_code == 1
    assert "Did you mean my-voices?" in outcome.stderr


def test_converted_copy_of_a_published_model_keeps_its_terms(run, add, tmp_path, monkeypatch):
    monkeypatch.setenv("MRLSPK_MIRROR", str(tmp_path / "mirror"))
    (tmp_path / "mirror").mkdir()
    write_published(read_reference(SMALL), tmp_path / "mirror" / FILE)
    assert run("pretrained", "convert", PUBLISHED, "-o", tmp_path / "copy.safetensors").exit_code == 0
    outcome = add(tmp_path / "copy.safetensors", "mine")
    assert "CC BY-NC-SA" in outcome.json["licence"]
    assert outcome.json["non_commercial"] is True


def test_safetensors_file_can_be_added(run, add, write_model, tmp_path):
    assert run("pretrained", "convert", write_model(tmp_path / "m.pt"), "-o", tmp_path / "m.safetensors").exit_code == 0
    assert add(tmp_path / "m.safetensors", "mine").exit_code == 0
    assert load_model(tmp_path / "cache" / "zoo" / "mine.pt").encoder.dims == (4, 8)


def test_list_shows_own_models_then_damaged_entries(run, add, zoo, write_model, tmp_path):
    kept = add(write_model(tmp_path / "model.pt"), "mine").json
    listed = run("pretrained", "list", "--json")
    assert listed.exit_code == 0, listed.stderr
    mine = next(model for model in listed.json["models"] if model["name"] == "mine")
    assert {key: mine[key] for key in ("sha256", "licence", "cached", "dims")} == {
        "sha256": kept["sha256"], "licence": "unknown", "cached": True, "dims": [4, 8],
    }  # fmt: skip
    assert mine["url"] == (zoo / "mine.pt").as_uri()
    assert "Your own" in run("pretrained", "list").stdout
    (zoo / "stray.json").write_text("{}")
    with_fault = run("pretrained", "list", "--json")
    assert (with_fault.exit_code, with_fault.json["models"]) == (1, listed.json["models"])
    assert "is not the entry of a model" in with_fault.stderr


def test_terms_go_with_a_converted_file_to_another_machine(run, train, tmp_path, monkeypatch):
    monkeypatch.setenv("MRLSPK_MIRROR", str(tmp_path))
    write_published(read_reference(SMALL), tmp_path / FILE)
    assert run("pretrained", "convert", PUBLISHED, "-o", tmp_path / "converted.pt").exit_code == 0
    monkeypatch.setenv("MRLSPK_CACHE_DIR", str(tmp_path / "elsewhere"))
    monkeypatch.delenv("MRLSPK_MIRROR")
    trained = train("--init-from", tmp_path / "converted.pt", "--set", "model.matryoshka_dims=[64,192]", *ONE_EPOCH)
    assert trained.exit_code == 0, trained.stderr
    base = json.loads(next((tmp_path / "checkpoints").rglob("best.card.json")).read_text())["base"]
    assert (base["licence"], base["non_commercial"]) == (base["base"]["licence"], True)
    assert base["base"]["model"] == PUBLISHED


def test_name_too_long_for_any_file_is_refused_with_a_message(run, add, write_model, tmp_path):
    write_model(tmp_path / "model.pt")
    assert add(tmp_path / "model.pt", "n" * 300).exit_code == 2
    assert run("pretrained", "inspect", "n" * 300).exit_code == 1
    assert run("pretrained", "convert", tmp_path / "model.pt", "-o", tmp_path / ("n" * 300 + ".pt")).exit_code == 1
