"""Every model that has a name, published or one's own, and what of it is here."""

from dataclasses import dataclass
from pathlib import Path

from mrlspk.pretrained.fetch import cached_path
from mrlspk.pretrained.records import recorded_sha256
from mrlspk.pretrained.registry import PublishedModel, list_models
from mrlspk.pretrained.zoo import ZooModel, list_zoo, zoo_path


@dataclass(frozen=True)
class ListedModel:
    """A published model; ``cached`` says that its file is here, ``sha256`` is the known one, else the recorded one."""

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
    """The models that a name stands for."""

    published: tuple[ListedModel, ...]
    own: tuple[OwnModel, ...]


def list_pretrained(cache_dir: Path) -> ModelList:
    """Return every named model; a SHA-256 that is not known beforehand is the one recorded at its fetch.

    Raises:
        CheckpointError: If an entry of the user's own models is damaged.
    """
    listed = []
    for model in list_models():
        path = cached_path(model, cache_dir)
        sha256 = model.sha256 or recorded_sha256(path, strict=False)
        listed.append(ListedModel(model, sha256, cached=path.is_file()))
    own = (OwnModel(model, zoo_path(model.name, cache_dir)) for model in list_zoo(cache_dir))
    return ModelList(tuple(listed), tuple(own))
