"""Choose the trial lists to score and find their audio."""

import logging
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import ValidationError

from mrlspk.config import Config
from mrlspk.config.data import DataConfig
from mrlspk.config.value_problems import problem_text
from mrlspk.data.audio.source import AudioSource
from mrlspk.data.corpora.audio_lookup import AudioLookup
from mrlspk.data.corpora.joined import JoinedLookup, label_corpora, name_of_parts
from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.data.missing_files import missing_cause
from mrlspk.data.trials import (
    OfficialMatch,
    Trials,
    generate_trials,
    official_match,
    official_warning,
    read_trials,
)
from mrlspk.errors import CheckpointError, DataError, UsageError, shorten

log = logging.getLogger("mrlspk.evaluation")
SHOWN_MISSING = 10
VALIDATION_TRIALS = "validation-trials.txt"
NAMED = "--trials"  # source of lists that the user named; score files hold it
GIVE_TRIALS = (
    "Give `trials=FILE` and `audio_root=DIR`, or name lists under evaluation.trials of a `config`. "
    "`mrlspk data trials DIR -o FILE` draws trials from a folder of speakers."
)


@dataclass(frozen=True)
class MissingAudio:
    """Utterances of a list without audio, and the trials left out for it; ``first`` names the first of them."""

    n_utterances: int
    n_trials: int
    first: tuple[str, ...]


@dataclass(frozen=True)
class TrialList:
    """Trials that can be scored.

    Attributes:
        trials: Every utterance of them has audio.
        audio_root: Folder that their utterance ids are relative to.
        source: Why these trials were chosen.
        audio: Audio source by utterance id.
        official: The published list that the whole list equals, if any.
        missing: Trials left out because audio is missing; None if that is not allowed.
    """

    trials: Trials
    audio_root: Path
    source: str
    audio: Mapping[str, AudioSource]
    official: OfficialMatch | None = None
    missing: MissingAudio | None = None


@dataclass(frozen=True)
class TrialRequest:
    """The trials that a user names.

    Attributes:
        paths: Trial lists; none for those of the configuration or of the checkpoints.
        audio_roots: Folders or wav.scp files that their ids are relative to: none, one for all lists or one each.
        enrolments: Files of enrolment models: none, one for all lists or one each.
        allow_missing: Leave out and count trials without audio; None: the caller cannot.
        speakers: Speaker labels of vectors that are scored in place of audio.
    """

    paths: tuple[Path, ...] = ()
    audio_roots: tuple[Path, ...] = ()
    enrolments: tuple[Path, ...] = ()
    allow_missing: bool | None = False
    speakers: Path | None = None


def choose_trial_lists(
    request: TrialRequest, *, config: Config, carried: Mapping[Path, dict[str, Any] | None]
) -> tuple[TrialList, ...]:
    """Return the trial lists to score.

    The order of preference is: the named lists; those of the given configuration; then, for each checkpoint in turn,
    those of the configuration in it, and the validation trials of the run that wrote it.

    Args:
        request: The trials that the user names.
        config: The given configuration.
        carried: The configuration in each checkpoint, if any, by the checkpoint's path.

    Raises:
        UsageError: If audio or enrolments are given without lists, or in another number.
        DataError: If there are no trials, or they cannot be scored.
        CheckpointError: If a checkpoint's configuration is invalid.
    """
    allow_missing = request.allow_missing
    if request.paths:
        return read_trial_lists(
            request.paths,
            request.audio_roots,
            source=NAMED,
            enrolments=request.enrolments,
            allow_missing=allow_missing,
        )
    for given, parameter in ((request.audio_roots, "audio_root"), (request.enrolments, "enroll")):
        if given:
            raise UsageError("given without a trial list", fix="Give `trials` too.", parameter=parameter)
    if lists := build_trial_lists(config, "the configuration", allow_missing=allow_missing):
        return lists
    for model, content in carried.items():
        model_config = _carried_config(content, model)
        if model_config and (lists := build_trial_lists(model_config, str(model), allow_missing=allow_missing)):
            return lists
        if model_config and (
            lists := _validation_trials(model, model_config, models=carried, allow_missing=allow_missing)
        ):
            return lists
    raise DataError("found no trials, neither named nor in the configuration", next(iter(carried)), GIVE_TRIALS)


def build_trial_lists(config: Config, whose: str, *, allow_missing: bool | None = False) -> tuple[TrialList, ...]:
    """Return the lists under ``evaluation.trials``, or else trials generated from each of ``test_datasets``.

    Args:
        config: Names lists, folders or neither.
        whose: Describes the configuration in the source of a list.
        allow_missing: Leave out and count trials without audio; None: the caller cannot.

    Raises:
        DataError: If a list or folder cannot be scored.
    """
    return tuple(_named_lists(config, whose, allow_missing=allow_missing)) or tuple(_generated_lists(config, whose))


def read_trial_lists(
    paths: Sequence[Path],
    audio_roots: Sequence[Path],
    *,
    source: str,
    enrolments: Sequence[Path] = (),
    allow_missing: bool | None = False,
) -> tuple[TrialList, ...]:
    """Return lists with their audio: one root for all lists or one each, in order; without a root, each list's folder.

    Args:
        paths: Trial lists.
        audio_roots: Folders, or wav.scp files, of their audio.
        source: Why these trials were chosen.
        enrolments: Files of enrolment models of several utterances: none, one for all lists or one each.
        allow_missing: Leave out and count trials without audio; None: the caller cannot.

    Raises:
        UsageError: If the roots or enrolments are not none, one, or one for each list.
        DataError: If a list cannot be read, has only one kind of trial, or names audio that does not exist.
    """
    roots = one_each(audio_roots, paths, "audio_root", "folders of audio") or [path.parent for path in paths]
    given = one_each(enrolments, paths, "enroll", "files of enrolment models")
    models: Sequence[Path | None] = given or [None] * len(paths)
    return tuple(
        join_audio(read_trials(path, model), root, source, allow_missing=allow_missing)
        for path, root, model in zip(paths, roots, models, strict=True)
    )


def join_audio(trials: Trials, audio_root: Path, source: str, *, allow_missing: bool | None = False) -> TrialList:
    """Return the trials with the audio file of each utterance; warn of a list that resembles a published one.

    Raises:
        DataError: If they are all of one kind, or name audio that does not exist and that is not allowed.
    """
    find, fix = AudioLookup(audio_root).find, "Give the folder that the list's paths are relative to with `audio_root`"
    return join_sources(trials, find, audio_root, source, allow_missing=allow_missing, place=str(audio_root), fix=fix)


def join_sources(
    trials: Trials,
    find: Callable[[str], AudioSource | None],
    audio_root: Path,
    source: str,
    *,
    allow_missing: bool | None,
    place: str,
    fix: str,
) -> TrialList:
    """Return the trials with the source of each utterance; warn of a list that resembles a published one.

    Args:
        trials: The trials.
        find: Gives the source of an utterance, or None.
        audio_root: Folder that their ids are relative to.
        source: Why these trials were chosen.
        allow_missing: Leave out and count trials without audio; None: the caller cannot.
        place: Where utterances are looked for, for messages.
        fix: What the user can do about a missing one, without a full stop.

    Raises:
        DataError: If they are all of one kind, or an utterance has no source and that is not allowed.
    """
    _check_kinds(trials, trials.path)
    official = official_match(trials)
    if warning := official_warning(trials, official):
        log.warning("%s", warning)
    found = {utterance_id: find(utterance_id) for utterance_id in trials.utterance_ids}
    audio = {utterance_id: source for utterance_id, source in found.items() if source is not None}
    missing = [utterance_id for utterance_id in found if utterance_id not in audio]
    if not allow_missing:
        allow = ", or leave their trials out with `allow_missing`" if allow_missing is not None else ""
        _check_nothing_missing(missing, trials, place, f"{fix}{allow}.")
        return TrialList(trials, audio_root, source, audio, official)
    kept = _without(trials, set(missing))
    _check_kinds(kept, f"{trials.path} without {len(missing)} utterances that are missing in {place}")
    absent = MissingAudio(len(missing), len(trials) - len(kept), tuple(missing[:SHOWN_MISSING]))
    return TrialList(kept, audio_root, source, {each: audio[each] for each in kept.utterance_ids}, official, absent)


def one_each(given: Sequence[Path], paths: Sequence[Path], parameter: str, what: str) -> list[Path]:
    """Return the files given for trial lists, one for each list: none, one for all, or one each.

    Raises:
        UsageError: If there is another number.
    """
    if len(given) not in {0, 1, len(paths)}:
        raise UsageError(
            f"{len(given)} {what} for {len(paths)} trial lists",
            fix=f"Give one `{parameter}` for all lists, or one for each of `trials`, in the same order.",
            parameter=parameter,
        )
    return list(given) * len(paths) if len(given) == 1 else list(given)


def _without(trials: Trials, missing: set[str]) -> Trials:
    """Return the trials without a missing utterance."""
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


def _check_nothing_missing(missing: Sequence[str], trials: Trials, place: str, fix: str) -> None:
    if not missing:
        return
    more = f" and {len(missing) - SHOWN_MISSING} more" if len(missing) > SHOWN_MISSING else ""
    what = f"{len(missing)} of {len(trials.utterance_ids)} utterances are not in {place}: "
    what += f"{', '.join(map(shorten, missing[:SHOWN_MISSING]))}{more}"
    if cause := missing_cause(Path(place) / missing[0]):
        what += f"; {cause}"
    elif not trials.enrolments and set(missing) == set(trials.enroll_ids) - set(trials.test_ids):
        fix = f"If these are models, give the file of their utterances with `enroll` (CN-Celeb: enroll.lst). {fix}"
    raise DataError(what, trials.path, fix)


def _named_lists(config: Config, whose: str, *, allow_missing: bool | None) -> Iterator[TrialList]:
    source = f"evaluation.trials of {whose}"
    for entry in config.evaluation.trials:
        try:
            yield join_audio(read_trials(entry.path), entry.audio_root, source, allow_missing=allow_missing)
        except DataError as error:
            raise _from(source, error) from error


def _generated_lists(config: Config, whose: str) -> Iterator[TrialList]:
    for name, folder in config.evaluation.test_datasets.items():
        source = f"generated from evaluation.test_datasets.{name} of {whose}, seed {config.seed}"
        try:
            trials = generate_trials(
                scan_corpus(folder),
                config.evaluation.n_generated_trials,
                seed=config.seed,
                path=f"generated from {folder}",
            )
        except DataError as error:
            raise _from(source, error) from error
        yield join_audio(trials, folder, source)


def _validation_trials(
    model: Path, config: Config, *, models: Collection[Path], allow_missing: bool | None
) -> tuple[TrialList, ...]:
    """Return the validation trials beside ``model``, one of the ``models`` to score, if there are any."""
    path, source = model.parent / VALIDATION_TRIALS, f"validation trials of the run that wrote {model}"
    if not path.is_file():
        return ()
    if any(other.resolve().parent != model.resolve().parent for other in models):
        log.warning("the trials are the %s; models of other runs may have been trained on their speakers", source)
    if config.data.vectors:
        raise DataError(
            f"the {source} are between stored vectors",
            path,
            "Give `vectors=FILE`, or `trials=FILE` and `audio_root=DIR`.",
        )
    try:
        return (_join_own_audio(read_trials(path), config.data, source, allow_missing=allow_missing),)
    except DataError as error:
        raise _from(source, error) from error


def _join_own_audio(trials: Trials, data: DataConfig, source: str, *, allow_missing: bool | None) -> TrialList:
    """Return validation trials of a run with the audio of the corpora that their speakers were taken from."""
    root = data.val_dataset or data.train_dataset
    if isinstance(root, Path):
        return join_audio(trials, root, source, allow_missing=allow_missing)
    parts = label_corpora([(each.path, each.corpus, each.weight) for each in data.training_corpora])
    root = name_of_parts(parts)
    find, fix = JoinedLookup(parts).find, "Put the corpora back where the run found them"
    return join_sources(trials, find, root, source, allow_missing=allow_missing, place=str(root), fix=fix)


def _carried_config(model_config: dict[str, Any] | None, model: Path) -> Config | None:
    if model_config is None:
        return None
    try:
        return Config.model_validate(model_config)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, item['loc']))}: {problem_text(item)}" for item in error.errors())
        raise CheckpointError(f"contains an invalid configuration: {problems}", model, GIVE_TRIALS) from error


def _from(source: str, error: DataError) -> DataError:
    """Return the error with the source of the trials, which the user did not name."""
    return DataError(error.what, error.where, f"These trials: {source}. {GIVE_TRIALS}")
