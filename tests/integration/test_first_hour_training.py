"""Situations of the first hour with `train`: small corpora, batches and steps."""

import json
from pathlib import Path

import numpy as np
import pytest

from first_hour import Situation
from mrlspk.vectors.saving import save_vectors
from mrlspk.vectors.table import VectorTable

VECTORS = "train", "--vectors", "v.npz"
PLAN_CORPUS = "train", "--set", "data.train_dataset=corpus", "--init-from", "{model}", "--dry-run"
PLAN_VECTORS = *VECTORS, "--dry-run"


def write_corpus(n_speakers):
    """Write a corpus whose files are empty: a command that reads audio fails."""
    for name in (f"s{number:02}/a/{file}.wav" for number in range(n_speakers) for file in range(2)):
        path = Path("corpus", name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def write_vectors(n_speakers, dims=None):
    ids = tuple(f"s{number:02}/{file}" for number in range(n_speakers) for file in range(2))
    rows = np.random.default_rng(0).normal(size=(len(ids), 8)).astype(np.float32)
    save_vectors(VectorTable(ids, rows, dims=dims), Path("v.npz"), force=False)


SITUATIONS = [
    Situation(
        "few speakers name rotate",
        PLAN_CORPUS,
        3,
        (
            "corpus: 12 speakers with two utterances are too few to train on some and validate on others: 30 or more",
            "mrlspk rotate {model} --speech corpus -o rotated.pt",
            "data.n_validation_speakers",
        ),
        prepare=lambda: write_corpus(12),
    ),
    Situation(
        "few speakers of vectors name rotate",
        VECTORS,
        3,
        ("v.npz: 24 speakers", "mrlspk rotate --vectors v.npz -o rotated.npz"),
        prepare=lambda: write_vectors(24),
    ),
    Situation(
        "43 speakers train by default",
        PLAN_CORPUS,
        0,
        ("speakers 33 ", "validation speakers 10 ", "steps per epoch 2 ", "epochs 50 "),
        prepare=lambda: write_corpus(43),
    ),
    Situation(
        "43 speakers of vectors train by default",
        (*VECTORS, "--set", "evaluation.n_resamples=0"),
        0,
        ("best checkpoint",),
        prepare=lambda: write_vectors(43),
    ),
    Situation(
        "large batch is refused before audio is read",
        (*PLAN_CORPUS[:-1], "--set", "training.batch_size=512"),
        1,
        ("training.batch_size: an epoch of 264 crops does not fill a batch of 512", "leave it out for one that fits"),
        prepare=lambda: write_corpus(43),
    ),
    Situation(
        "large batch of vectors is refused",
        (*VECTORS, "--set", "training.batch_size=512"),
        1,
        ("an epoch of 264 vectors does not fill a batch of 512",),
        prepare=lambda: write_vectors(43),
    ),
    Situation(
        "few steps are warned of",
        (*PLAN_VECTORS, "--set", "training.num_epochs=5"),
        0,
        ("10 steps are few to train with (5 epochs of 2)", "training.num_epochs=50"),
        prepare=lambda: write_vectors(43),
    ),
    Situation(
        "speech beside vectors is not used",
        (*PLAN_VECTORS, "--set", "data.train_dataset=corpus"),
        0,
        ("data.train_dataset is not used: the run is on data.vectors",),
        prepare=lambda: write_vectors(43),
    ),
]


@pytest.mark.parametrize("situation", SITUATIONS, ids=lambda each: each.name)
def test_first_hour(situation, meet):
    meet(situation)


def test_command_with_a_start_resumes_when_it_is_repeated(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_vectors(30)
    short = *VECTORS, "--debug-batches", "1", "--set", "training.num_epochs=1", "--set", "training.refit=false"
    assert run(*short, "--set", "logging.run_name=first").exit_code == 0
    loop = *short, "--init-from", "checkpoints/first/best.pt", "--resume", "auto", "--set", "logging.run_name=loop"
    begun, ended = run(*loop), run(*loop)
    assert (begun.exit_code, ended.exit_code, "left to train" in begun.stderr) == (0, 0, False)
    log = [json.loads(line) for line in Path("checkpoints/loop/metrics.jsonl").read_text().splitlines()]
    assert [(entry["resumes"], entry["first_step"]) for entry in log if entry["event"] == "run"] == [
        (False, 0),
        (True, 1),
    ]
    assert "checkpoints/loop: nothing is left to train: 1 of 1 epochs are done; to train on, add" in ended.stderr
    assert "--allow-changes and --set training.num_epochs=2" in ended.stderr
    other = run(*short, "--init-from", "checkpoints/loop/best.pt", "--resume", "auto", "--set", "logging.run_name=loop")
    assert (other.exit_code, "pretrained_checkpoint was" in other.stderr) == (1, True)


@pytest.mark.parametrize(("dims", "expected"), [((4, 8), [4, 8]), ((8,), [8]), (None, [8])])
def test_widths_are_those_that_the_file_of_vectors_names(run, tmp_path, monkeypatch, dims, expected):
    monkeypatch.chdir(tmp_path)
    write_vectors(30, dims)
    assert run(*PLAN_VECTORS, "--json").json["config"]["model"]["matryoshka_dims"] == expected
