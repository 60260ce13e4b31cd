"""Keep the user's own models under names in the cache, and verify them at every use."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from mrlspk.config.value_problems import problem_text
from mrlspk.errors import CheckpointError, UsageError
from mrlspk.files import check_free, file_sha256, whole_file
from mrlspk.pretrained.cache_folder import expanded, lock_model
from mrlspk.pretrained.registry import Sha256, is_published
from mrlspk.reading import is_file, read_bytes, reading

FOLDER = "zoo"
NAME = re.compile(r"[a-z0-9][a-z0-9._+-]{0,99}")
UNKNOWN_LICENCE = "unknown"
PERMISSIONS = "Check its permissions."


class ModelFacts(BaseModel):
    """Facts about a model, known before its file is kept; ``non_commercial`` is None if it is not known."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: str = Field(description="Family of the network.")
    dims: tuple[PositiveInt, ...] = Field(min_length=1, description="Widths that it was trained for, rising.")
    licence: str = Field(UNKNOWN_LICENCE, description="Licence of the weights and other terms of use.")
    non_commercial: bool | None = Field(None, description="Whether it is for non-commercial use only.")
    card: dict[str, Any] | None = Field(None, description="Model card of the run that trained it, if it has one.")


class OwnModel(ModelFacts):
    """A model that the user has added."""

    name: str = Field(description="Name to use in place of a path.")
    sha256: Sha256 = Field(description="SHA-256 of the file.")
    bytes: PositiveInt = Field(description="Size of the file.")
    added: AwareDatetime = Field(description="When it was added.")


@dataclass(frozen=True)
class OwnModels:
    """All models that the user has added, sorted by name, and the errors of damaged entries."""

    models: tuple[OwnModel, ...]
    faults: tuple[CheckpointError, ...]


def list_own_models(cache_dir: Path) -> OwnModels:
    """Return every model that the user has added.

    Raises:
        CheckpointError: If their folder cannot be read.
    """
    folder, models, faults = _folder(cache_dir), [], []
    with reading(folder, CheckpointError, PERMISSIONS):
        paths = sorted(folder.iterdir()) if folder.is_dir() else []
        entries = [path for path in paths if path.suffix == ".json" and path.name[0] != "." and path.is_file()]
    for path in entries:
        try:
            models.append(_read_entry(path))
        except CheckpointError as fault:
            faults.append(fault)
    return OwnModels(tuple(models), tuple(faults))


def find_own_model(name: str, cache_dir: Path) -> OwnModel | None:
    """Return the model of this name, if there is one.

    Raises:
        CheckpointError: If its entry is damaged.
    """
    entry = _entry_path(name, cache_dir)
    return _read_entry(entry) if NAME.fullmatch(name) and is_file(entry, CheckpointError, PERMISSIONS) else None


def own_model_path(name: str, cache_dir: Path) -> Path:
    """Return the path of a model of the user, whether or not the file exists."""
    return _folder(cache_dir) / f"{name}.pt"


def verified_path(model: OwnModel, cache_dir: Path) -> Path:
    """Check the SHA-256 of a model's file and return its path.

    Raises:
        CheckpointError: If the file is missing or has another SHA-256.
    """
    path = own_model_path(model.name, cache_dir)
    with reading(path, CheckpointError, PERMISSIONS):
        size = path.stat().st_size if path.is_file() else None
        if size and size != model.bytes:  # not hashed: it may be enormous
            raise CheckpointError(f"expected {model.bytes:,} bytes, got {size:,}", path, _remedy(model.name))
        found = None if size is None else file_sha256(path)
    if found != model.sha256:
        what = "is missing" if found is None else f"expected SHA-256 {model.sha256}, got {found}"
        raise CheckpointError(what, path, _remedy(model.name))
    return path


def check_name(name: str, cache_dir: Path, *, force: bool) -> None:
    """Check that a name is allowed and free.

    Raises:
        UsageError: If it has other characters than names may have, or is the name of a published model.
        MrlspkError: If there is a model of this name and ``force`` is false.
    """
    if not NAME.fullmatch(name):
        raise UsageError(
            f"expected up to 100 lower-case letters, digits and . _ + -, the first a letter or digit, got {name!r}",
            parameter="name",
        )
    if is_published(name):
        raise UsageError(f"{name} is the name of a published model", fix="Choose another name.", parameter="name")
    check_free(_entry_path(name, cache_dir), force=force)


def add_own_model(
    name: str, facts: ModelFacts, write: Callable[[Path], None], *, cache_dir: Path, added: AwareDatetime, force: bool
) -> OwnModel:
    """Keep a model under a name; its entry is written last, so that an entry always has a complete file.

    Args:
        name: Name of the model.
        facts: Facts to keep with it.
        write: Writes the checkpoint to a path.
        cache_dir: Folder of fetched models; the user's own are in a folder inside it.
        added: The current time.
        force: Replace a model of this name.

    Raises:
        UsageError: If the name is not allowed.
        MrlspkError: If there is a model of this name, or a file cannot be written.
    """
    path, entry = own_model_path(name, cache_dir), _entry_path(name, cache_dir)
    with lock_model(path, expanded(cache_dir)):
        check_name(name, cache_dir, force=force)
        with whole_file(path, force=True) as partial:
            write(partial)
            entry.unlink(missing_ok=True)  # it describes the file that is about to be replaced
        known = {"name": name, "sha256": file_sha256(path), "bytes": path.stat().st_size, "added": added}
        model = OwnModel.model_validate(facts.model_dump() | known)
        with whole_file(entry, force=True) as partial:
            partial.write_text(model.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return model


def _folder(cache_dir: Path) -> Path:
    return expanded(cache_dir) / FOLDER


def _entry_path(name: str, cache_dir: Path) -> Path:
    return _folder(cache_dir) / f"{name}.json"


def _read_entry(path: Path) -> OwnModel:
    content = read_bytes(path, CheckpointError, PERMISSIONS)
    try:
        model = OwnModel.model_validate_json(content)
    except ValidationError as error:
        problem = error.errors()[0]
        what = ": ".join((*map(str, problem["loc"]), problem_text(problem)))
        raise CheckpointError(f"is not the entry of a model: {what}", path, _remedy(path.stem)) from error
    if model.name != path.stem:
        raise CheckpointError(f"is the entry of another model, {model.name}", path, _remedy(path.stem))
    return model


def _remedy(name: str) -> str:
    return (
        f"Add the model again: mrlspk pretrained add FILE --name {name} --force; or remove {name}.pt and {name}.json."
    )
