"""Published models: fetch one, or list them all with what is here already."""

from dataclasses import dataclass
from pathlib import Path

from mrlspk.pretrained.fetch import FetchedModel, cached_path, fetch_model
from mrlspk.pretrained.records import OnProgress, recorded_sha256
from mrlspk.pretrained.registry import PublishedModel, list_models


@dataclass(frozen=True)
class ListedModel:
    """A published model; ``cached`` says that its file is here, ``sha256`` is the known one, else the recorded one."""

    published: PublishedModel
    sha256: str | None
    cached: bool


def fetch_pretrained(
    name_or_url: str,
    *,
    cache_dir: Path,
    mirror: str | None,
    sha256: str | None,
    offline: bool,
    force: bool,
    on_progress: OnProgress | None = None,
) -> FetchedModel:
    """Return the file of a published name or an address; see `mrlspk.pretrained.fetch.fetch_model`."""
    return fetch_model(
        name_or_url,
        cache_dir=cache_dir,
        mirror=mirror,
        sha256=sha256,
        offline=offline,
        force=force,
        on_progress=on_progress,
    )


def list_pretrained(cache_dir: Path) -> tuple[ListedModel, ...]:
    """Return every published model; a SHA-256 that is not known beforehand is the one recorded at its fetch."""
    listed = []
    for model in list_models():
        path = cached_path(model, cache_dir)
        sha256 = model.sha256 or recorded_sha256(path, strict=False)
        listed.append(ListedModel(model, sha256, cached=path.is_file()))
    return tuple(listed)
