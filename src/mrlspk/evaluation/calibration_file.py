"""Calibrations beside their checkpoints: ``best.pt`` has ``best.calibration.json``."""

import logging
import shlex
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from mrlspk.errors import CheckpointError
from mrlspk.evaluation.calibration import VERSION, Calibration
from mrlspk.evaluation.score_norm import NormRequest
from mrlspk.files import whole_file
from mrlspk.inference.model_file import ModelFile

log = logging.getLogger("mrlspk.evaluation")

SUFFIX = ".calibration.json"
ZOO_FOLDER = "calibrations"  # in the zoo, whose own .json files are its entries


@dataclass(frozen=True)
class CalibrationFile:
    """A calibration, and the file that it was read from."""

    path: Path
    content: Calibration


def calibration_path(model: ModelFile) -> Path:
    """Return where the calibration of a model is kept, whether or not it is there."""
    folder = model.path.parent / ZOO_FOLDER if model.own else model.path.parent
    return folder / f"{model.path.stem}{SUFFIX}"


def find_calibration(model: ModelFile, fingerprint: str, given: Path | None = None) -> CalibrationFile | None:
    """Return the calibration in the file given, else the one beside the model if there is one.

    Args:
        model: Checkpoint.
        fingerprint: Of the model.
        given: Calibration file asked for by name.

    Raises:
        CheckpointError: If it cannot be used, or if the file given is not there.
    """
    path = given or calibration_path(model)
    if given is None and not path.is_file():
        return None
    return CalibrationFile(path, read_calibration(path, model, fingerprint))


def find_calibration_for(
    model: ModelFile,
    fingerprint: str,
    given: Path | None = None,
    *,
    norm: NormRequest | None,
    dims: Collection[int],
) -> CalibrationFile | None:
    """Return the same for scores that are already normalised, or not, at known widths.

    One that lies beside the model and is of other scores or other widths is left out with a warning.

    Args:
        model: Checkpoint.
        fingerprint: Of the model.
        given: Calibration file asked for by name.
        norm: The normalisation of the scores; None: plain cosines.
        dims: Widths of the scores.

    Raises:
        CheckpointError: If it cannot be used, or if the one given is not there, or of other scores or widths.
    """
    found = find_calibration(model, fingerprint, given)
    if found is None or not (problem := _mismatch(found.content, norm, dims)):
        return found
    if given:
        raise CheckpointError(problem, found.path, f"To calibrate: {calibrate_command(model, found.path)}")
    log.warning("%s: %s: not used", found.path, problem)
    return None


def read_calibration(path: Path, model: ModelFile, fingerprint: str) -> Calibration:
    """Return the calibration of a model from a file.

    Args:
        path: The file.
        model: As it was asked for, to be named in an error.
        fingerprint: Of the model.

    Raises:
        CheckpointError: If the file cannot be read, is no calibration, or is that of another model.
    """
    beside = path.resolve() == calibration_path(model).resolve()
    remedy = f"To calibrate: {calibrate_command(model, path)}" if beside else "Give a file of `mrlspk calibrate`."
    try:
        calibration = Calibration.model_validate_json(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"cannot be read: {error.strerror}", path, remedy) from error
    except ValidationError as error:
        raise CheckpointError(f"is no calibration: {_problem(error)}", path, remedy) from error
    if calibration.fingerprint != fingerprint:
        raise CheckpointError(
            f"is the calibration of another model than {model.typed}: its scores and thresholds mean nothing here",
            path,
            f"{remedy}; or remove the file." if beside else f"To calibrate: {calibrate_command(model)}",
        )
    return calibration


def write_calibration(path: Path, calibration: Calibration) -> None:
    """Write a calibration whole.

    Raises:
        MrlspkError: If the file cannot be written.
    """
    with whole_file(path) as partial:
        partial.write_text(calibration.model_dump_json(indent=2) + "\n", encoding="utf-8")


def calibrate_command(model: ModelFile, path: Path | None = None, *, dims: Collection[int] = ()) -> str:
    """Return the command that calibrates a model, at widths, over the file at ``path`` if one is given."""
    widths = f" --dims {','.join(map(str, sorted(dims)))}" if dims else ""
    over = f" -o {shlex.quote(str(path))} --force" if path and path.exists() else ""
    return f"mrlspk calibrate {shlex.quote(model.typed)} --trials FILE --audio-root DIR{widths}{over}"


def _problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    if problem["loc"] == ("version",) and problem["type"] == "literal_error":
        return f"expected version {VERSION} of its format, got {problem['input']!r}"
    return ": ".join((".".join(map(str, problem["loc"])), problem["msg"].removeprefix("Value error, "))).removeprefix(
        ": "
    )


def _mismatch(calibration: Calibration, norm: NormRequest | None, dims: Collection[int]) -> str | None:
    """Return why a calibration does not go with such scores; None where it does."""
    fitted = calibration.cohort and (calibration.score_norm, calibration.cohort.fingerprint, calibration.top_n)
    if fitted != (norm and (norm.kind, norm.cohort.fingerprint, norm.top_n)):
        return f"is a calibration of other scores ({calibration.describe_norm()})"
    missing = sorted(set(dims) - set(calibration.dims))
    return f"is no calibration of width {', '.join(map(str, missing))}" if missing else None
