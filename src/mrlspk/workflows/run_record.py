"""Read what the folder of a training run holds."""

import json
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter

from mrlspk.errors import DataError
from mrlspk.evaluation.report import DATA
from mrlspk.reading import is_file, is_folder, load_json, read_text

CONFIG, METRICS = "config.yaml", "metrics.jsonl"
LARGEST_LOG = 1 << 32  # bytes
PAGE_FOLDER = "report"  # in the folder of the run, where its end writes a page
LINE_KEYS: Mapping[object, Set[object]] = {  # of each kind of line in the log
    "run": {"num_epochs", "n_validation_speakers"},
    "step": {"step"},
    "epoch": {"epoch", "step", "train_loss", "validation"},
}
CARD_KEYS = {"title", "family", "parameters", "dims", "data", "mrlspk_version"}
MEND = "Restore it, or remove it."
GIVE_RUN = "Give the folder of a run, such as checkpoints/NAME."

type Entry = dict[str, Any]


@dataclass(frozen=True)
class RunRecord:
    """The files of a run, read.

    Attributes:
        folder: Of the run.
        config_text: The configuration as it was written; empty if it is gone.
        starts: The facts at each start of the run, the first one first.
        steps: Logged optimiser steps.
        epochs: Validated epochs.
        cards: Model cards by the name of the checkpoint.
        verdict: Of a head run that has ended.
        summary: The verdict in plain sentences; empty without one.
        warnings: Of the run, as the page in its folder keeps them.
    """

    folder: Path
    config_text: str
    starts: Sequence[Entry]
    steps: Sequence[Entry]
    epochs: Sequence[Entry]
    cards: Mapping[str, Entry]
    verdict: Entry | None
    summary: Sequence[str]
    warnings: Sequence[str]


def read_run(folder: Path) -> RunRecord:
    """Read a run that has ended, is still training, or was stopped.

    Raises:
        DataError: If the folder is not that of a run, or a file of it cannot be read.
        CheckpointError: If ``best.pt`` is damaged.
    """
    _check_run(folder)
    lines = list(_read_log(folder / METRICS))
    verdict = _read_verdict(folder) if (folder / "rotation.pt").is_file() else None
    return RunRecord(
        folder=folder,
        config_text=_text(folder / CONFIG) or "",
        starts=_of_kind(lines, "run"),
        steps=_of_kind(lines, "step"),
        epochs=_of_kind(lines, "epoch"),
        cards=dict(_read_cards(folder)),
        verdict=verdict,
        summary=_explain(verdict) if verdict else (),
        warnings=_kept_warnings(folder / PAGE_FOLDER / DATA),
    )


def _check_run(folder: Path) -> None:
    if not is_folder(folder, DataError, GIVE_RUN):
        what = "is a file, expected the folder of a run" if is_file(folder, DataError) else "no such folder"
        raise DataError(what, folder, f"Give {folder.parent}." if _is_run(folder.parent) else GIVE_RUN)
    if not _is_run(folder):
        runs = sorted(path for path in folder.iterdir() if path.is_dir() and _is_run(path))
        fix = f"It holds runs: give one of them, such as {runs[-1]}." if runs else GIVE_RUN
        raise DataError(f"is not the folder of a training run: it has neither {CONFIG} nor {METRICS}", folder, fix)


def _is_run(folder: Path) -> bool:
    return any((folder / name).is_file() for name in (CONFIG, METRICS))


def _text(path: Path) -> str | None:
    """Return the text of a file; None if there is none."""
    if not is_file(path, DataError):
        return None
    return read_text(path, DataError, MEND, most_bytes=LARGEST_LOG)


def _json(path: Path) -> Entry | None:
    """Return the object in a JSON file; None if there is no file.

    Raises:
        DataError: If it holds anything else.
    """
    if (text := _text(path)) is None:
        return None
    try:
        found = load_json(text)
    except ValueError as error:
        raise DataError(f"is not JSON: {error}", path, MEND) from error
    if not isinstance(found, dict):
        raise DataError("is not a JSON object", path, MEND)
    return found


def _read_log(path: Path) -> Iterator[Entry]:
    """Yield the lines of ``metrics.jsonl``; one that a kill has cut is left out."""
    for line in (_text(path) or "").splitlines():
        try:
            entry = load_json(line)
        except ValueError:
            continue
        if isinstance(entry, dict) and LINE_KEYS.get(str(entry.get("event")), {None}) <= entry.keys():
            yield entry


def _of_kind(lines: Sequence[Entry], kind: str) -> list[Entry]:
    return [line for line in lines if line["event"] == kind]


def _read_cards(folder: Path) -> Iterator[tuple[str, Entry]]:
    """Yield the model cards beside checkpoints, the best one first."""
    for name in ("best", "trained", "start", "rotation"):
        path = folder / f"{name}.card.json"
        if (card := _json(path)) is None:
            continue
        if absent := sorted(CARD_KEYS - card.keys()):
            raise DataError(f"is not a model card: {absent[0]} is missing", path, MEND)
        yield f"{name}.pt", card


def _kept_warnings(path: Path) -> list[str]:
    """Return the warnings of the run that its own page holds, which its end has written; none without it."""
    return list((_json(path) or {}).get("run_warnings", ()))


def _read_verdict(folder: Path) -> Entry | None:
    """Return the verdict in ``best.pt``; None if there is none yet, or nothing was trained."""
    best = folder / "best.pt"
    if not best.is_file():
        return None
    from mrlspk.models.checkpoints import read_checkpoint, schema  # no other part of a report needs PyTorch

    verdict = read_checkpoint(best).get(schema.VERDICT)
    return None if verdict is None else dict(json.loads(json.dumps(verdict)))


def _explain(verdict: Entry) -> Sequence[str]:
    """Return a verdict in plain sentences; one of an earlier version gives its reason alone."""
    if "against" not in verdict:
        kept = {"trained": "trained head"}.get(verdict["kept"], verdict["kept"])
        return (f"Kept the {kept} as best.pt: on held-out speakers {verdict['reason']}.",)
    from mrlspk.training.head.verdict import Verdict  # reading the verdict has loaded PyTorch
    from mrlspk.training.head.verdict_words import explain

    return explain(TypeAdapter(Verdict).validate_python(verdict))
