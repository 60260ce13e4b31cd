"""Scores on disk: every list that a model was scored on, to be compared later or used elsewhere."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from mrlspk.data.trials import OfficialMatch
from mrlspk.errors import UsageError
from mrlspk.evaluation.arrays_file import open_arrays
from mrlspk.evaluation.list_scores import ListScores, ModelScores, ScoredAs
from mrlspk.evaluation.scored_trials import ScoredTrials
from mrlspk.evaluation.trial_list import MissingAudio
from mrlspk.files import check_free, whole_file

SUFFIX = ".npz"
VERSION = 1
ARRAYS = ("scores", "is_target", "enroll_speaker", "test_speaker", "speakers")


def check_scores_target(path: Path, *, force: bool) -> None:
    """Refuse, before any work, a file that `write_scores` could not write.

    Raises:
        UsageError: If its name does not end in .npz.
        MrlspkError: If it exists and ``force`` is false, or no such file can be made.
    """
    if path.suffix != SUFFIX:
        raise UsageError(f"expected a name that ends in {SUFFIX}, got {path.name}", "--scores")
    check_free(path, force=force)


def write_scores(path: Path, scores: ModelScores) -> None:
    """Write scores whole: NumPy arrays ``scores_0``, ``is_target_0`` …, and a JSON text ``lists`` that describes them.

    Raises:
        MrlspkError: If the file cannot be written.
    """
    described = {
        "version": VERSION,
        "fingerprint": scores.fingerprint,
        "scored_as": asdict(scores.scored_as),
        "lists": [_describe(each) for each in scores.lists],
    }
    arrays: dict[str, Any] = {"lists": np.array(json.dumps(described))}
    for index, each in enumerate(scores.lists):
        for name in ARRAYS:
            arrays[f"{name}_{index}"] = np.asarray(getattr(each.scored, name))
    with whole_file(path) as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)


def read_scores(path: Path) -> ModelScores:
    """Return the scores in a file.

    Raises:
        DataError: If it is no such file.
    """
    with open_arrays(path, expected="scores that `mrlspk eval --scores` wrote", fix="Write them again.") as arrays:
        described = json.loads(str(arrays["lists"]))
        if described["version"] != VERSION or not described["lists"]:
            raise ValueError(f"version {described['version']} with {len(described['lists'])} lists")
        lists = tuple(
            _read_list(each, {name: arrays[f"{name}_{index}"] for name in ARRAYS})
            for index, each in enumerate(described["lists"])
        )
        return ModelScores(described["fingerprint"], ScoredAs(**described["scored_as"]), lists)


def _describe(each: ListScores) -> dict[str, Any]:
    return {
        "path": each.path,
        "sha256": each.sha256,
        "trials_sha256": each.trials_sha256,
        "official": asdict(each.official) if each.official else None,
        "source": each.source,
        "missing": asdict(each.missing) if each.missing else None,
        "speakers_from": each.speakers_from,
        "dims": list(each.scored.dims),
    }


def _read_list(described: dict[str, Any], arrays: dict[str, Any]) -> ListScores:
    official, missing = described["official"], described["missing"]
    scored = ScoredTrials(
        dims=tuple(described["dims"]),
        scores=arrays["scores"],
        is_target=arrays["is_target"],
        enroll_speaker=arrays["enroll_speaker"],
        test_speaker=arrays["test_speaker"],
        speakers=tuple(arrays["speakers"].tolist()),
    )
    _check(scored)
    return ListScores(
        path=described["path"],
        sha256=described["sha256"],
        trials_sha256=described["trials_sha256"],
        official=OfficialMatch(**official) if official else None,
        source=described["source"],
        missing=MissingAudio(**(missing | {"first": tuple(missing["first"])})) if missing else None,
        speakers_from=described["speakers_from"],
        scored=scored,
    )


def _check(scored: ScoredTrials) -> None:
    """Refuse arrays that do not go together.

    Raises:
        ValueError: If they do not.
    """
    n_trials, n_dims = len(scored.is_target), len(scored.dims)
    if list(scored.dims) != sorted({int(dim) for dim in scored.dims}) or not n_dims:
        raise ValueError(f"widths {scored.dims}")
    if scored.scores.shape != (n_trials, n_dims) or not np.isfinite(scored.scores).all():
        raise ValueError(f"scores of shape {scored.scores.shape}, or not finite")
    if scored.is_target.dtype != np.bool_ or not scored.both_kinds:
        raise ValueError("trials of one kind")
    for side in (scored.enroll_speaker, scored.test_speaker):
        if side.shape != (n_trials,) or side.min() < 0 or side.max() >= len(scored.speakers):
            raise ValueError("speakers that are not there")
