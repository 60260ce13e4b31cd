"""Published models in a folder of fetched files, each verified every time it is used."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from mrlspk.errors import DownloadError, UsageError
from mrlspk.pretrained.download import download
from mrlspk.pretrained.lock import one_at_a_time
from mrlspk.pretrained.partial import Partial
from mrlspk.pretrained.records import OnProgress, file_sha256, is_sha256, record_sha256, recorded_sha256
from mrlspk.pretrained.registry import PublishedModel, find_model


@dataclass(frozen=True)
class FetchedModel:
    """A verified file here; ``name`` is as it was asked for, ``bytes`` its size."""

    name: str
    path: Path
    sha256: str
    bytes: int


def fetch_model(
    name_or_url: str,
    *,
    cache_dir: Path,
    mirror: str | None = None,
    sha256: str | None = None,
    offline: bool = False,
    force: bool = False,
    on_progress: OnProgress | None = None,
) -> FetchedModel:
    """Return the file of a published name or an address, downloaded unless it is here already.

    The SHA-256 must be ``sha256``, else the one that was recorded beside the file when it came (verified then by one
    of the others, if there was one), else the registry's.

    Args:
        name_or_url: Published name, or http or https address.
        cache_dir: Folder of fetched files.
        mirror: Address or folder of copies of the published files, used in place of their release; an address asked
            for is not changed.
        sha256: Expected SHA-256, over any that is known.
        offline: Never use the network.
        force: Fetch again, even over a file that does not match, and forget what was recorded.
        on_progress: Called with (bytes so far, bytes in all), for the download and for the verification.

    Raises:
        MrlspkError: If no published model has this name.
        UsageError: If ``sha256`` is not one.
        DownloadError: If the file is not here and cannot be fetched, or is not the expected one.
    """
    sources, path, known = _plan(name_or_url, cache_dir=cache_dir, mirror=mirror)
    given = _check_sha256(sha256) if sha256 is not None else None
    partial = Partial(path)
    if path.is_file() and not force and not partial.exists():
        return _verify(name_or_url, path, given=given, known=known, on_progress=on_progress)
    if offline and (force or not path.is_file()) and any(isinstance(source, str) for source in sources):
        raise DownloadError(
            "not fetched again, as offline" if path.is_file() else "not fetched yet, and offline",
            name_or_url,
            f"With network, run: mrlspk pretrained fetch {name_or_url} --cache-dir {cache_dir}",
        )
    with one_at_a_time(path, cache_dir.expanduser()):
        if path.is_file() and not force:  # another process has brought it in the meantime
            partial.drop()
            return _verify(name_or_url, path, given=given, known=known, on_progress=on_progress)
        recorded = None if force else recorded_sha256(path)
        found = download(sources, path, sha256=given or recorded or known, on_progress=on_progress)
        return FetchedModel(name_or_url, path, found, path.stat().st_size)


def cached_path(model: PublishedModel, cache_dir: Path) -> Path:
    """Return where the file of a published model is kept, whether or not it is there."""
    return cache_dir.expanduser() / f"{model.name}.pt"


def _plan(name_or_url: str, *, cache_dir: Path, mirror: str | None) -> tuple[Sequence[str | Path], Path, str | None]:
    """Return where a file may come from, in order, where it is kept and, if known, its SHA-256."""
    if "://" not in name_or_url:
        model = find_model(name_or_url)
        return model.sources(mirror), cached_path(model, cache_dir), model.sha256
    wrong = DownloadError("expected an http or https address", name_or_url, "Give a published name or an address.")
    try:
        address = urlsplit(name_or_url)
    except ValueError as error:  # such as a bracket that is not closed
        raise wrong from error
    if address.scheme not in {"http", "https"} or not address.hostname:
        raise wrong
    file_name = PurePosixPath(unquote(address.path)).name or "model.pt"
    folder = hashlib.sha256(name_or_url.encode()).hexdigest()[:16]  # equal file names of two addresses stay apart
    return (name_or_url,), cache_dir.expanduser() / "urls" / folder / file_name, None


def _check_sha256(text: str) -> str:
    if not is_sha256(text.lower()):
        raise UsageError(f"expected 64 hexadecimal digits, got {text!r}", "--sha256")
    return text.lower()


def _verify(
    name: str, path: Path, *, given: str | None, known: str | None, on_progress: OnProgress | None
) -> FetchedModel:
    """Return the file that is here once its SHA-256 is the expected one; where none is, it is recorded."""
    expected = given or recorded_sha256(path) or known
    found = file_sha256(path, on_progress)
    if expected not in {None, found}:
        raise DownloadError(f"expected SHA-256 {expected}, got {found}", path, "Give --force to fetch the file again.")
    record_sha256(path, found)
    return FetchedModel(name, path, found, path.stat().st_size)
