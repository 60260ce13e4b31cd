"""Each command says what to type next, and what it says works."""

import re
import shlex

import pytest

from mrlspk.cli.next_commands import after_check
from mrlspk.data.problems import Problem
from mrlspk.workflows.check_data import CorpusReport


def said(outcome, label):
    """Return the words behind ``mrlspk`` of the line that an outcome ends with, which begins with a label."""
    assert outcome.exit_code == 0, outcome.stderr
    (line,) = re.findall(rf"^{label}: mrlspk (.+)$", outcome.stdout, re.MULTILINE)
    return shlex.split(line)


@pytest.mark.slow
def test_commands_lead_from_a_folder_to_two_recordings(run, tiny_corpus, write_model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = str(write_model(tmp_path / "mine.pt", dims=(8,)))
    rotate = said(run("data", "check", tiny_corpus.root), "To make a model without training")
    rotate[rotate.index("redimnet-b2-vox2-ft_lm")] = model
    evaluate = said(run(*rotate, "--dims", "4", "--crop-seconds", "0.4"), "To evaluate")
    page = said(run(*evaluate), "For a page to read and send")
    verify = said(run(*page), "To score the worst error by itself")
    assert (tmp_path / "rotated-report" / "index.html").exists()
    assert "cosine" in run(*verify).stdout


def checked(n_speakers, *problems, corpus="folders"):
    return CorpusReport("my speech", corpus, n_speakers, 2 * n_speakers, 60.0, 2, problems)


def test_training_is_proposed_from_thirty_speakers_on():
    few, enough = (list(after_check(checked(n))) for n in (29, 30))
    assert [line.partition(":")[0] for line in few] == ["\nTo make a model without training"]
    assert "--speech 'my speech' -o" in few[0]
    assert enough[1].endswith("--set 'data.train_dataset=my speech' --set data.val_dataset=null")


def test_pattern_of_the_check_is_in_the_commands_after_it():
    rotate, train = after_check(checked(30, corpus="{speaker}-*.wav"))
    assert "--speech 'my speech' --corpus '{speaker}-*.wav' -o" in rotate
    assert """--set 'data.train_dataset=[{"path": "my speech", "corpus": "{speaker}-*.wav"}]'""" in train


def test_a_corpus_with_errors_leads_nowhere():
    assert list(after_check(checked(30, Problem("cut_short", "error", "a.wav", "cut short")))) == []
