"""Published models in a folder of fetched files, each verified every time it is used."""

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from mrlspk.errors import DownloadError, UsageError
from mrlspk.pretrained.download import OnProgress, download, file_sha256
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
        on_progress: Called with (bytes so far, bytes in all).

    Raises:
        MrlspkError: If no published model has this name.
        UsageError: If ``sha256`` is not one.
        DownloadError: If the file is not here and cannot be fetched, or is not the expected one.
    """
    source, path, known = _plan(name_or_url, cache_dir=cache_dir, mirror=mirror)
    recorded = None if force else recorded_sha256(path)
    expected = _check_sha256(sha256) if sha256 is not None else recorded or known
    if path.is_file() and not force:
        found = file_sha256(path)
        if expected is not None and found != expected:
            raise DownloadError(
                f"expected SHA-256 {expected}, got {found}", path, "Give --force to fetch the file again."
            )
    else:
        if offline and not isinstance(source, Path):
            raise DownloadError(
                "not fetched yet, and offline",
                name_or_url,
                f"With network, run: mrlspk pretrained fetch {name_or_url} --cache-dir {cache_dir}",
            )
        found = download(source, path, sha256=expected, on_progress=on_progress)
    if recorded_sha256(path, strict=False) != found:
        _record_sha256(path, found)
    return FetchedModel(name_or_url, path, found, path.stat().st_size)


def cached_path(model: PublishedModel, cache_dir: Path) -> Path:
    """Return where the file of a published model is kept, whether or not it is there."""
    return cache_dir.expanduser() / f"{model.name}.pt"


def recorded_sha256(path: Path, *, strict: bool = True) -> str | None:
    """Return the SHA-256 that was recorded when ``path`` first came, or None.

    Raises:
        DownloadError: If the record is not a SHA-256 (where not ``strict``, that counts as none).
    """
    record = _record(path)
    if not record.is_file():
        return None
    words = record.read_text(encoding="utf-8", errors="replace").split()
    if words and _is_sha256(words[0]):
        return words[0]
    if strict:
        raise DownloadError("expected a line '<SHA-256>  <file>'", record, "Give --force to fetch the file again.")
    return None


def _plan(name_or_url: str, *, cache_dir: Path, mirror: str | None) -> tuple[str | Path, Path, str | None]:
    """Return where a file comes from, where it is kept and, if known, its SHA-256."""
    if "://" not in name_or_url:
        model = find_model(name_or_url)
        return model.source(mirror), cached_path(model, cache_dir), model.sha256
    wrong = DownloadError("expected an http or https address", name_or_url, "Give a published name or an address.")
    try:
        address = urlsplit(name_or_url)
    except ValueError as error:  # such as a bracket that is not closed
        raise wrong from error
    if address.scheme not in {"http", "https"} or not address.hostname:
        raise wrong
    file_name = PurePosixPath(unquote(address.path)).name or "model.pt"
    folder = hashlib.sha256(name_or_url.encode()).hexdigest()[:16]  # equal file names of two addresses stay apart
    return name_or_url, cache_dir.expanduser() / "urls" / folder / file_name, None


def _check_sha256(text: str) -> str:
    if not _is_sha256(text.lower()):
        raise UsageError(f"expected 64 hexadecimal digits, got {text!r}", "--sha256")
    return text.lower()


def _is_sha256(text: str) -> bool:
    return re.fullmatch("[0-9a-f]{64}", text) is not None


def _record(path: Path) -> Path:
    return path.with_name(f"{path.name}.sha256")


def _record_sha256(path: Path, sha256: str) -> None:
    """Write the SHA-256 beside ``path``, whole or not at all, in the form that sha256sum checks."""
    record = _record(path)
    partial = record.with_name(f".{record.name}.{os.getpid()}.partial")
    try:
        try:
            partial.write_text(f"{sha256}  {path.name}\n", encoding="utf-8")
            partial.replace(record)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise DownloadError(
            f"the SHA-256 could not be recorded: {error.strerror or error}",
            record,
            "Give a folder that can be written with --cache-dir or MRLSPK_CACHE_DIR.",
        ) from error
