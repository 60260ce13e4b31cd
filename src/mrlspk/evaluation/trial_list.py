"""A trial list together with the audio that it speaks of."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mrlspk.data.trials import AudioFolder, OfficialMatch, Trials, official_match, official_warning, read_trials
from mrlspk.errors import DataError, UsageError

log = logging.getLogger("mrlspk.evaluation")

SHOWN_MISSING = 10


@dataclass(frozen=True)
class MissingAudio:
    """What a list names and its folder does not hold; ``first`` are the first utterances of it, by name."""

    n_utterances: int
    n_trials: int
    first: tuple[str, ...]


@dataclass(frozen=True)
class TrialList:
    """Trials that can be scored.

    Attributes:
        trials: Of which every utterance has audio.
        audio_root: What its utterance ids are relative to.
        source: Why it is these trials that are scored.
        paths: Audio file by utterance id.
        official: The published list that it is before anything is left out, if it is one.
        missing: What was left out for want of audio; None where nothing may be.
    """

    trials: Trials
    audio_root: Path
    source: str
    paths: Mapping[str, Path]
    official: OfficialMatch | None = None
    missing: MissingAudio | None = None


def read_trial_lists(
    paths: Sequence[Path],
    audio_roots: Sequence[Path],
    *,
    source: str,
    enrolments: Sequence[Path] = (),
    allow_missing: bool = False,
) -> tuple[TrialList, ...]:
    """Return the lists with their audio: one root for all lists or one each, in order; none: the folder of each list.

    Args:
        paths: Trial lists.
        audio_roots: Folders, or wav.scp files, of their audio.
        source: Why it is these trials.
        enrolments: Files of enrolment models of several utterances: none, one for all lists or one each.
        allow_missing: Leave trials without audio out, and count them.

    Raises:
        UsageError: If the roots or enrolments are neither one, nor one for each list, nor none.
        DataError: If a list cannot be read, holds one kind of trial only, or names audio that is not there.
    """
    roots = _one_each(audio_roots, paths, "--audio-root", "folders of audio") or [path.parent for path in paths]
    given = _one_each(enrolments, paths, "--enroll", "files of enrolment models")
    models: Sequence[Path | None] = given or [None] * len(paths)
    return tuple(
        join_audio(read_trials(path, model), root, source, allow_missing=allow_missing)
        for path, root, model in zip(paths, roots, models, strict=True)
    )


def join_audio(trials: Trials, audio_root: Path, source: str, *, allow_missing: bool = False) -> TrialList:
    """Return the trials with the audio file of each utterance; a list that may be taken for another is a warning.

    Raises:
        DataError: If they are all of one kind, or name audio that is not there and that is not allowed.
    """
    _check_kinds(trials, trials.path)
    official = official_match(trials)
    if warning := official_warning(trials, official):
        log.warning("%s", warning)
    folder = AudioFolder(audio_root)
    found = {utterance_id: folder.find(utterance_id) for utterance_id in trials.utterance_ids}
    paths = {utterance_id: path for utterance_id, path in found.items() if path is not None}
    missing = [utterance_id for utterance_id in found if utterance_id not in paths]
    if not allow_missing:
        _check_nothing_missing(missing, trials, audio_root)
        return TrialList(trials, audio_root, source, paths, official)
    kept = _without(trials, set(missing))
    _check_kinds(kept, f"{trials.path} without the {len(missing)} utterances that are not in {audio_root}")
    absent = MissingAudio(len(missing), len(trials) - len(kept), tuple(missing[:SHOWN_MISSING]))
    return TrialList(kept, audio_root, source, {each: paths[each] for each in kept.utterance_ids}, official, absent)


def _one_each(given: Sequence[Path], paths: Sequence[Path], flag: str, what: str) -> list[Path]:
    if len(given) not in {0, 1, len(paths)}:
        raise UsageError(
            f"{len(given)} {what} for {len(paths)} trial lists",
            flag,
            f"Give one {flag} for all lists, or one for each --trials, in the same order.",
        )
    return list(given) * len(paths) if len(given) == 1 else list(given)


def _without(trials: Trials, missing: set[str]) -> Trials:
    """Return the trials of which no utterance is missing."""
    rows = zip(trials.enroll_ids, trials.test_ids, strict=True)
    keep = [
        test_id not in missing and missing.isdisjoint(trials.enroll_utterances(enroll_id))
        for enroll_id, test_id in rows
    ]
    return trials.only(np.array(keep))


def _check_kinds(trials: Trials, where: str) -> None:
    if not (trials.n_target and trials.n_nontarget):
        raise DataError(
            f"expected both kinds of trial, got {trials.n_target} target and {trials.n_nontarget} non-target",
            where,
            "An error rate needs lines that begin with 1 and lines that begin with 0.",
        )


def _check_nothing_missing(missing: Sequence[str], trials: Trials, audio_root: Path) -> None:
    if missing:
        more = f" and {len(missing) - SHOWN_MISSING} more" if len(missing) > SHOWN_MISSING else ""
        raise DataError(
            f"{len(missing)} of {len(trials.utterance_ids)} utterances are not in {audio_root}: "
            f"{', '.join(missing[:SHOWN_MISSING])}{more}",
            trials.path,
            "Give the folder that the list's paths are relative to with --audio-root, "
            "or --allow-missing to leave their trials out.",
        )
