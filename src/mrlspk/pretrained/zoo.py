"""The zoo: models of one's own, kept under names beside the fetched ones; each verified every time it is used."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, PositiveInt, ValidationError

from mrlspk.errors import CheckpointError, MrlspkError, UsageError
from mrlspk.files import check_free, file_sha256, whole_file
from mrlspk.pretrained.records import lock_model
from mrlspk.pretrained.registry import Sha256, is_published

FOLDER = "zoo"
NAME = re.compile(r"[a-z0-9][a-z0-9._+-]{0,99}")
UNKNOWN_LICENCE = "unknown"


class ModelFacts(BaseModel):
    """What is known of a model before its file is kept; ``non_commercial`` is None where nobody has said."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    family: str = Field(description="Family of its network.")
    dims: tuple[PositiveInt, ...] = Field(min_length=1, description="Widths that it was trained for, rising.")
    licence: str = Field(UNKNOWN_LICENCE, description="Licence of the weights, and what else binds their use.")
    non_commercial: bool | None = Field(None, description="Whether it is for non-commercial use only.")
    card: dict[str, Any] | None = Field(None, description="The model card of the run that made it, if it has one.")


class ZooModel(ModelFacts):
    """One model of one's own."""

    name: str = Field(description="Name in place of a path.")
    sha256: Sha256 = Field(description="Of the file.")
    bytes: PositiveInt = Field(description="Size of the file.")
    added: AwareDatetime = Field(description="When it was put here.")


@dataclass(frozen=True)
class Zoo:
    """Every model of one's own, by name, and what is wrong with entries that are damaged."""

    models: tuple[ZooModel, ...]
    faults: tuple[CheckpointError, ...]


def read_zoo(cache_dir: Path) -> Zoo:
    """Return the whole zoo."""
    models, faults = [], []
    for path in sorted(_folder(cache_dir).glob("[!.]*.json")):
        try:
            models.append(_read_entry(path))
        except CheckpointError as fault:
            faults.append(fault)
    return Zoo(tuple(models), tuple(faults))


def find_in_zoo(name: str, cache_dir: Path) -> ZooModel | None:
    """Return the model of this name, if there is one.

    Raises:
        CheckpointError: If its entry is damaged.
    """
    entry = _entry_path(name, cache_dir)
    return _read_entry(entry) if NAME.fullmatch(name) and entry.is_file() else None


def zoo_path(name: str, cache_dir: Path) -> Path:
    """Return where the file of a model is kept, whether or not it is there."""
    return _folder(cache_dir) / f"{name}.pt"


def verified_path(model: ZooModel, cache_dir: Path) -> Path:
    """Return the file of a model once its SHA-256 is that of its entry.

    Raises:
        CheckpointError: If the file is not there, or is another.
    """
    path = zoo_path(model.name, cache_dir)
    found = file_sha256(path) if path.is_file() else None
    if found != model.sha256:
        what = "is gone from the zoo" if found is None else f"expected SHA-256 {model.sha256}, got {found}"
        raise CheckpointError(what, path, _remedy(model.name))
    return path


def check_name(name: str, cache_dir: Path, *, force: bool) -> None:
    """Refuse a name that the zoo cannot have, or has and ``force`` is false.

    Raises:
        UsageError: If it is not made of the characters of names, or is a published one.
        MrlspkError: If there is a model of this name.
    """
    if not NAME.fullmatch(name):
        raise UsageError(
            f"expected at most 100 lower-case letters, digits and . _ + -, no sign of these first, got {name!r}",
            "--name",
        )
    if is_published(name):
        raise UsageError(f"{name} is the name of a published model", "--name", "Choose another name.")
    check_free(_entry_path(name, cache_dir), force=force)


def add_to_zoo(
    name: str, facts: ModelFacts, write: Callable[[Path], None], *, cache_dir: Path, added: AwareDatetime, force: bool
) -> ZooModel:
    """Keep a model under a name; its entry is written last, so that it exists only when the whole model does.

    Args:
        name: Of the model.
        facts: What is known of it.
        write: Writes the checkpoint to a path.
        cache_dir: Folder of fetched models, in which the zoo is.
        added: Now.
        force: Take the place of a model of this name.

    Raises:
        UsageError: If the zoo cannot have the name.
        MrlspkError: If there is a model of this name, or a file cannot be written.
    """
    path, entry = zoo_path(name, cache_dir), _entry_path(name, cache_dir)
    with lock_model(path, cache_dir.expanduser()):
        check_name(name, cache_dir, force=force)
        with whole_file(path) as partial:
            write(partial)
            _remove(entry)  # it speaks of the file that is about to be replaced
        known = {"name": name, "sha256": file_sha256(path), "bytes": path.stat().st_size, "added": added}
        model = ZooModel.model_validate(facts.model_dump() | known)
        with whole_file(entry) as partial:
            partial.write_text(model.model_dump_json(indent=2) + "\n", encoding="utf-8")
    return model


def _folder(cache_dir: Path) -> Path:
    return cache_dir.expanduser() / FOLDER


def _entry_path(name: str, cache_dir: Path) -> Path:
    return _folder(cache_dir) / f"{name}.json"


def _read_entry(path: Path) -> ZooModel:
    try:
        model = ZooModel.model_validate_json(path.read_bytes())
    except OSError as error:
        raise CheckpointError(f"cannot be read: {error.strerror}", path, "Check its permissions.") from error
    except ValidationError as error:
        problem = error.errors()[0]
        what = ": ".join((*map(str, problem["loc"]), problem["msg"]))
        raise CheckpointError(f"is no entry of the zoo: {what}", path, _remedy(path.stem)) from error
    if model.name != path.stem:
        raise CheckpointError(f"is the entry of {model.name}, under another name", path, _remedy(path.stem))
    return model


def _remedy(name: str) -> str:
    return (
        f"Add the model again: mrlspk pretrained add FILE --name {name} --force; or remove {name}.pt and {name}.json."
    )


def _remove(path: Path) -> None:
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise MrlspkError(
            f"cannot be removed: {error.strerror}", path, "Check the permissions of its folder."
        ) from error
