import json
import sys
from pathlib import Path

import numpy as np
import pytest

from mrlspk.rotation.transform import FLOOR, fit_transform

SCRIPTS = Path(__file__).parents[3] / "scripts"
RECIPES = "S_w flattened 0.2, energy", "50 speakers"


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    import study_any_backbone

    yield study_any_backbone
    for name in [each for each in sys.modules if each.split(".")[0] in ("any_backbone", "study_any_backbone")]:
        del sys.modules[name]


@pytest.fixture
def speech_file(tmp_path):
    """Two corpora of 15 speakers with two recordings and a crop of each, 12 values."""
    rng, ids, rows = np.random.default_rng(0), [], []
    for corpus in ("aa", "bb"):
        for speaker in range(15):
            voice = rng.normal(size=12)
            for name in ("s/0", "s/1", "s/0#0", "s/1#0"):
                ids.append(f"{corpus}{speaker}/{name}")
                rows.append(voice + rng.normal(size=12))
    np.savez(tmp_path / "train.npz", ids=np.array(ids), embeddings=np.array(rows, np.float32))
    lines = [f"{int(a.split('/')[0] == b.split('/')[0])} {a} {b}" for a in ids[:30] for b in ids[:30] if a < b]
    (tmp_path / "trials.txt").write_text("\n".join(lines) + "\n")
    return tmp_path / "train.npz"


def test_stopped_study_computes_only_what_is_missing(study, speech_file, tmp_path, monkeypatch, capsys):
    results, lists = tmp_path / "results.jsonl", (str(tmp_path / "trials.txt"), str(speech_file))
    arguments = ["x", "--name", "tiny", "--train", speech_file, "--results", results, "--only", *RECIPES, "--seeds", 2]
    of_lists = [*arguments, "--score-lists", "--inside", *lists, "--outside", *lists]
    fits = []
    monkeypatch.setattr(study, "_score_held_out", counted(study._score_held_out, fits))

    def run_both():
        for each in (arguments, of_lists):
            monkeypatch.setattr(sys, "argv", [*map(str, each)])
            study.main()

    run_both()
    lines, tables = results.read_text().splitlines(), capsys.readouterr().out
    kinds = [(entry["recipe"], entry["seed"], entry["fold"]) for entry in map(json.loads, lines)]
    folds = {*map(str, range(5)), "without aa", "without bb", "lists"}
    assert {fold for name, seed, fold in kinds if (name, seed) == ("50 speakers", 1)} == folds
    assert len({*kinds}) == len(kinds) == 8 * (3 + 1 + 2)  # three baselines, a form, two seeds
    results.write_text("\n".join(lines[:20]) + "\n" + lines[20][:30])  # cut in the middle of a line
    done = len(fits)
    run_both()
    again = results.read_text().splitlines()
    assert again[:20] == lines[:20]
    assert sorted(again) == sorted(lines)
    assert len(fits) - done == sum(json.loads(line)["fold"] != "lists" for line in lines[20:])
    assert capsys.readouterr().out == tables


def counted(function, calls):
    def call(*arguments):
        calls.append(arguments)
        return function(*arguments)

    return call


@pytest.mark.parametrize("order", ["energy", "scatter"])
@pytest.mark.parametrize("balance", ["roots", "corpora"])
@pytest.mark.usefixtures("study")
def test_forms_of_the_study_are_those_of_the_library(speech_file, order, balance):
    from any_backbone.forms import FLOOR as OWN_FLOOR
    from any_backbone.forms import Form, fit_form
    from any_backbone.speech import load_speech

    speech = load_speech([speech_file])
    found = fit_form(speech, Form(flatten=0.3, order=order, balance=balance))
    corpus = speech.corpus if balance == "corpora" else None
    expected = fit_transform(
        speech.directions, speech.speaker, centre=True, flatten=0.3, order=order, corpus_index=corpus
    )
    size = np.sqrt((found.matrix**2).sum(axis=1).mean())
    assert found.mean == pytest.approx(expected.mean, abs=1e-6)
    assert np.abs(found.matrix) / size == pytest.approx(np.abs(expected.scaled_matrix), abs=1e-3)
    assert OWN_FLOOR == FLOOR


@pytest.mark.usefixtures("study")
def test_held_out_trials_are_within_a_corpus_and_between_recordings(speech_file):
    from any_backbone.speech import draw_folds, held_out_trials, load_speech

    speech = load_speech([speech_file])
    folds = draw_folds(speech)
    held_out = folds == 2
    assert [(speech.corpus_of[folds == fold] == "aa").sum() for fold in range(5)] == [3] * 5
    found = held_out_trials(speech, held_out, seed=0)
    assert {*found} == {"aa whole", "aa crops", "bb whole", "bb crops"}
    for name, trials in found.items():
        assert trials.is_target.sum() == 3
        for side in (trials.enroll, trials.test):
            assert held_out[speech.speaker[side]].all()
            assert {*speech.corpus_of[speech.speaker[side]]} == {name[:2]}
            assert (speech.is_crop[side] == name.endswith("crops")).all()
        assert (speech.recording[trials.enroll] != speech.recording[trials.test]).all()
        same = speech.speaker[trials.enroll] == speech.speaker[trials.test]
        assert (same == trials.is_target).all()
