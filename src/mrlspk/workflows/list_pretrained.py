"""Every model that has a name, published or one's own, and what of it is here."""

from dataclasses import dataclass
from pathlib import Path

from mrlspk.errors import CheckpointError
from mrlspk.pretrained.expected import expect
from mrlspk.pretrained.fetch import cached_path, is_cached
from mrlspk.pretrained.records import read_record
from mrlspk.pretrained.registry import PublishedModel, list_models
from mrlspk.pretrained.zoo import ZooModel, read_zoo, zoo_path


@dataclass(frozen=True)
class ListedModel:
    """A published model; ``cached`` says that its file is here, ``sha256`` is that of the file, as it was recorded.

    Where there is no record it is the registry's, and where there is no file it is what the next one must have.
    """

    published: PublishedModel
    sha256: str | None
    cached: bool


@dataclass(frozen=True)
class OwnModel:
    """A model of the user's own, and its file."""

    model: ZooModel
    path: Path


@dataclass(frozen=True)
class ModelList:
    """The models that a name stands for, and what is wrong with damaged entries of the user's own."""

    published: tuple[ListedModel, ...]
    own: tuple[OwnModel, ...]
    faults: tuple[CheckpointError, ...]


def list_pretrained(cache_dir: Path) -> ModelList:
    """Return every named model.

    Raises:
        DownloadError: If the folder cannot be read.
    """
    published = tuple(_listed(model, cache_dir) for model in list_models())
    zoo = read_zoo(cache_dir)
    own = (OwnModel(model, zoo_path(model.name, cache_dir)) for model in zoo.models)
    return ModelList(published, tuple(own), zoo.faults)


def _listed(model: PublishedModel, cache_dir: Path) -> ListedModel:
    cached, record = is_cached(model, cache_dir), read_record(cached_path(model, cache_dir), strict=False)
    if cached and record is not None:
        return ListedModel(model, record.sha256, cached=True)
    return ListedModel(model, expect(given=None, record=record, model=model).sha256, cached=cached)
