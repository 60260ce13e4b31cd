"""Fetch published models into the cache, and verify them at every use."""

import hashlib
import os
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mrlspk.errors import DownloadError, UsageError
from mrlspk.files import OnProgress, file_sha256
from mrlspk.pretrained.cache_folder import (
    cached_path,
    expanded,
    file_name,
    lock_model,
    remove_leftover,
    shown,
    unreadable,
)
from mrlspk.pretrained.registry import PublishedModel, find_model, is_published
from mrlspk.pretrained.verification import SHA256, Expected, Record, known_sha256, read_record, write_record


@dataclass(frozen=True)
class FetchedModel:
    """A verified file in the cache; ``name`` as requested, without secrets of a URL; ``bytes`` its size."""

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
    """Return the file of a published name or a URL; download it unless it is in the cache.

    The SHA-256 must be ``sha256`` (given now or at the first fetch; a warning says if the registry's differs), else
    the registry's, else the one recorded beside the file at the first fetch.

    Args:
        name_or_url: Published name, or http or https URL.
        cache_dir: Folder of fetched files.
        mirror: URL or folder with copies of the published files, used in place of their release; it does not apply to
            a URL.
        sha256: Expected SHA-256; overrides any that is known.
        offline: Never use the network.
        force: Fetch again, even over a file that does not match, and forget the recorded SHA-256.
        on_progress: Called with (bytes so far, bytes in all), for the download and for the verification.

    Raises:
        MrlspkError: If no published model has this name.
        UsageError: If ``sha256`` is not a SHA-256, or the name is the path of a file.
        DownloadError: If the file cannot be fetched, or is not the expected one.
    """
    given = sha256.lower() if sha256 is not None else None
    if given is not None and not SHA256.fullmatch(given):
        raise UsageError(f"expected 64 hexadecimal digits, got {sha256!r}", parameter="sha256")
    wanted = _want(name_or_url, expanded(cache_dir), mirror, given)
    try:
        return _fetch(wanted, offline=offline, force=force, on_progress=on_progress)
    except OSError as error:
        raise unreadable(error, wanted.path) from error


@dataclass(frozen=True)
class _Wanted:
    """A requested file: its sources, in the order to try, its path in the cache, and the SHA-256 given by the user."""

    name: str
    sources: Sequence[str | Path]
    path: Path
    cache_dir: Path
    model: PublishedModel | None
    given: str | None

    def expected(self, record: Record | None) -> Expected:
        name, folder = shlex.quote(self.name), shlex.quote(str(self.cache_dir))
        command = f"mrlspk pretrained fetch {name} --cache-dir {folder}"
        if self.given is not None:
            return Expected(self.given, given=True, model=self.model, command=command)
        return Expected(known_sha256(record, self.model), record is not None and record.given, self.model, command)

    def fetched(self, sha256: str, expected: Expected) -> FetchedModel:
        expected.warn_of_override()
        return FetchedModel(self.name, self.path, sha256, self.path.stat().st_size)


def _want(name_or_url: str, cache_dir: Path, mirror: str | None, given: str | None) -> _Wanted:
    if "://" in name_or_url:
        folder = hashlib.sha256(os.fsencode(name_or_url)).hexdigest()[:16]  # two URLs may have the same file name
        path = cache_dir / "urls" / folder / file_name(name_or_url)
        return _Wanted(shown(name_or_url), (name_or_url,), path, cache_dir, None, given)
    if not is_published(name_or_url) and Path(name_or_url).suffix and os.path.lexists(name_or_url):
        file = shlex.quote(name_or_url)
        fix = f"Give its path as MODEL. To keep it under a name, type: mrlspk pretrained add {file} --name NAME"
        raise UsageError("is a file of this machine already", name_or_url, fix)
    model = find_model(name_or_url)
    return _Wanted(name_or_url, model.sources(mirror), cached_path(model, cache_dir), cache_dir, model, given)


def _fetch(wanted: _Wanted, *, offline: bool, force: bool, on_progress: OnProgress | None) -> FetchedModel:
    path = wanted.path
    if path.is_file() and not force:
        remove_leftover(path, wanted.cache_dir)
        if wanted.given is None and wanted.expected(read_record(path)).sha256 is not None:
            return _verify(wanted, on_progress)  # without a lock, as there is nothing to write
    elif offline and any(isinstance(source, str) for source in wanted.sources):
        what = "not fetched again, as offline" if path.is_file() else "not fetched yet, and offline"
        raise DownloadError(what, wanted.name, f"With a network, type: {wanted.expected(None).command}")
    with lock_model(path, wanted.cache_dir):
        if path.is_file() and not force:  # it has no record, or another process has just fetched it
            return _verify(wanted, on_progress)
        expected = wanted.expected(None if force else read_record(path))
        from mrlspk.pretrained.download import download  # requests takes a moment to import

        return wanted.fetched(download(wanted.sources, path, expected, on_progress), expected)


def _verify(wanted: _Wanted, on_progress: OnProgress | None) -> FetchedModel:
    """Verify the file in the cache; record its SHA-256 if it was not known, or if the user gave it."""
    record = read_record(wanted.path)
    expected = wanted.expected(record)
    sha256 = file_sha256(wanted.path, on_progress)
    if problem := expected.problem(wanted.path, sha256):
        command = expected.command_to_replace(expected.sha256 if expected.given else None)
        raise DownloadError(problem, wanted.path, f"To fetch it again, type: {command}")
    new = Record(sha256, expected.given)
    if record != new and (expected.given or expected.sha256 is None):
        write_record(wanted.path, new)
    return wanted.fetched(sha256, expected)
