"""The main job on real speech, at a size that takes a minute; scripts/real_speech.py does it in full."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

SMALL = [
    "training.num_epochs=2",
    "training.batch_size=16",
    "data.crops_per_epoch=64",
    "data.chunk_duration=1.0",
    "data.n_validation_speakers=4",
    "data.n_validation_trials=40",
    "data.num_workers=1",
]


@pytest.fixture
def speech(shared):
    return shared / "speech"


def test_corpus_of_real_speech_has_no_error(run, speech):
    outcome = run("data", "check", speech / "train", "--json")
    assert outcome.exit_code == 0
    assert (outcome.json["speakers"], outcome.json["utterances"], outcome.json["ok"]) == (268, 1638, True)
    assert {problem["kind"] for problem in outcome.json["problems"]} == {"one_file_speaker"}


def test_main_job_on_real_speech(run, speech, tmp_path, monkeypatch):
    root = Path(__file__).parents[2]
    monkeypatch.chdir(tmp_path)
    sets = [part for text in SMALL for part in ("--set", text)]
    corpus = f"data.train_dataset={speech / 'train'}"
    trained = run("train", "--config", root / "configs" / "scratch-small.yaml", "--set", corpus, *sets, "--json")
    assert trained.exit_code == 0, trained.stderr
    best = tmp_path / trained.json["best_checkpoint"]
    lists = ["--trials", speech / "trials-english.txt", "--audio-root", speech / "test"]

    scored = run("eval", best, *lists, "--dims", "64,256", "--json").json["trials"][0]
    assert (scored["n_target"], scored["n_nontarget"]) == (225, 1000)
    assert [result["dim"] for result in scored["results"]] == [64, 256]
    assert all(0 < result["eer"] < 0.5 for result in scored["results"])

    first = best.with_name("epoch-001.pt")
    compared = run("compare", first, best, *lists, "--dims", "64,256", "--json").json["trials"][0]["results"]
    again = [model["eer"] for result in compared for model in result["models"] if model["model"] == str(best)]
    assert again == [result["eer"] for result in scored["results"]]

    recording = min((speech / "train").rglob("*.m4a"))
    embedded = run("embed", recording, "--dim", "64", "--json")
    assert f"model: {best.relative_to(tmp_path)}" in embedded.stderr
    assert sum(value**2 for value in embedded.json["embeddings"][0]["embedding"]) == pytest.approx(1, abs=1e-5)


@pytest.mark.usefixtures("speech_cache")
def test_published_layout_gives_the_eer_of_its_reference_implementation(run, shared, speech):
    model = shared / "pretrained" / "redimnet-small-speech.pt"
    lists = [
        "--trials", speech / "trials-english.txt", "--trials", speech / "trials-crosslingual.txt",
        "--trials", speech / "trials-short.txt",
        "--audio-root", speech / "test", "--audio-root", speech / "test", "--audio-root", speech / "test-short",
    ]  # fmt: skip
    scored = run("eval", model, *lists, "--json").json["trials"]
    found = [100 * entry["results"][0]["eer"] for entry in scored]
    assert found == pytest.approx([0.44, 10.72, 10.54], abs=0.006)
