"""Make the demo corpus: synthetic voices of training and test speakers, and a trial list."""

import json
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from mrlspk.data.corpora.demo import Voice, make_voices, write_voices
from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.data.demo_marker import DEMO_MARKER
from mrlspk.data.trials import generate_trials, write_trials
from mrlspk.errors import MrlspkError, UsageError
from mrlspk.files import OnProgress, whole_folder
from mrlspk.partial_files import write_errors

NOTE = "Synthetic voices (eSpeak NG): they prove that the installation works and say nothing about accuracy."
MAX_TRIALS = 400


@dataclass(frozen=True)
class DemoReport:
    """Paths and counts of a demo corpus."""

    train: Path
    test: Path
    trials: Path
    n_train_speakers: int
    n_test_speakers: int
    n_utterances: int
    n_target: int
    n_nontarget: int
    note: str = NOTE


def make_demo(
    directory: Path,
    *,
    n_train_speakers: int,
    n_test_speakers: int,
    n_utterances: int,
    seed: int,
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> DemoReport:
    """Write ``train/``, ``test/`` and ``trials.txt`` into ``directory``, completely or not at all.

    Args:
        directory: New or empty; with ``force`` it may be an earlier demo corpus.
        n_train_speakers: Training speakers.
        n_test_speakers: Test speakers, other than those in training; two or more.
        n_utterances: Files per speaker, over two sessions; two or more.
        seed: Seed of every choice.
        force: Replace an earlier demo corpus.
        on_progress: Called with (files written, files).

    Raises:
        MrlspkError: If the directory exists, or cannot be written.
        UsageError: If there are too few test speakers or utterances for trials.
        MissingDependencyError: If eSpeak NG is absent.
    """
    if n_test_speakers < 2 or n_utterances < 2:
        raise UsageError("expected two test speakers or more, with two utterances or more", directory)
    _check_free(directory, force=force)
    voices = make_voices(n_train_speakers + n_test_speakers, seed=seed)
    named = [(f"demo{number:05}", voice) for number, voice in enumerate(voices, start=1)]
    with whole_folder(directory, force=force) as root:
        parts = {"test": dict(named[:n_test_speakers]), "train": dict(named[n_test_speakers:])}
        _write_parts(root, parts, n_utterances, seed=seed, on_progress=on_progress)
        trials = generate_trials(scan_corpus(root / "test"), MAX_TRIALS, seed=seed, path=str(directory / "trials.txt"))
        write_trials(trials, root / "trials.txt")
        settings = {"speakers": n_train_speakers, "test_speakers": n_test_speakers, "utterances": n_utterances}
        (root / DEMO_MARKER).write_text(json.dumps({"note": NOTE, **settings, "seed": seed}, indent=2) + "\n")
    return DemoReport(
        directory / "train",
        directory / "test",
        directory / "trials.txt",
        n_train_speakers,
        n_test_speakers,
        n_utterances,
        trials.n_target,
        trials.n_nontarget,
    )


def _write_parts(
    root: Path, parts: dict[str, dict[str, Voice]], n_utterances: int, *, seed: int, on_progress: OnProgress | None
) -> None:
    total, before = sum(map(len, parts.values())) * n_utterances, 0
    for number, (name, voices) in enumerate(parts.items()):
        shifted = partial(_report, on_progress, before, total) if on_progress else None
        write_voices(root / name, voices, n_utterances, seed=seed + number, on_progress=shifted)
        before += len(voices) * n_utterances


def _report(on_progress: OnProgress, before: int, total: int, done: int, _part: int) -> None:
    on_progress(before + done, total)


def _check_free(directory: Path, *, force: bool) -> None:
    with write_errors(directory):
        if not directory.exists() or (directory.is_dir() and not any(directory.iterdir())):
            return
        is_demo = (directory / DEMO_MARKER).is_file()
    if not is_demo:
        raise MrlspkError("exists and is not a demo corpus", directory, "Name another folder.")
    if not force:
        raise MrlspkError("exists", directory, "Name another folder, or replace it with `force=True`.")
