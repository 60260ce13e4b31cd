"""Write and read the scores of a model as .npz, for a comparison without audio and without the model."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, PositiveInt

from mrlspk.config.evaluation import EvaluationConfig, SpeechMode
from mrlspk.data.trials import OfficialMatch, Trials
from mrlspk.errors import DataError, UsageError
from mrlspk.evaluation.npz_file import open_arrays
from mrlspk.evaluation.score_lists import ScoredList
from mrlspk.evaluation.score_norm import NormRequest
from mrlspk.evaluation.scored_trials import ScoredTrials
from mrlspk.evaluation.trial_list import MissingAudio
from mrlspk.files import Claim, claimed_file

SUFFIX = ".npz"
VERSION = 1
KINDS = {"scores": "f", "is_target": "b", "enroll_speaker": "i", "test_speaker": "i", "speakers": "U"}
ARRAYS = tuple(KINDS)


@dataclass(frozen=True, eq=False)
class ListScores:
    """One trial list scored by one model.

    Attributes:
        path: The list's file, or how its trials were generated.
        sha256: Of the list.
        trials_sha256: Of the scored trials, in order, and of the file of enrolment models.
        official: The published list that it equals, if any.
        source: Why these trials were chosen.
        audio_root: Folder that its utterance ids were relative to.
        missing: Trials left out because audio is missing; None if that was not allowed.
        speakers_from: How the speakers of the trials are known.
        scored: The scores.
    """

    path: str
    sha256: str
    trials_sha256: str
    official: OfficialMatch | None
    source: str
    audio_root: str
    missing: MissingAudio | None
    speakers_from: str
    scored: ScoredTrials

    @classmethod
    def of(cls, each: ScoredList) -> Self:
        """Return the scores of a scored list."""
        trials, trial_list = each.trial_list.trials, each.trial_list
        return cls(
            path=trials.path,
            sha256=trials.sha256,
            trials_sha256=_trials_sha256(trials),
            official=trial_list.official,
            source=trial_list.source,
            audio_root=str(trial_list.audio_root),
            missing=trial_list.missing,
            speakers_from=each.speakers_from,
            scored=each.scored,
        )

    def same_trials(self, other: "ListScores") -> bool:
        """Return whether both are scores of the same trials and enrolments, with the same trials left out."""
        mine, theirs = self.scored, other.scored
        same = (self.sha256, self.trials_sha256) == (other.sha256, other.trials_sha256)
        arrays = ("is_target", "enroll_speaker", "test_speaker")
        same = same and all(np.array_equal(getattr(mine, name), getattr(theirs, name)) for name in arrays)
        return same and mine.speakers == theirs.speakers

    def describe(self) -> str:
        """Return a description for error messages."""
        return f"{self.path} ({len(self.scored.is_target)} trials, SHA-256 {self.trials_sha256[:12]})"


@dataclass(frozen=True)
class ScoredAs:
    """How scores were made, besides the model and the trials.

    Attributes:
        score_norm: Normalisation.
        top_n: Highest cohort scores of AS-Norm.
        cohort: Fingerprint of the cohort.
        max_seconds: Longer recordings were embedded as the average of windows.
        speech: Part of each recording that was embedded; files of before are of whole recordings.
        speech_detector: Version of the detector; None for whole recordings.
        channel: Channel that was embedded.
    """

    score_norm: Literal["none", "s", "as"]
    top_n: int | None
    cohort: str | None
    max_seconds: float
    speech: SpeechMode = "all"
    speech_detector: str | None = None
    channel: Literal["mix"] | int = "mix"

    @classmethod
    def of(cls, norm: NormRequest | None, settings: EvaluationConfig, detector: str | None) -> Self:
        """Return how scores with this normalisation, these settings and this version of a detector are made."""
        audio = settings.max_seconds, settings.speech, detector, settings.channel
        if norm is None:
            return cls("none", None, None, *audio)
        return cls(norm.kind, norm.top_n, norm.cohort.fingerprint, *audio)

    def describe(self) -> str:
        """Return a description."""
        kind = {"none": "plain cosines", "s": "S-Norm", "as": f"AS-Norm, top {self.top_n}"}[self.score_norm]
        cohort = f", cohort {self.cohort[:12]}" if self.cohort else ""
        part = "files whole" if self.speech == "all" else f"the speech that {self.speech_detector} finds"
        channel = "" if self.channel == "mix" else f", channel {self.channel}"
        return f"{kind}{cohort}, {part} up to {self.max_seconds:g} s{channel}"


@dataclass(frozen=True)
class ModelScores:
    """The scores of a model on trial lists; ``fingerprint`` is that of its weights."""

    fingerprint: str
    scored_as: ScoredAs
    lists: tuple[ListScores, ...]


def keep_scores(fingerprint: str, scored_as: ScoredAs, lists: Sequence[ScoredList]) -> ModelScores:
    """Return the scores of scored lists."""
    return ModelScores(fingerprint, scored_as, tuple(map(ListScores.of, lists)))


def claim_scores(path: Path, *, force: bool) -> AbstractContextManager[Claim]:
    """Claim a file for `write_scores` before any work.

    Raises:
        UsageError: If its name does not end in .npz.
        MrlspkError: If it exists and ``force`` is false, or it cannot be created.
    """
    if path.suffix != SUFFIX:
        raise UsageError(f"expected a name that ends in {SUFFIX}, got {path.name}", parameter="scores")
    return claimed_file(path, force=force)


def write_scores(claim: Claim, scores: ModelScores) -> None:
    """Write scores, all or nothing: arrays ``scores_0``, ``is_target_0`` …, and a JSON text ``lists`` about them.

    Raises:
        MrlspkError: If the file cannot be written.
    """
    described = {
        "version": VERSION,
        "fingerprint": scores.fingerprint,
        "scored_as": scores.scored_as,
        "lists": [_describe(each) for each in scores.lists],
    }
    arrays: dict[str, Any] = {"lists": np.array(json.dumps(described, default=asdict))}
    for index, each in enumerate(scores.lists):
        for name in ARRAYS:
            arrays[f"{name}_{index}"] = np.asarray(getattr(each.scored, name))
    with claim.writing() as partial, partial.open("wb") as file:
        np.savez_compressed(file, **arrays)


_FIX = "Write it again."


def read_scores(path: Path) -> ModelScores:
    """Return the scores in a file.

    Raises:
        DataError: If it is not such a file.
    """
    with open_arrays(path, expected="a score file written by `mrlspk eval --scores`", fix=_FIX) as arrays:
        if {"ids", "embeddings"} <= set(arrays):
            what = "expected scores of `mrlspk eval --scores`, got vectors"
            raise DataError(what, path, "Give vectors as `vectors=FILE`.")
        described = _File.model_validate_json(str(arrays["lists"]))  # its error is a ValueError
        lists = tuple(
            _read_list(each, {name: arrays[f"{name}_{index}"] for name in ARRAYS})
            for index, each in enumerate(described.lists)
        )
        return ModelScores(described.fingerprint, described.scored_as, lists)


def _trials_sha256(trials: Trials) -> str:
    rows = zip(trials.enroll_ids, trials.test_ids, strict=True)
    text = "\n".join([str(trials.enrolments_sha256), *(f"{enroll}\t{test}" for enroll, test in rows)])
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()


class _Record(BaseModel):
    """A part of the description, with exactly these keys and types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class _List(_Record):
    """Description of one list."""

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
    """Description of the model and its lists."""

    version: Literal[1]
    fingerprint: str
    scored_as: ScoredAs
    lists: Annotated[tuple[_List, ...], Field(min_length=1)]


def _describe(each: ListScores) -> dict[str, Any]:
    values = {name: getattr(each, name) for name in _List.model_fields if name != "dims"}
    return values | {"dims": each.scored.dims}


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
        raise ValueError(f"arrays of wrong types: {kinds}")
    _check(scored)
    values = {name: getattr(described, name) for name in _List.model_fields if name != "dims"}
    return ListScores(**values, scored=scored)


def _check(scored: ScoredTrials) -> None:
    """Check that the arrays fit together.

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
            raise ValueError("unknown speakers")
