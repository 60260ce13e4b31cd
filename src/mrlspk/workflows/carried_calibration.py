"""Carry the calibration of a model to the file that it is converted or added to."""

import logging
from pathlib import Path

from mrlspk.evaluation.calibration_file import CalibrationFile, calibration_path, find_calibration, write_calibration
from mrlspk.files import check_free, claimed_file, remove_file
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.torch_backend import map_of
from mrlspk.models.checkpoints import LoadedModel
from mrlspk.models.external_encoder import ExternalEncoder
from mrlspk.models.fingerprint import model_fingerprint

log = logging.getLogger("mrlspk.evaluation")


def calibration_to_carry(model: ModelFile, loaded: LoadedModel, target: Path, *, force: bool) -> CalibrationFile | None:
    """Return the calibration beside a model, and check before any work that it can be written elsewhere.

    Args:
        model: The model.
        loaded: Its content.
        target: Where it is to be written.
        force: Overwrite ``target``.

    Raises:
        CheckpointError: If the calibration is damaged or of another model.
        MrlspkError: If ``target`` exists and ``force`` is false.
    """
    if not calibration_path(model).is_file():
        return None
    fingerprint = _fingerprint(loaded)
    if fingerprint is None:
        log.warning("%s is not carried along: which base model it is of is not known", calibration_path(model))
        return None
    found = find_calibration(model, fingerprint)
    if found is not None and not _is_same(found.path, target):
        check_free(target, force=force)
    return found


def put_calibration(found: CalibrationFile | None, path: Path, *, force: bool) -> Path | None:
    """Write a calibration to ``path`` and return that; without one, remove that of a replaced model.

    Raises:
        MrlspkError: If it cannot be written, or removed.
    """
    if found is None:
        if force and path.is_file():
            log.warning("%s is removed: it was of the model that is replaced", path)
            remove_file(path)
        return None
    if not _is_same(found.path, path):
        with claimed_file(path, force=force) as claim:
            write_calibration(claim, found.content)
    return path


def _is_same(one: Path, other: Path) -> bool:
    return other.exists() and one.samefile(other)


def _fingerprint(loaded: LoadedModel) -> str | None:
    """Return the fingerprint that a calibration of the model has; None of a head whose base model is not known."""
    encoder = loaded.encoder
    if not isinstance(encoder, ExternalEncoder):
        return model_fingerprint(encoder)
    return None if encoder.base_fingerprint is None else map_of(encoder).fingerprint_on(encoder.base_fingerprint)
