"""The model card beside every best checkpoint: on what terms, from what, how good."""

import hashlib
import json
import shutil

import pytest
import torch

import mrlspk
from conformance.reference import read_reference, write_published
from mrlspk.data.corpora.recipe_registry import scan_corpus

pytestmark = pytest.mark.slow

# Trained on a corpus for non-commercial use; no SHA-256 is known beforehand.
NAME, FILE = "redimnet-M-vb2-ptn", "M-vb2-ptn.pt"
SMALL = "redimnet-opt-conv-hop240-tstp"
ONE_EPOCH = "--set", "training.num_epochs=1"
WIDTHS = "--set", "model.matryoshka_dims=[64,192]"


def load(path):
    return torch.load(path, weights_only=True)


def sha256(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A folder with a published file in it, and a cache beside it."""
    monkeypatch.setenv("MRLSPK_MIRROR", str(tmp_path / "mirror"))
    monkeypatch.setenv("MRLSPK_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "mirror").mkdir()
    write_published(read_reference(SMALL), tmp_path / "mirror" / FILE)
    return tmp_path / "mirror"


def read_card(run_dir):
    return json.loads((run_dir / "best.card.json").read_text())


def test_card_holds_all_known_facts(train, mirror, tmp_path, tiny_corpus):
    assert train("--init-from", NAME, *ONE_EPOCH, *WIDTHS, name="one").exit_code == 0
    run_dir = tmp_path / "checkpoints" / "one"
    best, card = load(run_dir / "best.pt"), read_card(run_dir)
    trials = (run_dir / "validation-trials.txt").read_text().splitlines()
    figures = best["validation"]
    held_out = {line.split()[1].split("/")[0] for line in trials}
    training = scan_corpus(tiny_corpus.root).without_speakers(held_out)
    assert card == {
        "title": "one: Matryoshka speaker embeddings",
        "mrlspk_version": mrlspk.__version__,
        "checkpoint": "best.pt",
        "sha256": sha256(run_dir / "best.pt"),
        "family": "redimnet",
        "parameters": card["parameters"],
        "dims": [64, 192],
        "base": {
            "model": NAME,
            "sha256": sha256(mirror / FILE),
            "family": "redimnet",
            "licence": card["base"]["licence"],
            "non_commercial": True,
            "training_set": card["base"]["training_set"],
            "front_end": None,
            "base": None,
        },
        "data": {
            "folder": "corpus",
            "speakers": 2,
            "utterances": 8,
            "fingerprint": training.fingerprint,
            "vectors": False,
            "synthetic": False,
        },
        "transform": None,
        "debug_batches": None,
        "refit": None,
        "trials": {
            "description": "24 trials generated among 2 speakers of corpus, seed 42",
            "sha256": sha256(run_dir / "validation-trials.txt"),
            "n_target": sum(line.startswith("1") for line in trials),
            "n_nontarget": sum(line.startswith("0") for line in trials),
            "p_target": 0.01,
        },
        "epoch": 1,
        "results": [
            {"dim": dim, "eer": figures["eer"][dim], "min_dcf": figures["min_dcf"][dim]} for dim in (64, 192)
        ],
        "score_ranges": card["score_ranges"],
    }  # fmt: skip
    assert card["parameters"] == sum(
        values.numel() for name, values in best["model"].items()
        if not name.endswith(("running_mean", "running_var", "num_batches_tracked")) and not name.startswith("spec.")
    )  # fmt: skip
    assert "CC BY-NC-SA" in card["base"]["licence"]
    assert "VoxBlink2" in card["base"]["training_set"]
    assert str(tmp_path) not in json.dumps(card)


@pytest.mark.usefixtures("mirror")
def test_markdown_card_shows_terms_first_and_rates_in_percent(train, tmp_path):
    assert train("--init-from", NAME, *ONE_EPOCH, *WIDTHS, name="one").exit_code == 0
    run_dir = tmp_path / "checkpoints" / "one"
    text, card = (run_dir / "best.card.md").read_text(), read_card(run_dir)
    lines = text.splitlines()
    assert lines[0] == "# one: Matryoshka speaker embeddings"
    assert lines[2].startswith("> **Non-commercial use only**")
    assert "mrlspk embed recording.wav --model best.pt --dim 64" in lines
    assert "mrlspk eval best.pt --trials trials.txt --audio-root audio" in lines
    for width in card["results"]:
        assert f"| {width['dim']} | {100 * width['eer']:.2f} | {width['min_dcf']:.4f} |" in lines
    assert card["base"]["licence"] in text
    assert card["sha256"] in text


@pytest.mark.usefixtures("mirror")
def test_checkpoint_holds_its_card(train, tmp_path):
    assert train("--init-from", NAME, *WIDTHS, name="one").exit_code == 0
    run_dir = tmp_path / "checkpoints" / "one"
    card = read_card(run_dir)
    assert load(run_dir / "best.pt")["card"] == {
        key: value for key, value in card.items() if key not in {"checkpoint", "sha256"}
    }
    cards = [load(run_dir / f"epoch-00{epoch}.pt")["card"] for epoch in (1, 2, 3)]
    assert [each["epoch"] for each in cards] == [1, 2, 3]
    assert all(each["base"] == card["base"] for each in cards)


def test_card_survives_a_resume_without_the_base_model(run, train, mirror, tmp_path):
    assert train("--init-from", NAME, *WIDTHS, name="one").exit_code == 0
    run_dir, resumed = tmp_path / "checkpoints" / "one", tmp_path / "checkpoints" / "resumed"
    base = read_card(run_dir)["base"]
    resumed.mkdir()
    shutil.copy(run_dir / "epoch-001.pt", resumed / "last.pt")
    shutil.copy(run_dir / "best.pt", resumed / "best.pt")
    shutil.rmtree(mirror)
    shutil.rmtree(tmp_path / "cache")
    outcome = run("train", "--resume", resumed, "--json")
    assert outcome.exit_code == 0, outcome.stderr
    assert "transfer" not in outcome.json
    assert load(resumed / "last.pt")["card"]["base"] == base


@pytest.mark.usefixtures("mirror")
def test_resumed_run_without_a_card_gets_one(run, train, tmp_path):
    assert train("--init-from", NAME, *WIDTHS, name="one").exit_code == 0
    resumed = tmp_path / "checkpoints" / "resumed"
    resumed.mkdir()
    contents = load(tmp_path / "checkpoints" / "one" / "epoch-001.pt")
    del contents["card"]
    for name in ("last.pt", "best.pt"):
        torch.save(contents, resumed / name)
    assert run("train", "--resume", resumed).exit_code == 0
    base = load(resumed / "last.pt")["card"]["base"]
    assert (base["model"], base["sha256"], base["non_commercial"]) == (NAME, None, True)


def test_card_of_a_model_from_scratch_has_no_base_model(train, tmp_path):
    assert train(*ONE_EPOCH, name="one").exit_code == 0
    run_dir = tmp_path / "checkpoints" / "one"
    assert read_card(run_dir)["base"] is None
    text = (run_dir / "best.card.md").read_text()
    assert "Trained from scratch" in text
    assert "Non-commercial" not in text


@pytest.mark.usefixtures("mirror")
def test_card_lists_the_chain_of_base_models(train, tmp_path):
    assert train("--init-from", NAME, *ONE_EPOCH, *WIDTHS, name="one").exit_code == 0
    first = tmp_path / "checkpoints" / "one" / "best.pt"
    for origin in (first, first.relative_to(tmp_path)):
        assert train("--init-from", origin, *ONE_EPOCH, *WIDTHS, name=f"two-{origin.is_absolute()}").exit_code == 0
    base = read_card(tmp_path / "checkpoints" / "two-True")["base"]
    assert (base["model"], base["sha256"], base["family"]) == ("best.pt", sha256(first), "redimnet")
    assert base["training_set"] == "corpus: 8 utterances of 2 speakers"
    assert base["base"] == read_card(first.parent)["base"]
    assert (base["licence"], base["non_commercial"]) == (base["base"]["licence"], True)
    assert read_card(tmp_path / "checkpoints" / "two-False")["base"]["model"] == "checkpoints/one/best.pt"
    text = (tmp_path / "checkpoints" / "two-True" / "best.card.md").read_text()
    assert text.splitlines()[2].startswith("> **Non-commercial use only**")
    assert f"| name | {NAME} |" in text


def test_published_file_is_recognised_by_its_sha256(run, train, mirror, tmp_path):
    assert run("pretrained", "fetch", NAME).exit_code == 0
    shutil.copy(mirror / FILE, tmp_path / "copy.pt")
    assert train("--init-from", "copy.pt", *ONE_EPOCH, *WIDTHS, name="one").exit_code == 0
    base = read_card(tmp_path / "checkpoints" / "one")["base"]
    assert (base["model"], base["non_commercial"]) == (NAME, True)


def test_terms_of_an_unknown_file_are_unknown(train, tmp_path, monkeypatch):
    monkeypatch.setenv("MRLSPK_CACHE_DIR", str(tmp_path / "cache"))
    write_published(read_reference(SMALL), tmp_path / "found.pt")
    assert train("--init-from", "found.pt", *ONE_EPOCH, *WIDTHS, name="one").exit_code == 0
    base = read_card(tmp_path / "checkpoints" / "one")["base"]
    assert (base["model"], base["licence"]) == ("found.pt", "unknown")
    assert (base["non_commercial"], base["training_set"], base["base"]) == (None, None, None)


def test_damaged_card_of_a_base_model_is_refused_with_its_place(train, tmp_path):
    assert train(*ONE_EPOCH, name="one").exit_code == 0
    contents = load(tmp_path / "checkpoints" / "one" / "best.pt")
    contents["card"]["data"]["speakers"] = "many"
    torch.save(contents, tmp_path / "damaged.pt")
    outcome = train("--init-from", "damaged.pt", "--dry-run")
    assert outcome.exit_code == 1
    assert "damaged.pt: its model card is damaged: card.data.speakers" in outcome.stderr
