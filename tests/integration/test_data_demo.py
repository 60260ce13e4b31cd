import json
import sys
from pathlib import Path

import pytest

from mrlspk.data.audio import load_audio
from mrlspk.data.corpora import demo
from mrlspk.data.corpora.recipe_registry import scan_corpus

SMALL = ("--speakers", "2", "--test-speakers", "2", "--utterances", "3")


@pytest.fixture
def needs_espeak():
    pytest.importorskip("espeakng_loader", reason="needs the extra 'demo'")


@pytest.mark.usefixtures("needs_espeak")
def test_demo_writes_a_corpus_that_the_check_finds_sound(run, tmp_path):
    outcome = run("data", "demo", tmp_path / "demo", *SMALL, "--json")
    assert outcome.exit_code == 0
    train, test, trials = (Path(outcome.json[key]) for key in ("train", "test", "trials"))
    assert (train, test, trials) == tuple(tmp_path / "demo" / name for name in ("train", "test", "trials.txt"))
    assert "nothing about accuracy" in outcome.json["note"]
    checked = run("data", "check", test, "--trials", trials, "--against", train, "--decode", "all", "--json")
    assert checked.exit_code == 0
    assert (checked.json["speakers"], checked.json["utterances"], checked.json["problems"]) == (2, 6, [])
    for utterance in scan_corpus(train).utterances:
        assert utterance.source.path.suffix == ".m4a"
        assert 1.5 < load_audio(utterance.source.path).numel() / 16_000 < 4.5
        assert utterance.utterance_id.count("/") == 2
    assert [path.name for path in tmp_path.iterdir()] == ["demo"]


@pytest.mark.usefixtures("needs_espeak")
def test_demo_is_not_overwritten_without_force(run, tmp_path):
    directory = tmp_path / "demo"
    assert run("data", "demo", directory, *SMALL, "--quiet").exit_code == 0
    (directory / "mine.txt").write_text("kept")
    refused = run("data", "demo", directory, *SMALL)
    assert refused.exit_code == 1
    assert str(directory) in refused.stderr
    assert "--force" in refused.stderr
    assert (directory / "mine.txt").exists()
    replaced = run("data", "demo", directory, *SMALL, "--force")
    assert replaced.exit_code == 0
    assert "nothing about accuracy" in replaced.stdout.replace("\n", " ")
    assert not (directory / "mine.txt").exists()


def test_folder_that_is_no_demo_corpus_is_never_replaced(run, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    outcome = run("data", "demo", tmp_path, *SMALL, "--force")
    assert outcome.exit_code == 1
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


@pytest.mark.usefixtures("needs_espeak")
def test_folder_that_cannot_be_made_is_an_error_with_a_remedy(run, tmp_path):
    (tmp_path / "text").write_text("")
    outcome = run("data", "demo", tmp_path / "text" / "demo", *SMALL)
    assert outcome.exit_code == 1
    assert f"{tmp_path}/text/demo: cannot be written" in outcome.stderr


def test_without_the_extra_it_exits_4_with_the_line_to_type(run, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "espeakng_loader", None)
    outcome = run("data", "demo", tmp_path / "demo", *SMALL)
    assert outcome.exit_code == 4
    assert "pip install espeakng-loader" in outcome.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("needs_espeak")
def test_interrupted_demo_leaves_nothing(run, tmp_path, monkeypatch):
    def interrupt(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(demo, "_write_utterance", interrupt)
    assert run("data", "demo", tmp_path / "demo", *SMALL).exit_code == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("needs_espeak")
@pytest.mark.parametrize(("failure", "exit_code"), [(KeyboardInterrupt(), 130), (OSError(5, "broken"), 1)])
def test_demo_that_cannot_take_its_place_leaves_the_earlier_one(run, tmp_path, monkeypatch, failure, exit_code):
    assert run("data", "demo", tmp_path / "demo", *SMALL, "--seed", 1).exit_code == 0
    before = {path: path.read_bytes() for path in (tmp_path / "demo").rglob("*") if path.is_file()}
    rename = Path.rename

    def fail(path, target):
        if path.name == "demo.partial":
            raise failure
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", fail)
    outcome = run("data", "demo", tmp_path / "demo", *SMALL, "--seed", 2, "--force")
    assert outcome.exit_code == exit_code
    kept = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert before.items() <= kept.items()
    assert (tmp_path / "demo.partial").exists() == isinstance(failure, OSError)  # the new one is whole, and named


@pytest.mark.usefixtures("needs_espeak")
def test_trials_and_voices_are_functions_of_the_seed(run, tmp_path):
    for name, seed in (("one", 5), ("two", 5)):
        assert run("data", "demo", tmp_path / name, *SMALL, "--seed", seed).exit_code == 0
    texts = [(tmp_path / name / "trials.txt").read_text() for name in ("one", "two")]
    assert texts[0] == texts[1]
    assert json.loads((tmp_path / "one" / "demo.json").read_text())["seed"] == 5
