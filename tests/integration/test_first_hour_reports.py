"""Meet the mistakes of the first hour: figures that mislead, and folders that are no run."""

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
import soundfile
from markupsafe import escape

from factories import write_tiny_model
from first_hour import Situation
from mrlspk.data.trials import read_trials
from run_folders import run_line, write_run

N_FILES = 3  # of each speaker


def write_vectors(n_speakers, *, swapped=False, shuffled=False):
    """Write vectors of speakers that are easy to tell apart, and all trials between them."""
    generator = np.random.default_rng(0)
    voices = np.repeat(generator.normal(size=(n_speakers, 16)), N_FILES, axis=0)
    ids = [f"s{speaker:02}/{number}.wav" for speaker in range(n_speakers) for number in range(N_FILES)]
    rows = generator.permutation(len(ids)) if shuffled else np.arange(len(ids))
    np.savez("v.npz", ids=np.array(ids), embeddings=(voices + 0.1 * generator.normal(size=voices.shape))[rows])
    lines = [f"{int((a[:3] == b[:3]) != swapped)} {a} {b}\n" for a, b in combinations(ids, 2)]
    Path("list.txt").write_text("".join(lines))


def write_stopped_run():
    write_run(Path("checkpoints/first"), [run_line()], tail='{"event": "st')


def write_reported_run():
    write_run(Path("checkpoints/first"), [run_line()])
    Path("page").mkdir()
    Path("page/index.html").write_text("earlier")


SCORE = ("eval", "--vectors", "v.npz", "--trials", "list.txt", "--resamples", "0")
SITUATIONS = [
    Situation(
        "a list with swapped labels",
        SCORE,
        0,
        ("list.txt: EER of 100 %: the labels look swapped.", "awk '{{ $1 = 1 - $1; print }}' LIST > MENDED"),
        prepare=lambda: write_vectors(20, swapped=True),
    ),
    Situation(
        "swapped labels in json",
        (*SCORE, "--json"),
        0,
        ('"warnings": [ "list.txt: EER of 100 %: the labels look swapped.',),
        prepare=lambda: write_vectors(20, swapped=True),
    ),
    Situation(
        "ids that do not fit the audio",
        SCORE,
        0,
        ("near the 50 % of chance: the labels or ids of the list may not fit the audio",),
        prepare=lambda: write_vectors(20, shuffled=True),
    ),
    Situation(
        "few speakers",
        SCORE,
        0,
        ("list.txt: 4 speakers are few (20 give intervals): on others the EER may be far off",),
        prepare=lambda: write_vectors(4),
    ),
    Situation(
        "report of a run that was stopped",
        ("report", "checkpoints/first", "-o", "page"),
        0,
        ("report: page/index.html",),
        prepare=write_stopped_run,
    ),
    Situation(
        "report of the folder of all runs",
        ("report", "checkpoints"),
        3,
        ("It holds runs: give one of them, such as checkpoints/first.",),
        prepare=write_stopped_run,
    ),
    Situation(
        "report of a checkpoint",
        ("report", "checkpoints/first/best.pt"),
        3,
        ("is a file, expected the folder of a run Give checkpoints/first.",),
        prepare=lambda: (write_stopped_run(), Path("checkpoints/first/best.pt").touch())[0],
    ),
    Situation(
        "report of a folder without a run",
        ("report", "."),
        3,
        ("is not the folder of a training run: it has neither config.yaml nor metrics.jsonl", "checkpoints/NAME"),
    ),
    Situation(
        "report over an earlier one",
        ("report", "checkpoints/first", "-o", "page"),
        1,
        ("page: exists To read it, open page/index.html. Give another name, or replace the report with --force.",),
        prepare=write_reported_run,
    ),
]


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda each: each.name)
def test_first_hour(situation, meet):
    meet(situation)


@pytest.mark.parametrize("command", ["eval", "compare"])
def test_trials_that_chose_a_checkpoint_are_told(run, tiny_corpus, tmp_path, command):
    corpus = {"training": "a" * 64, "validation": read_trials(tiny_corpus.trials).sha256}
    models = [
        write_tiny_model(tmp_path / f"{epoch}.pt", (8,), seed=epoch, corpus=corpus, progress={"epoch": epoch})
        for epoch in (0, 2)
    ]
    lists = ("--trials", tiny_corpus.trials, "--audio-root", tiny_corpus.root)
    outcome = run(command, *models[command == "eval" :], *lists, "--json")
    (told,) = [text for text in outcome.json["warnings"] if "these trials chose" in text]
    assert "2.pt: on other speakers the error may be higher" in told
    assert "0.pt" not in told
    assert any("4 speakers are few" in text for text in outcome.json["warnings"])


def test_page_and_json_tell_what_stderr_warns_of(run, tiny_corpus, write_model, tmp_path):
    loud = tiny_corpus.root / tiny_corpus.utterance_ids[0]
    samples, rate = soundfile.read(loud)
    soundfile.write(loud, 9 * samples / np.abs(samples).max(), rate, subtype="FLOAT")
    model = write_model(tmp_path / "model.pt")
    lists = ("--trials", tiny_corpus.trials, "--audio-root", tiny_corpus.root)
    assert run("calibrate", model, *lists, "--json").exit_code == 0
    outcome = run("eval", model, *lists, "--report", tmp_path / "page", "--json")
    parts = "out of range", "was fitted on", "4 speakers are few"
    assert [sum(part in text for text in outcome.json["warnings"]) for part in parts] == [1, 1, 1]
    page = (tmp_path / "page" / "index.html").read_text().replace("<wbr>", "")
    assert [text for text in outcome.json["warnings"] if escape(text) not in page] == []
