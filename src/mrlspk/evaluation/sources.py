"""Which trials are scored where the command names none."""

import logging
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mrlspk.config import Config
from mrlspk.data.manifest import scan_corpus
from mrlspk.data.trials import generate_trials, read_trials
from mrlspk.errors import CheckpointError, DataError, UsageError
from mrlspk.evaluation.trial_list import TrialList, join_audio, read_trial_lists

log = logging.getLogger("mrlspk.evaluation")

VALIDATION_TRIALS = "validation-trials.txt"
GIVE_TRIALS = "Give --trials FILE and --audio-root DIR, or name lists under evaluation.trials of a --config."


@dataclass(frozen=True)
class TrialRequest:
    """Which trials a command names.

    Attributes:
        paths: Trial lists; none: those of the configuration, else those that the checkpoints lead to.
        audio_roots: Folders, or wav.scp files, that their ids are relative to: none, one for all lists or one each.
        enrolments: Files of enrolment models: none, one for all lists or one each.
        allow_missing: Leave trials without audio out, and count them.
    """

    paths: tuple[Path, ...] = ()
    audio_roots: tuple[Path, ...] = ()
    enrolments: tuple[Path, ...] = ()
    allow_missing: bool = False


def choose_trial_lists(
    request: TrialRequest, *, config: Config, carried: Mapping[Path, dict[str, Any] | None]
) -> tuple[TrialList, ...]:
    """Return the trial lists to score.

    In this order: the lists named; those of the configuration given; then, checkpoint by checkpoint, those of the
    configuration that it carries and the validation trials of the run that wrote it.

    Args:
        request: What the command names.
        config: The configuration of this command.
        carried: The configuration that each checkpoint carries, if any, by the checkpoint's path.

    Raises:
        UsageError: If audio or enrolments are given without lists, or not as many as lists.
        DataError: If there are no trials, or they cannot be scored.
        CheckpointError: If a checkpoint's configuration is not one.
    """
    allow_missing = request.allow_missing
    if request.paths:
        return read_trial_lists(
            request.paths,
            request.audio_roots,
            source="--trials",
            enrolments=request.enrolments,
            allow_missing=allow_missing,
        )
    for given, flag in ((request.audio_roots, "--audio-root"), (request.enrolments, "--enroll")):
        if given:
            raise UsageError("given without a trial list", flag, "Give --trials FILE as well.")
    if lists := build_trial_lists(config, "the configuration", allow_missing=allow_missing):
        return lists
    for model, content in carried.items():
        model_config = _carried_config(content, model)
        if model_config and (lists := build_trial_lists(model_config, str(model), allow_missing=allow_missing)):
            return lists
        if model_config and (lists := _validation_trials(model, model_config, models=carried)):
            return lists
    raise DataError(
        "no trials: the configuration that it carries, if any, names none", next(iter(carried)), GIVE_TRIALS
    )


def build_trial_lists(config: Config, whose: str, *, allow_missing: bool = False) -> tuple[TrialList, ...]:
    """Return the lists under ``evaluation.trials``, or else trials generated from each of ``test_datasets``.

    Args:
        config: Names lists, or folders, or neither.
        whose: What the source of a list says of the configuration.
        allow_missing: Leave trials without audio out, and count them.

    Raises:
        DataError: If a list or folder cannot be scored.
    """
    return tuple(_named_lists(config, whose, allow_missing=allow_missing)) or tuple(_generated_lists(config, whose))


def _named_lists(config: Config, whose: str, *, allow_missing: bool) -> Iterator[TrialList]:
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


def _validation_trials(model: Path, config: Config, *, models: Collection[Path]) -> tuple[TrialList, ...]:
    """Return the validation trials that lie beside ``model``, if there are any, one of the ``models`` to be scored."""
    path, source = model.parent / VALIDATION_TRIALS, f"validation trials of the run that wrote {model}"
    if not path.is_file():
        return ()
    if any(other.resolve().parent != model.resolve().parent for other in models):
        log.warning("the trials are the %s; a model of another run may have been trained on their speakers", source)
    root = config.data.val_dataset or config.data.train_dataset
    try:
        return (join_audio(read_trials(path), root, source),)
    except DataError as error:
        raise _from(source, error) from error


def _carried_config(model_config: dict[str, Any] | None, model: Path) -> Config | None:
    if model_config is None:
        return None
    try:
        return Config.model_validate(model_config)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
        raise CheckpointError(f"its configuration cannot be used: {problems}", model, GIVE_TRIALS) from error


def _from(source: str, error: DataError) -> DataError:
    """Return the error with what the user, who did not name these trials, needs to know."""
    return DataError(error.what, error.where, f"These trials: {source}. {GIVE_TRIALS}")
