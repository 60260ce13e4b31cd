"""Find, read and write the calibration file beside a checkpoint: ``best.calibration.json`` for ``best.pt``."""

import json
import logging
import shlex
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from mrlspk.config.value_problems import problem_text
from mrlspk.data.speech.detector import SpeechDetector
from mrlspk.errors import CheckpointError
from mrlspk.evaluation.calibration import VERSION, Calibration
from mrlspk.evaluation.rotation_trials import rotation_trials_path
from mrlspk.evaluation.score_norm import NormRequest
from mrlspk.evaluation.stored_vectors import Detector
from mrlspk.evaluation.trial_list import VALIDATION_TRIALS
from mrlspk.files import Claim
from mrlspk.inference.model_file import ModelFile
from mrlspk.models.graph_metadata import GraphMetadata
from mrlspk.reading import read_bytes

log = logging.getLogger("mrlspk.evaluation")

SUFFIX = ".calibration.json"
EXPORT_AGAIN = "Export it again."
ZOO_FOLDER = "calibrations"  # beside the user's own models; the .json files there are their entries


@dataclass(frozen=True)
class CalibrationFile:
    """A calibration and the file that it was read from."""

    path: Path
    content: Calibration


def calibration_path(model: ModelFile) -> Path:
    """Return the path of a model's calibration, whether or not the file exists."""
    return own_calibration_path(model.path) if model.own else model.path.with_name(f"{model.path.stem}{SUFFIX}")


def own_calibration_path(path: Path) -> Path:
    """Return the path of the calibration of one of the user's own models, whose file is at ``path``."""
    return path.parent / ZOO_FOLDER / f"{path.stem}{SUFFIX}"


def find_calibration(
    model: ModelFile, fingerprint: str, given: Path | None = None, *, metadata: GraphMetadata | None = None
) -> CalibrationFile | None:
    """Return the calibration in the given file, else the one beside the model, else the one in an exported model.

    Args:
        model: Checkpoint.
        fingerprint: Of the model.
        given: Calibration file named by the user.
        metadata: Of an exported model.

    Raises:
        CheckpointError: If it cannot be used, or the given file does not exist.
    """
    path = given or calibration_path(model)
    if given is None and not path.is_file():
        return _exported_calibration(model, metadata)
    return CalibrationFile(path, read_calibration(path, model, fingerprint))


def find_calibration_for(
    model: ModelFile,
    fingerprint: str,
    given: Path | None = None,
    *,
    norm: NormRequest | None,
    dims: Collection[int],
    speech: Detector | SpeechDetector | None = None,
    metadata: GraphMetadata | None = None,
) -> CalibrationFile | None:
    """Return the calibration for scores of a known normalisation, known widths and known audio.

    A calibration beside the model that fits other scores, widths or audio is skipped with a warning.

    Args:
        model: Checkpoint.
        fingerprint: Of the model.
        given: Calibration file named by the user.
        norm: The normalisation of the scores; None for plain cosines.
        dims: Widths of the scores.
        speech: Detector of the speech that was embedded; None for whole recordings.
        metadata: Of an exported model.

    Raises:
        CheckpointError: If it cannot be used, or the given one does not exist or fits other scores, widths or audio.
    """
    found = find_calibration(model, fingerprint, given, metadata=metadata)
    if found is None:
        return None
    problem = _mismatch(found.content, norm, dims, speech)
    if model.is_vectors and found.content.quality is not None:
        problem = "depends on durations, which vectors do not have"
    if problem is None:
        return found
    if given:
        command = calibrate_command(model, found.path, speech=speech.name if speech else "all")
        raise CheckpointError(problem, found.path, f"To calibrate: {command}")
    log.warning("%s %s; it is not used", found.path, problem)
    return None


def _exported_calibration(model: ModelFile, metadata: GraphMetadata | None) -> CalibrationFile | None:
    """Return the calibration that an exported model holds.

    Raises:
        CheckpointError: If it is damaged, or of another model.
    """
    if metadata is None or metadata.calibration is None:
        return None
    try:
        content = Calibration.model_validate_json(json.dumps(metadata.calibration))
    except ValidationError as error:
        raise CheckpointError(f"its calibration is damaged: {_problem(error)}", model.path, EXPORT_AGAIN) from error
    if content.fingerprint != metadata.fingerprint:
        raise CheckpointError("its calibration belongs to another model", model.path, EXPORT_AGAIN)
    return CalibrationFile(model.path, content)


def read_calibration(path: Path, model: ModelFile, fingerprint: str) -> Calibration:
    """Return the calibration of a model from a file.

    Args:
        path: The file.
        model: For error messages.
        fingerprint: Of the model.

    Raises:
        CheckpointError: If the file cannot be read, is not a calibration, or belongs to another model.
    """
    beside = path.absolute() == calibration_path(model).absolute()
    remedy = (
        f"To calibrate: {calibrate_command(model, path)}" if beside else "Name a file that `mrlspk calibrate` wrote."
    )
    content = read_bytes(path, CheckpointError, remedy)
    try:
        calibration = Calibration.model_validate_json(content)
    except ValidationError as error:
        raise CheckpointError(f"is not a calibration: {_problem(error)}", path, remedy) from error
    if calibration.fingerprint != fingerprint:
        raise CheckpointError(
            f"belongs to another model than {model.typed}; its thresholds do not apply",
            path,
            f"{remedy}, or remove the file." if beside else f"To calibrate: {calibrate_command(model)}",
        )
    return calibration


def write_calibration(claim: Claim, calibration: Calibration) -> None:
    """Write a calibration, all or nothing; one of whole recordings as releases without speech detection read it.

    Raises:
        MrlspkError: If the file cannot be written.
    """
    with claim.writing() as partial:
        partial.write_text(calibration.model_dump_json(indent=2, exclude_defaults=True) + "\n", encoding="utf-8")


def calibrate_command(
    model: ModelFile, path: Path | None = None, *, dims: Collection[int] = (), speech: str = "all"
) -> str:
    """Return the command that calibrates a model at some widths, and replaces the file at ``path`` if it exists.

    A model that a run or a rotation wrote has trials beside it.
    """
    widths = f" --dims {','.join(map(str, sorted(dims)))}" if dims else ""
    over = f" -o {shlex.quote(str(path))} --force" if path and path.exists() else ""
    part = "" if speech == "all" else f" --speech {speech}"
    if model.vectors is not None:
        transform = "" if model.path == model.vectors else f" {shlex.quote(model.typed)}"
        vectors = shlex.quote(str(model.vectors))
        return f"mrlspk calibrate{transform} --vectors {vectors} --trials FILE{widths}{over}"
    beside = rotation_trials_path(model.path), model.path.with_name(VALIDATION_TRIALS)
    lists = "" if any(each.is_file() for each in beside) else " --trials FILE --audio-root DIR"
    return f"mrlspk calibrate {shlex.quote(model.typed)}{lists}{widths}{part}{over}"


def _problem(error: ValidationError) -> str:
    problem = error.errors()[0]
    if problem["loc"] == ("version",) and problem["type"] == "literal_error":
        return f"expected version {VERSION} of its format, got {problem['input']!r}"
    return ": ".join((".".join(map(str, problem["loc"])), problem_text(problem))).removeprefix(": ")


def _mismatch(
    calibration: Calibration, norm: NormRequest | None, dims: Collection[int], speech: Detector | SpeechDetector | None
) -> str | None:
    """Return why a calibration does not fit such scores; None if it does."""
    fitted = calibration.cohort and (calibration.score_norm, calibration.cohort.fingerprint, calibration.top_n)
    if fitted != (norm and (norm.kind, norm.cohort.fingerprint, norm.top_n)):
        return f"calibrates other scores ({calibration.describe_norm()})"
    if calibration.speech_detector != (speech and speech.version):
        return f"was fitted on other audio ({calibration.describe_speech()})"
    missing = sorted(set(dims) - set(calibration.dims))
    return f"does not calibrate width {', '.join(map(str, missing))}" if missing else None
