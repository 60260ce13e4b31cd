"""Fetch a published model, or a file from an address."""

from pathlib import Path

from mrlspk.files import OnProgress
from mrlspk.pretrained.fetch import FetchedModel, fetch_model


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
