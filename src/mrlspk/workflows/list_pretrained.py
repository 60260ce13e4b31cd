"""List published models and the user's own, and say which files are in the cache."""

from dataclasses import dataclass
from pathlib import Path

from mrlspk.errors import CheckpointError
from mrlspk.pretrained.cache_folder import cached_path
from mrlspk.pretrained.own_models import OwnModel, list_own_models, own_model_path
from mrlspk.pretrained.registry import PublishedModel, list_models
from mrlspk.pretrained.verification import known_sha256, read_record


@dataclass(frozen=True)
class ListedModel:
    """A published model; ``cached``: its file is in the cache.

    ``sha256`` is the one that the file must have: given by the user, else published, else recorded; None if unknown.
    """

    published: PublishedModel
    sha256: str | None
    cached: bool


@dataclass(frozen=True)
class ListedOwnModel:
    """A model that the user has added, and the path of its file."""

    model: OwnModel
    path: Path


@dataclass(frozen=True)
class ModelList:
    """All models that have a name, and the errors of damaged entries of the user's own."""

    published: tuple[ListedModel, ...]
    own: tuple[ListedOwnModel, ...]
    faults: tuple[CheckpointError, ...]


def list_pretrained(cache_dir: Path) -> ModelList:
    """Return every named model.

    Raises:
        DownloadError: If the folder cannot be read.
    """
    published = tuple(_listed(model, cache_dir) for model in list_models())
    added = list_own_models(cache_dir)
    own = (ListedOwnModel(model, own_model_path(model.name, cache_dir)) for model in added.models)
    return ModelList(published, tuple(own), added.faults)


def _listed(model: PublishedModel, cache_dir: Path) -> ListedModel:
    path = cached_path(model, cache_dir)
    return ListedModel(model, known_sha256(read_record(path, strict=False), model), path.is_file())
