"""Say what to type after a command: whole lines to copy, with the paths of the user."""

import json
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mrlspk.evaluation.evaluation_report import EvaluationReport, ListReport
    from mrlspk.inference.model_file import ModelFile
    from mrlspk.workflows.check_data import CorpusReport

FEWEST_TO_TRAIN = 30  # speakers; with fewer, a trained head seldom beats a rotation


def after_check(report: "CorpusReport") -> Iterator[str]:
    """Return how to make a model of a corpus without errors."""
    from mrlspk.inference.default_model import PUBLISHED

    if not report.ok:
        return
    folder, corpus = shlex.quote(str(report.path)), ""
    setting = f"data.train_dataset={report.path}"
    if "{" in report.corpus:  # a pattern, which has to be given again
        corpus = f" --corpus {shlex.quote(report.corpus)}"
        entry = {"path": str(report.path), "corpus": report.corpus}
        setting = f"data.train_dataset={json.dumps([entry], ensure_ascii=False)}"
    yield f"\nTo make a model without training: mrlspk rotate {PUBLISHED} --speech {folder}{corpus} -o rotated.pt"
    if report.speakers >= FEWEST_TO_TRAIN:
        setting = shlex.quote(setting)
        yield f"To train a head: mrlspk train --set {setting} --set data.val_dataset=null"


def after_eval(report: "EvaluationReport", model: "ModelFile", *, typed: str, page: Path | None) -> Iterator[str]:
    """Return how to get a page of an evaluation and, once there is one, how to look at the worst error.

    Args:
        report: The evaluation.
        model: That was scored.
        typed: The command that was run.
        page: Folder of the page, if one was asked for.
    """
    if page is None:
        yield f"\nFor a page to read and send: {typed} --report {shlex.quote(f'{Path(model.typed).stem}-report')}"
        return
    pairs = (pair for trials in report.trials for pair in _worst_errors(trials))
    if (pair := next(pairs, None)) and not model.vectors:
        recordings = " ".join(shlex.quote(str(path)) for path in pair)
        yield f"\nTo score the worst error by itself: mrlspk verify {recordings} --model {shlex.quote(model.typed)}"


def _worst_errors(trials: "ListReport") -> Iterator[tuple[Path, Path]]:
    """Return the recordings of the trials that are farthest on the wrong side, where they are files."""
    for each in (*trials.errors.misses, *trials.errors.false_accepts):
        pair = trials.audio_root / each.enroll_id, trials.audio_root / each.test_id
        if all(path.is_file() for path in pair):
            yield pair
