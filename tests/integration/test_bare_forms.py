"""The four commands just as typed, where a run exists and where none does."""

import pytest
import torch
import yaml

from factories import TINY_RUN


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder whose ``.env`` names the corpus and a small model to start from."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MRLSPK_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("MRLSPK_MIRROR", "http://127.0.0.1:9")  # nothing listens there
    return tmp_path


@pytest.fixture
def configured(folder, tiny_corpus, monkeypatch):
    config = TINY_RUN | {"data": TINY_RUN["data"] | {"train_dataset": str(tiny_corpus.root)}}
    for section, content in config.items():
        for key, value in content.items():
            text = yaml.safe_dump(value, default_flow_style=True).strip().removesuffix("...").strip()
            monkeypatch.setenv(f"MRLSPK_{section.upper()}__{key.upper()}", text)
    return folder


def test_each_form_does_its_work_where_a_run_exists(run, configured, tiny_corpus):
    trained = run("train")
    assert trained.exit_code == 0, trained.stderr
    best = next((configured / "checkpoints").glob("*/best.pt"))
    scored = run("eval", "--dims", "4,8")
    assert scored.exit_code == 0, scored.stderr
    assert "EER" in scored.stdout
    assert f"model: {best.relative_to(configured)}" in scored.stderr
    torch.save(torch.load(best, weights_only=True), configured / "a.pt")
    torch.save(torch.load(best.with_name("last.pt"), weights_only=True), configured / "b.pt")
    for name in ("a.pt", "b.pt"):  # the trials of the run lie beside its checkpoints
        (configured / name).rename(best.parent / name)
    compared = run("compare", best.parent / "a.pt", best.parent / "b.pt")
    assert compared.exit_code == 0, compared.stderr
    assert "a.pt" in compared.stdout
    embedded = run("embed", tiny_corpus.root / tiny_corpus.utterance_ids[0])
    assert embedded.exit_code == 0, embedded.stderr
    assert tiny_corpus.utterance_ids[0] in embedded.stdout.replace("\n", "")


@pytest.mark.usefixtures("folder")
def test_train_without_its_corpus_says_how_to_name_it(run):
    outcome = run("train")
    assert outcome.exit_code == 3
    assert "data/voxceleb2/dev/aac" in outcome.stderr


@pytest.mark.usefixtures("folder")
def test_eval_without_a_run_or_network_gives_the_command_to_run(run):
    outcome = run("eval", "--dims", "64,128")
    assert outcome.exit_code == 4
    assert "mrlspk pretrained fetch redimnet-b2-vox2-ft_lm" in outcome.stderr


def test_compare_without_trials_says_how_to_give_them(run, folder, write_model):
    models = [write_model(folder / name, seed=seed) for seed, name in enumerate(("a.pt", "b.pt"))]
    outcome = run("compare", *models)
    assert outcome.exit_code == 3
    assert "--trials" in outcome.stderr
