"""Keep trials among the speakers of a rotation beside its model, and read them to score it."""

import logging
import os
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError

from mrlspk.data.trials import Trials, read_trials
from mrlspk.errors import CheckpointError, DataError
from mrlspk.evaluation.trial_list import GIVE_TRIALS, TrialList, join_audio

log = logging.getLogger("mrlspk.evaluation")

SUFFIX = ".trials.txt"  # ``rotated.trials.txt`` beside ``rotated.pt``


class RotationTrials(BaseModel):
    """The entry of a rotated model about the trials beside it.

    Attributes:
        audio_root: Folder of the audio, relative to that of the model.
        sha256: Of the list.
        speakers: Number of its speakers; the rotation was fitted to all of them.
    """

    model_config = ConfigDict(frozen=True)

    audio_root: str
    sha256: str
    speakers: PositiveInt


def rotation_trials_path(model: Path) -> Path:
    """Return the path of the trials beside a rotated model, whether or not the file exists."""
    return model.with_name(f"{model.stem}{SUFFIX}")


def rotation_trials_entry(trials: Trials, audio_root: Path, model: Path) -> dict[str, Any]:
    """Return the entry of a rotated model: plain values, without absolute paths."""
    folder = os.path.relpath(audio_root.resolve(), model.parent.resolve())
    return RotationTrials(audio_root=folder, sha256=trials.sha256, speakers=len(trials.speakers)).model_dump()


def read_rotation_trials(model: Path, entry: Any, *, allow_missing: bool | None) -> TrialList:
    """Return the trials beside a rotated model, and warn of their speakers.

    Args:
        model: The model.
        entry: See `rotation_trials_entry`.
        allow_missing: As for `join_audio`.

    Raises:
        CheckpointError: If the entry is damaged.
        DataError: If the list is gone or is another one, or its audio is missing.
    """
    path = rotation_trials_path(model)
    try:
        known = RotationTrials.model_validate(entry)
    except ValidationError as error:
        what = f"its entry on trials is damaged: {error.errors()[0]['msg']}"
        raise CheckpointError(what, model, GIVE_TRIALS) from error
    if not path.is_file():
        raise DataError(f"the trials of {model} are not beside it", path, f"Restore the file. {GIVE_TRIALS}")
    trials = read_trials(path)
    if trials.sha256 != known.sha256:
        raise DataError(f"is not the list that was written with {model}", path, f"Rotate again. {GIVE_TRIALS}")
    log.warning(
        "%s was rotated on the %d speakers of these trials: its full width is as the model was, narrower widths are "
        "somewhat too good; `rotate` printed cross-validated EERs",
        model,
        known.speakers,
    )
    source = f"trials among the speakers that {model} was rotated on"
    return join_audio(trials, model.parent / known.audio_root, source, allow_missing=allow_missing)
