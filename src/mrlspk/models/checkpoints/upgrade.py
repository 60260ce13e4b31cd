"""Upgrade the entries of older checkpoint formats to the present one."""

from collections.abc import Callable
from importlib.metadata import version as installed_version
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mrlspk.config import Config
from mrlspk.config.value_problems import problem_text
from mrlspk.errors import CheckpointError
from mrlspk.models.checkpoints import schema
from mrlspk.models.checkpoints.schema import BaseModelFile, Provenance

OF_TRAINING = schema.PROGRESS, schema.VALIDATION, schema.CARD  # formats 1 and 2: entries of trained checkpoints only


def upgrade(entries: dict[str, Any], path: Path) -> dict[str, Any]:
    """Return a copy of the entries of a checkpoint of ours in the present format.

    Raises:
        CheckpointError: If its format is newer than this version reads, or has no version.
    """
    version = entries.get(schema.FORMAT_VERSION)
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise CheckpointError(f"expected a format version of 1 or more, got {version!r}", path)
    if version > schema.LATEST_VERSION:
        written = entries.get(schema.MRLSPK_VERSION)
        raise CheckpointError(
            f"has format version {version}, and mrlspk {installed_version('mrlspk')} reads up to "
            f"{schema.LATEST_VERSION}",
            path,
            f"It was written by mrlspk {written}: install that version or a later one.",
        )
    entries = dict(entries)
    try:
        for step in range(version, schema.LATEST_VERSION):
            entries |= UPGRADES[step](entries) | {schema.FORMAT_VERSION: step + 1}
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"is incomplete or damaged for format version {version}: {error!r}", path) from error
    return entries


def add_family(entries: dict[str, Any]) -> dict[str, Any]:
    """Return the architecture of format 2, which names the family: all networks of format 1 are ReDimNet."""
    return {schema.ARCHITECTURE: {**entries[schema.ARCHITECTURE], "family": "redimnet"}}


def add_provenance(entries: dict[str, Any]) -> dict[str, Any]:
    """Return the provenance of format 3, derived from the entries that formats 1 and 2 have."""
    return {schema.PROVENANCE: _derive_provenance(entries).entry()}


UPGRADES: dict[int, Callable[[dict[str, Any]], dict[str, Any]]] = {1: add_family, 2: add_provenance}


def _derive_provenance(entries: dict[str, Any]) -> Provenance:
    source = entries.get(schema.CONVERTED_FROM)
    has_adapter = isinstance(source, dict) and "adapter_sha256" in source
    if schema.OWN_HEAD in entries:
        return _derive_run(entries).model_copy(update={"kind": "head_run"})
    if schema.ROTATION in entries and not has_adapter and not any(key in entries for key in OF_TRAINING):
        return Provenance(kind="rotated")
    if entries.get(schema.CONFIG) is not None:
        return _derive_run(entries)
    if has_adapter:
        return Provenance(kind="adapter")
    return Provenance(kind="converted" if isinstance(source, dict) else "unknown")


def _derive_run(entries: dict[str, Any]) -> Provenance:
    """Return the provenance of a trained model: its configuration names the base model, its card the SHA-256."""
    try:
        config = Config.model_validate(entries.get(schema.CONFIG))
    except ValidationError as error:
        problem = f"its configuration cannot be used: {problem_text(error.errors()[0])}"
        return Provenance(kind="network_run", problem=problem)
    run = Provenance(
        kind="head_run" if config.trains_head_alone else "network_run", random_head=config.head.start == "random"
    )
    pretrained = config.model.pretrained
    if not pretrained.use_pretrained:
        return run
    family, sha256 = None, None
    if (card := entries.get(schema.CARD)) is not None:
        base = card.get("base") if isinstance(card, dict) else None
        family, sha256 = (base.get("family"), base.get("sha256", "")) if isinstance(base, dict) else (None, "")
        if not (sha256 is None or (isinstance(sha256, str) and sha256)):
            return run.model_copy(update={"problem": "its model card does not name the model that it was trained from"})
    name = str(pretrained.pretrained_checkpoint or pretrained.published_name)
    file = BaseModelFile(model=name, family=family if isinstance(family, str) else None, sha256=sha256)
    return run.model_copy(update={"base": file})
