"""Scores on disk: every list that a model was scored on, to be compared later or used elsewhere."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from mrlspk.data.trials import OfficialMatch
from mrlspk.errors import UsageError
from mrlspk.evaluation.arrays_file import open_arrays
from mrlspk.evaluation.list_scores import ListScores, ModelScores, ScoredAs
from mrlspk.evaluation.scored_trials import ScoredTrials
from mrlspk.evaluation.trial_list import MissingAudio
from mrlspk.files import check_free, whole_file

SUFFIX = ".npz"
VERSION = 1
KINDS = {"scores": "f", "is_target": "b", "enroll_speaker": "i", "test_speaker": "i", "speakers": "U"}
ARRAYS = tuple(KINDS)


class _Record(BaseModel):
    """A part of the description: of exactly these keys and types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _List(_Record):
    """What is said of one list, beside its arrays."""

    path: str
    sha256: str
    trials_sha256: str
    official: OfficialMatch | None
    source: str
    audio_root: str
    missing: MissingAudio | None
    speakers_from: str
    dims: Annotated[tuple[PositiveInt, ...], Field(min_length=1)]


class _File(_Record):
    """What is said of the model, and of each list."""

    version: Literal[1]
    fingerprint: str
    scored_as: ScoredAs
    lists: Annotated[tuple[_List, ...], Field(min_length=1)]


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
        described = _File.model_validate_json(str(arrays["lists"]))  # whose error is a ValueError
        lists = tuple(
            _read_list(each, {name: arrays[f"{name}_{index}"] for name in ARRAYS})
            for index, each in enumerate(described.lists)
        )
        return ModelScores(described.fingerprint, described.scored_as, lists)


def _describe(each: ListScores) -> dict[str, Any]:
    return {
        "path": each.path,
        "sha256": each.sha256,
        "trials_sha256": each.trials_sha256,
        "official": asdict(each.official) if each.official else None,
        "source": each.source,
        "audio_root": each.audio_root,
        "missing": asdict(each.missing) if each.missing else None,
        "speakers_from": each.speakers_from,
        "dims": list(each.scored.dims),
    }


def _read_list(described: _List, arrays: dict[str, Any]) -> ListScores:
    scored = ScoredTrials(
        dims=described.dims,
        scores=arrays["scores"],
        is_target=arrays["is_target"],
        enroll_speaker=arrays["enroll_speaker"],
        test_speaker=arrays["test_speaker"],
        speakers=tuple(arrays["speakers"].tolist()),
    )
    kinds = {name: arrays[name].dtype.kind for name in ARRAYS}
    if kinds != KINDS:
        raise ValueError(f"arrays of other kinds: {kinds}")
    _check(scored)
    return ListScores(
        path=described.path,
        sha256=described.sha256,
        trials_sha256=described.trials_sha256,
        official=described.official,
        source=described.source,
        audio_root=described.audio_root,
        missing=described.missing,
        speakers_from=described.speakers_from,
        scored=scored,
    )


def _check(scored: ScoredTrials) -> None:
    """Refuse arrays that do not go together.

    Raises:
        ValueError: If they do not.
    """
    n_trials, n_dims = len(scored.is_target), len(scored.dims)
    if list(scored.dims) != sorted(set(scored.dims)):
        raise ValueError(f"widths {scored.dims}")
    if scored.scores.shape != (n_trials, n_dims) or not np.isfinite(scored.scores).all():
        raise ValueError(f"scores of shape {scored.scores.shape}, or not finite")
    if not scored.both_kinds:
        raise ValueError("trials of one kind")
    for side in (scored.enroll_speaker, scored.test_speaker):
        if side.shape != (n_trials,) or side.min() < 0 or side.max() >= len(scored.speakers):
            raise ValueError("speakers that are not there")
