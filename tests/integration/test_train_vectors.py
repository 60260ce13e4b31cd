"""``mrlspk train --vectors``, and the head that it writes."""

import json
import re
import shlex
import shutil

import numpy as np
import pytest
import torch
import yaml
from typer.testing import CliRunner

from mrlspk.cli.app import app
from mrlspk.models.checkpoints import load_model
from mrlspk.models.head_transforms import fold_head
from mrlspk.vectors.loading import load_vectors
from mrlspk.vectors.saving import save_vectors
from mrlspk.vectors.table import VectorTable

N_SPEAKERS, PER_SPEAKER, DIM = 24, 6, 12
SETTINGS = (
    "data.n_validation_speakers=8",
    "data.n_validation_trials=100",
    "training.num_epochs=2",
    "training.batch_size=32",
    "evaluation.n_resamples=0",
)
SETS = [part for each in SETTINGS for part in ("--set", each)]


def write_voices(path, *, prefix="s", seed=0, n_speakers=N_SPEAKERS, dim=DIM, fingerprint="model", zeros=0):
    """Write vectors of speakers, whose ids are like ``s00/1/2``; the last of each begins with zeros."""
    rng = np.random.default_rng(seed)
    voices = rng.normal(size=(n_speakers, 1, dim)) * np.linspace(2, 0.2, dim)
    rows = (voices + 0.5 * rng.normal(size=(n_speakers, PER_SPEAKER, dim))).reshape(-1, dim).astype(np.float32)
    rows[PER_SPEAKER - 1 :: PER_SPEAKER, :zeros] = 0
    ids = tuple(f"{prefix}{s:02}/{n % 2}/{n}" for s in range(n_speakers) for n in range(PER_SPEAKER))
    table = VectorTable(ids, rows, fingerprint)
    save_vectors(table, path, force=False)
    return table


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A folder with vectors, trials among them, and a run on them."""
    folder = tmp_path_factory.mktemp("heads")
    table = write_voices(folder / "v.npz", zeros=8)
    test = write_voices(folder / "test.npz", prefix="t", seed=1)
    pairs = [(a, b) for index, a in enumerate(test.ids) for b in test.ids[index + 1 : index + 40]]
    lines = [f"{int(a[:3] == b[:3])} {a} {b}\n" for a, b in pairs]
    (folder / "trials.txt").write_text("".join(lines))
    told = invoke(folder, "train", "--vectors", folder / "v.npz", *SETS, "--set", "logging.run_name=run")
    return folder, table, test, told


def invoke(folder, *arguments):
    """Run a command whose runs go to a folder, and return its document."""
    own = ["--set", f"logging.save_dir={folder}"] if arguments[0] == "train" else []
    done = CliRunner().invoke(app, [*map(str, arguments), *own, "--json"])
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_head_is_trained_without_a_model(made):
    folder, table, _, told = made
    loaded = load_model(folder / "run" / "best.pt")
    architecture = loaded.architecture.model_dump()
    assert architecture == {
        "family": "head",
        "in_features": DIM,
        "base": None,
        "fingerprint": table.fingerprint,
        "matryoshka_dims": (DIM,),
        "output_norm": False,
    }
    assert "transfer" not in told
    config = yaml.safe_load((folder / "run" / "config.yaml").read_text())
    assert config["data"]["vectors"] == [str(folder / "v.npz")]
    assert config["model"]["pretrained"]["use_pretrained"] is False


def test_best_head_is_applied_to_vectors(made, tmp_path):
    folder, _, test, _ = made
    head = folder / "run" / "best.pt"
    out = tmp_path / "out.npz"
    told = invoke(tmp_path, "vectors", "apply", folder / "test.npz", "--transform", head, "--dim", 5, "-o", out)
    assert (told["count"], told["dim"]) == (len(test.ids), 5)
    affine = fold_head(load_model(head).encoder.head)
    unit = test.vectors / np.linalg.norm(test.vectors, axis=1, keepdims=True)
    expected = (unit @ affine.weight.numpy().T + affine.bias.numpy())[:, :5]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    np.testing.assert_allclose(load_vectors(out).vectors, expected, atol=1e-6)


def test_applied_vectors_score_as_the_head_itself(made, tmp_path):
    folder, *_ = made
    head, trials = folder / "run" / "best.pt", ("--trials", folder / "trials.txt", "--resamples", 0)
    invoke(tmp_path, "vectors", "apply", folder / "test.npz", "--transform", head, "-o", tmp_path / "out.npz")
    applied = invoke(tmp_path, "eval", "--vectors", tmp_path / "out.npz", *trials)
    scored = invoke(tmp_path, "eval", head, "--vectors", folder / "test.npz", *trials)
    for key in ("eer", "threshold"):
        found = [told["trials"][0]["results"][0][key] for told in (scored, applied)]
        assert found[0] == pytest.approx(found[1], abs=1e-6)
    assert scored["fingerprint"] == applied["fingerprint"]


def test_two_heads_are_compared_on_one_file_of_vectors(made, tmp_path):
    folder, *_ = made
    heads = [folder / "run" / name for name in ("trained.pt", "rotation.pt")]
    common = "--vectors", folder / "test.npz", "--trials", folder / "trials.txt", "--dims", "4,12", "--resamples", 0
    both = invoke(tmp_path, "compare", *heads, *common, "--allow-untrained-dim")
    assert both["models"] == list(map(str, heads))
    one = invoke(tmp_path, "compare", heads[0], *common, "--allow-untrained-dim")
    assert one["models"] == [str(heads[0]), str(folder / "test.npz")]


def test_head_is_scored_on_the_held_out_vectors_of_its_run(made, tmp_path):
    folder, *_, told = made
    scored = invoke(tmp_path, "eval", folder / "run" / "best.pt", "--vectors", folder / "v.npz", "--resamples", 0)
    trials = scored["trials"][0]
    assert trials["path"] == str(folder / "run" / "validation-trials.txt")
    judged = told["refit"]["held_out_model"]
    assert any(f"refitted on the held-out speakers too: scored {judged}" in each for each in scored["warnings"])
    assert trials["n_target"] + trials["n_nontarget"] == 100
    epochs = invoke(tmp_path, "compare", folder / "run", "--vectors", folder / "v.npz", "--resamples", 0)
    assert set(epochs["models"]) <= {str(path) for path in (folder / "run").glob("*.pt")}


def test_run_ends_with_a_command_that_compares_its_heads(made, tmp_path, run):
    options = *SETS, "--set", f"logging.save_dir={tmp_path}", "--set", "logging.run_name=shown"
    done = run("train", "--vectors", made[0] / "v.npz", *options)
    assert done.exit_code == 0, done.stderr
    command = re.search(r"To compare the candidates: mrlspk (compare [^\n]*)", done.stdout)[1]
    assert command.endswith(f" --vectors {made[0] / 'v.npz'}")
    compared = run(*shlex.split(command))
    assert compared.exit_code == 0, compared.stderr


def test_head_without_its_model_needs_vectors(made, run):
    folder, *_ = made
    for command in (("eval",), ("embed", folder / "v.npz", "--model"), ("compare", folder / "run" / "last.pt")):
        outcome = run(*command, folder / "run" / "best.pt")
        assert (outcome.exit_code, ".pt: is a head on vectors" in outcome.stderr) == (1, True), outcome.stderr
        assert "--vectors FILE" in outcome.stderr


def test_card_says_what_was_trained_on_and_how_to_apply_it(made):
    folder, *_ = made
    card = json.loads((folder / "run" / "best.card.json").read_text())
    data = card["data"]
    assert (data["folder"], data["speakers"], data["utterances"], data["vectors"]) == ("v.npz", 24, 144, True)
    text = (folder / "run" / "best.card.md").read_text()
    assert "A head on speaker vectors: it maps them to an embedding of 12 values." in text
    assert "mrlspk vectors apply vectors.npz --transform best.pt --dim 12 -o narrow.npz" in text
    assert "| fingerprint of its ids, speakers and values |" in text


def test_truncation_is_not_scored_where_a_vector_begins_with_zeros(made):
    *_, told = made
    assert [*told["baselines"]["truncation"]] == ["12"]
    assert [*told["baselines"]["rotation"]] == ["8", "12"]


def test_plan_needs_no_store(made, tmp_path):
    folder, *_ = made
    plan = invoke(tmp_path, "train", "--vectors", folder / "v.npz", *SETS, "--dry-run")
    assert (plan["speakers"], plan["utterances"], plan["validation_trials"]) == (16, 96, 100)
    assert "stored_vectors" not in plan
    assert not list(tmp_path.iterdir())


def test_resumed_run_ends_as_an_uninterrupted_one(made, tmp_path, run):
    folder, *_ = made
    whole, cut = folder / "run", tmp_path / "cut"
    shutil.copytree(whole, cut)
    for name in ("last.pt", "epoch-002.pt", "best.pt"):
        (cut / name).unlink()
    (cut / "epoch-001.pt").rename(cut / "last.pt")
    outcome = run("train", "--resume", cut)
    assert outcome.exit_code == 0, outcome.stderr
    ends = [load_model(path / "last.pt").encoder.state_dict() for path in (whole, cut)]
    assert all(torch.equal(ends[0][name], ends[1][name]) for name in ends[0])


def test_changed_vectors_are_not_resumed_with(made, tmp_path, run):
    folder, table, *_ = made
    save_vectors(VectorTable(table.ids, table.vectors[:, ::-1], table.fingerprint), tmp_path / "v.npz", force=False)
    shutil.copytree(folder / "run", tmp_path / "run")
    files = "--set", f'data.vectors=["{tmp_path / "v.npz"}"]', "--allow-changes"
    outcome = run("train", "--resume", tmp_path / "run", *files[:2])
    assert (outcome.exit_code, "the configuration changed: data.vectors was" in outcome.stderr) == (1, True)
    outcome = run("train", "--resume", tmp_path / "run", *files, "--dry-run")
    assert outcome.exit_code == 0
    assert "speakers or values of vectors differ" in outcome.stderr


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (("--set", "data.speed_perturbation=[0.9]"), 1, "speed_perturbation needs audio"),
        (("--set", "training.freeze_backbone_epochs=1"), 1, "data.vectors needs training.freeze_backbone_epochs null"),
        (("--set", "loss.distillation_teacher=x.pt"), 1, "loss.distillation_teacher needs audio"),
        (("--set", "model.mrl_dims=[6,13]"), 1, "expected widths up to 12, as the vectors in v.npz have, got 13"),
        (("--set", "evaluation.best_by=64"), 1, "evaluation.best_by 64 is not among model.matryoshka_dims [12]"),
        (("--set", "data.n_validation_speakers=23"), 3, "cannot hold out 23 of 24 speakers"),
        (("--vectors", "narrow.npz"), 3, "narrow.npz: expected 12 values a vector, as in v.npz, got 6"),
        (("--vectors", "v.npz"), 3, "v.npz: expected other ids than in v.npz, got s00/0/0"),
    ],
)
def test_run_that_vectors_cannot_give_is_refused(made, run, tmp_path, monkeypatch, arguments, code, told):
    folder, *_ = made
    monkeypatch.chdir(folder)
    if not (folder / "narrow.npz").exists():
        write_voices(folder / "narrow.npz", prefix="n", dim=6)
    outcome = run("train", "--vectors", "v.npz", *SETS, "--set", f"logging.save_dir={tmp_path}", *arguments)
    assert (outcome.exit_code, told in outcome.stderr) == (code, True), outcome.stderr
    assert not list(tmp_path.iterdir())


def test_speakers_need_vectors(run):
    outcome = run("train", "--speakers", "utt2spk")
    assert (outcome.exit_code, "--speakers: given without vectors" in outcome.stderr) == (2, True)
