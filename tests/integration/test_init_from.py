"""``mrlspk train --init-from``: the weights that a run takes over, and the report."""

import numpy as np
import pytest
import torch

import mrlspk
from conformance.reference import read_reference, write_predecessor, write_published
from mrlspk.config import load_config
from mrlspk.models.checkpoints import load_model
from mrlspk.training.warm_start import build_encoder_from

pytestmark = pytest.mark.slow

REDIMNET, REDIMNET2 = "redimnet-opt-conv-hop240-tstp", "redimnet2-opt-freqpos-pt"
FIRST_NAME = "redimnet-b0-vox2-ptn"  # no SHA-256 is known of these two
SECOND_NAME = "redimnet2-b0-vox2-ptn"
FLAT_FILE = "b0-vox2-ptn.pt"  # what both releases call it


def load(path):
    return torch.load(path, weights_only=True)


def with_dims(*dims):
    return "--set", f"model.matryoshka_dims={list(dims)}"


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """An empty folder of copies of the published files, and a cache beside it."""
    monkeypatch.setenv("MRLSPK_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("MRLSPK_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "mirror").mkdir()
    return tmp_path / "mirror"


def write_layout(kind, path):
    if kind == "redimnet-mrl":
        return write_predecessor(path)
    return write_published(read_reference({"redimnet": REDIMNET, "redimnet2": REDIMNET2}[kind]), path)


def test_init_from_takes_over_every_published_tensor_bit_for_bit(shared):
    path = shared / "pretrained" / "redimnet-small-speech.pt"
    config = load_config(overrides=["model.matryoshka_dims=[64,192,256]"])
    encoder, _ = build_encoder_from(config, load_model(path))
    ours, theirs = encoder.state_dict(), load(path)["state_dict"]
    names = {name: name.replace("head.norm.", "bn.").replace("head.linear.", "linear.") for name in ours}
    assert set(names.values()) == set(theirs)
    for name, its_name in names.items():
        kept = ours[name][:192] if name.startswith("head.linear.") else ours[name]
        assert torch.equal(kept, theirs[its_name]), name
    assert ours["head.linear.weight"].shape[0] == 256


@pytest.mark.parametrize("kind", ["redimnet", "redimnet2", "redimnet-mrl"])
def test_every_layout_starts_a_run_and_is_accounted_for(train, tmp_path, kind):
    path = write_layout(kind, tmp_path / "origin.pt")
    outcome = train("--init-from", "origin.pt", "--dry-run", *with_dims(64, 192))
    assert outcome.exit_code == 0, outcome.stderr
    loaded = load_model(path)
    assert outcome.json["transfer"] == {
        "source": "origin.pt",
        "family": kind,
        "loaded": len(loaded.encoder.state_dict()),
        "missing": [],
        "unexpected": [],
        "left_out": [],
        "coverage": 1.0,
        "head_rows_kept": 192,
        "head_rows_random": 0,
        "class_weights": "rebuilt",
        "classes_in_file": None,
        "classes": 4,
        "remark": "classifier weights reinitialised: the file has none, this run has 4 classes",
    }


def test_projection_only_changes_only_the_head_of_a_published_model(train, tmp_path):
    origin = load(write_layout("redimnet2", tmp_path / "origin.pt"))["state_dict"]
    frozen = "--set", "training.freeze_backbone_epochs=null", "--set", "training.num_epochs=1"
    outcome = train("--init-from", "origin.pt", *frozen, *with_dims(64, 192), name="head")
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.json["transfer"] | {"loaded": 0} == outcome.json["transfer"] | {
        "loaded": 0, "family": "redimnet2", "head_rows_kept": 192, "head_rows_random": 0,
    }  # fmt: skip
    trained = load(tmp_path / "checkpoints" / "head" / "best.pt")["model"]
    carried = {name: values for name, values in trained.items() if not name.startswith("head.")}
    assert all(torch.equal(values, origin[name]) for name, values in carried.items())
    assert len(carried) + 7 == len(origin)  # bn has five entries, linear two


def test_progress_says_what_came_over(run, train, tmp_path):
    write_layout("redimnet", tmp_path / "origin.pt")
    options = "--config", "tiny.yaml", "--init-from", "origin.pt", *with_dims(64, 196)
    assert train("--dry-run").exit_code == 0  # the configuration is written and good
    said = (
        "from origin.pt (redimnet): 169 entries loaded, 0 left out, 100.0% of the network; head: 192 of 196 rows "
        "loaded; classifier weights reinitialised: the file has none, this run has 4 classes"
    )
    assert said in " ".join(run("train", *options, "--dry-run").stdout.split())
    told = run("train", *options, "--set", "training.num_epochs=1").stderr
    assert said in told
    assert "values 193–196 of the embedding are initialised from principal directions of the training speech" in told
    unrotated = " ".join(run("train", *options, "--set", "head.rotation=none", "--dry-run").stderr.split())
    assert "values 193–196 of the embedding are initialised from random weights" in unrotated


def test_training_from_scratch_reports_no_transfer(train):
    assert "transfer" not in train("--dry-run").json
    assert "transfer" not in train("--set", "training.num_epochs=1").json


@pytest.mark.parametrize(("num_classes", "in_file", "remark"), [
    (5994, 5994, "classifier weights reinitialised: the file has 5,994 classes, this run 4"),
    (None, None, "classifier weights reinitialised: those in the file are not used, this run has 4 classes"),
    (4, 4, "classifier weights reinitialised: the 4 classes in the file are of another corpus"),
])  # fmt: skip
def test_published_classifier_is_left_out_and_said(train, tmp_path, num_classes, in_file, remark):
    contents = load(write_layout("redimnet", tmp_path / "origin.pt"))
    contents["model_config"]["num_classes"] = num_classes
    contents["state_dict"]["cls_head.weight"] = torch.zeros(num_classes or 7, 192)
    torch.save(contents, tmp_path / "origin.pt")
    transfer = train("--init-from", "origin.pt", "--dry-run", *with_dims(192)).json["transfer"]
    assert transfer["left_out"] == ["cls_head.weight"]
    assert (transfer["class_weights"], transfer["classes_in_file"]) == ("rebuilt", in_file)
    assert transfer["remark"] == remark


def test_class_weights_of_the_same_speakers_are_kept(train, tmp_path):
    assert train("--set", "training.num_epochs=1", name="first").exit_code == 0
    first = tmp_path / "checkpoints" / "first" / "best.pt"
    still = "--set", "training.learning_rate=1e-30", "--set", "training.min_lr=0", "--set", "training.num_epochs=1"
    outcome = train("--init-from", first, *still, name="second")
    assert outcome.exit_code == 0, outcome.stderr
    transfer = outcome.json["transfer"]
    assert (transfer["class_weights"], transfer["classes_in_file"], transfer["classes"]) == ("kept", 4, 4)
    assert transfer["remark"] == "classifier weights kept: 4 classes"
    second = load(tmp_path / "checkpoints" / "second" / "best.pt")
    assert torch.equal(second["criterion"]["loss.weight"], load(first)["criterion"]["loss.weight"])


@pytest.mark.parametrize(("setting", "classes", "remark"), [
    ("data.speed_perturbation=[0.9,1.1]", 6, "classifier weights reinitialised: the file has 4 classes, this run 6"),
    ("seed=1", 4, "classifier weights reinitialised: the 4 classes in the file are of another corpus"),
    ("loss.type=SubCenter", 4, "classifier weights reinitialised: those in the file have another shape"),
    ("model.matryoshka_dims=[4,6]", 4, "classifier weights reinitialised: those in the file have another shape"),
    ("head.rotation=svd", 4, "classifier weights reinitialised: those in the file belong to a head that is not kept"),
])  # fmt: skip
def test_prototypes_of_other_speakers_are_rebuilt_and_reported(train, setting, classes, remark):
    assert train("--set", "training.num_epochs=1", name="first").exit_code == 0
    outcome = train("--init-from", "checkpoints/first/best.pt", "--dry-run", "--set", setting)
    transfer = outcome.json["transfer"]
    assert (transfer["class_weights"], transfer["classes_in_file"]) == ("rebuilt", 4)
    assert (transfer["classes"], transfer["remark"]) == (classes, remark)


def test_loss_without_classes_has_none_to_carry(train):
    assert train("--set", "training.num_epochs=1", name="first").exit_code == 0
    triplets = "--set", "loss.type=Triplet", "--set", "data.utterances_per_speaker=2"
    transfer = train("--init-from", "checkpoints/first/best.pt", "--dry-run", *triplets).json["transfer"]
    assert (transfer["class_weights"], transfer["classes_in_file"], transfer["classes"]) == (None, 4, 0)
    assert transfer["remark"] == "the loss has no classes"


def test_subcentres_of_a_class_are_counted_as_one_speaker(train):
    assert train("--set", "training.num_epochs=1", "--set", "loss.type=SubCenter", name="first").exit_code == 0
    again = train("--init-from", "checkpoints/first/best.pt", "--dry-run", "--set", "loss.type=SubCenter")
    assert again.json["transfer"]["class_weights"] == "kept"
    assert again.json["transfer"]["classes_in_file"] == 4


def test_published_name_starts_a_run_and_stays_in_its_configuration(train, mirror):
    write_layout("redimnet", mirror / FLAT_FILE)
    outcome = train("--init-from", FIRST_NAME, "--dry-run", *with_dims(64, 192))
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.json["transfer"]["source"] == FIRST_NAME
    assert outcome.json["config"]["model"]["pretrained"]["pretrained_checkpoint"] == FIRST_NAME


def test_configuration_names_a_model_of_the_second_family(train, mirror):
    write_layout("redimnet2", mirror / FLAT_FILE)
    named = {"use_pretrained": "true", "family": "redimnet2", "model_name": "b0", "train_type": "ptn"}
    sets = [part for key, value in named.items() for part in ("--set", f"model.pretrained.{key}={value}")]
    outcome = train(*sets, "--set", "model.backbone=null", "--dry-run", *with_dims(64, 192))
    assert outcome.exit_code == 0, outcome.stderr
    assert outcome.json["transfer"]["source"] == SECOND_NAME
    assert outcome.json["transfer"]["family"] == "redimnet2"


def test_published_name_gives_the_models_own_embedding(run, mirror, tiny_corpus):
    path, file = write_layout("redimnet", mirror / FLAT_FILE), tiny_corpus.root / tiny_corpus.utterance_ids[0]
    outcome = run("embed", file, "--model", FIRST_NAME, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    found = outcome.json["embeddings"][0]
    direct = mrlspk.load(path).embed(file)
    assert (found["dim"], direct.shape) == (192, (192,))
    assert np.array_equal(np.array(found["embedding"], np.float32), direct)


def test_file_of_the_other_family_is_refused_by_every_door(run, train, mirror, tiny_corpus):
    write_layout("redimnet2", mirror / FLAT_FILE)
    lists = "--trials", tiny_corpus.trials, "--audio-root", tiny_corpus.root
    for outcome in (
        run("embed", tiny_corpus.root, "--model", FIRST_NAME),
        run("eval", FIRST_NAME, *lists),
        run("compare", FIRST_NAME, mirror / FLAT_FILE, *lists),
        train("--init-from", FIRST_NAME, "--dry-run"),
    ):
        assert outcome.exit_code == 1
        assert f"expected a redimnet model as the file of {FIRST_NAME}, got a redimnet2 one" in outcome.stderr
        assert f"mrlspk pretrained fetch {FIRST_NAME} --force" in outcome.stderr
    with pytest.raises(mrlspk.MrlspkError, match="expected a redimnet model"):
        mrlspk.load(FIRST_NAME)
    assert run("embed", tiny_corpus.root, "--model", SECOND_NAME).exit_code == 0
