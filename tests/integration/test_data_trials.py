"""``mrlspk data trials``: what it writes is what eval reads."""

import shutil

import pytest

import full_disk
from factories import write_voices
from mrlspk.data.trials import read_trials


@pytest.fixture
def metadata(tiny_corpus, tmp_path):
    speakers = sorted({utterance_id.partition("/")[0] for utterance_id in tiny_corpus.utterance_ids})
    lines = [f"{speaker},{'fm'[number % 2]}" for number, speaker in enumerate(speakers)]
    (tmp_path / "meta.csv").write_text("\n".join(["speaker,gender", *lines]))
    return tmp_path / "meta.csv"


def speakers_of(trials):
    sides = zip(trials.enroll_ids, trials.test_ids, trials.is_target, strict=True)
    return [(a.partition("/")[0], b.partition("/")[0], bool(target)) for a, b, target in sides]


def test_the_list_is_the_one_that_the_document_describes(run, tiny_corpus, tmp_path):
    arguments = "data", "trials", tiny_corpus.root, "-n", 20, "--json", "-o"
    outcome = run(*arguments, tmp_path / "new" / "list.txt")
    assert outcome.exit_code == 0
    (entry,) = outcome.json["trials"]
    trials = read_trials(tmp_path / "new" / "list.txt")
    assert (entry["sha256"], entry["n_target"], entry["n_nontarget"]) == (trials.sha256, 10, 10)
    assert (entry["n_speakers"], entry["audio_root"]) == (4, str(tiny_corpus.root))
    assert all(a == b if target else a != b for a, b, target in speakers_of(trials))
    again = run(*arguments, tmp_path / "again.txt").json["trials"][0]
    other = run(*arguments, tmp_path / "other.txt", "--seed", 1).json["trials"][0]
    assert again["sha256"] == entry["sha256"] != other["sha256"]


def test_what_it_writes_can_be_scored_as_it_says(run, tiny_corpus, tmp_path, write_model):
    model = write_model(tmp_path / "model.pt")
    shown = run("data", "trials", tiny_corpus.root, "-n", 20, "-o", tmp_path / "list.txt").stdout
    command = shown.splitlines()[-1].partition("mrlspk eval MODEL ")[2].split()
    assert run("eval", model, *command, "--json").exit_code == 0


def test_several_folders_have_a_list_each_by_name(run, tiny_corpus, tmp_path):
    folders = [tmp_path / "a" / "test", tmp_path / "b" / "test"]
    for folder in folders:
        shutil.copytree(tiny_corpus.root, folder)
    outcome = run("data", "trials", *folders, "-n", 10, "-o", tmp_path / "lists", "--json")
    assert [entry["path"] for entry in outcome.json["trials"]] == [str(tmp_path / f"lists/{n}-test.txt") for n in "ab"]


@pytest.mark.parametrize("larger", ["a", "b"])
def test_full_disk_at_one_of_several_lists_leaves_none(run, tmp_path, larger):
    folders = [tmp_path / "a" / "test", tmp_path / "b" / "test"]
    for folder in folders:
        write_voices(folder, 4 if larger in folder.parts else 2)
    outcome = run("data", "trials", *folders, "-n", 40, "-o", tmp_path / "whole")
    assert outcome.exit_code == 0
    limit = min(path.stat().st_size for path in (tmp_path / "whole").iterdir())
    with full_disk.files_up_to(limit):
        outcome = run("data", "trials", *folders, "-n", 40, "-o", tmp_path / "lists")
    assert f"lists/{larger}-test.txt: cannot be written: File too large" in outcome.stderr
    assert not (tmp_path / "lists").exists()


def test_a_folder_named_twice_is_refused(run, tiny_corpus, tmp_path):
    outcome = run("data", "trials", tiny_corpus.root, tiny_corpus.root, "-o", tmp_path / "lists")
    assert (outcome.exit_code, (tmp_path / "lists").exists()) == (2, False)


def test_nontarget_trials_match_in_the_column_asked_for(run, tiny_corpus, tmp_path, metadata):
    flags = "--match", "Gender", "--metadata", metadata
    outcome = run("data", "trials", tiny_corpus.root, "-n", 20, "-o", tmp_path / "list.txt", *flags)
    assert outcome.exit_code == 0
    gender = dict(line.split(",") for line in metadata.read_text().splitlines()[1:])
    trials = read_trials(tmp_path / "list.txt")
    assert trials.n_nontarget == 10
    assert all(gender[a] == gender[b] for a, b, target in speakers_of(trials) if not target)


def test_speakers_without_a_value_are_counted_on_stderr(run, tiny_corpus, tmp_path, metadata):
    lines = metadata.read_text().splitlines()
    metadata.write_text("\n".join([*lines[:3], lines[3]]))
    flags = "--match", "gender", "--metadata", metadata
    outcome = run("data", "trials", tiny_corpus.root, "-n", 200, "-o", tmp_path / "list.txt", *flags)
    assert outcome.exit_code == 0
    assert "1 of 4 speakers have no gender" in outcome.stderr
    assert "32 trials instead of 200: the corpus has no more of this kind" in outcome.stderr


def test_a_list_is_not_overwritten_unasked(run, tiny_corpus, tmp_path):
    path = tmp_path / "list.txt"
    path.write_text("mine\n")
    outcome = run("data", "trials", tiny_corpus.root, "-o", path)
    assert (outcome.exit_code, path.read_text()) == (1, "mine\n")
    assert "--force" in outcome.stderr
    assert run("data", "trials", tiny_corpus.root, "-o", path, "--force").exit_code == 0


@pytest.mark.parametrize(
    ("flags", "exit_code", "message"),
    [
        (("--match", "gender"), 2, "--match: needs --metadata"),
        (("--match", "gendr", "--metadata", "meta.csv"), 2, "Did you mean gender?"),
        (("--match", "gender", "--metadata", "gone.csv"), 3, "gone.csv: cannot be read"),
        (("--same-session", "sometimes"), 2, "sometimes"),
    ],
)
def test_what_cannot_be_done_is_said_and_nothing_written(
    run, tiny_corpus, tmp_path, metadata, monkeypatch, flags, exit_code, message
):
    monkeypatch.chdir(metadata.parent)
    outcome = run("data", "trials", tiny_corpus.root, "-o", tmp_path / "list.txt", *flags)
    assert outcome.exit_code == exit_code
    assert message in outcome.stderr
    assert not (tmp_path / "list.txt").exists()


def test_a_folder_without_speech_writes_no_list_of_another(run, tiny_corpus, tmp_path):
    (tmp_path / "empty").mkdir()
    outcome = run("data", "trials", tiny_corpus.root, tmp_path / "empty", "-o", tmp_path / "lists")
    assert outcome.exit_code == 3
    assert not (tmp_path / "lists").exists()
