"""Fetch published models into the cache, and verify them at every use."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mrlspk.errors import DownloadError, UsageError
from mrlspk.files import OnProgress, file_sha256
from mrlspk.pretrained.cache_folder import cached_path, expanded, file_name, fingerprint, lock_model, unreadable
from mrlspk.pretrained.download import download, finish
from mrlspk.pretrained.partial import Partial
from mrlspk.pretrained.registry import PublishedModel, find_model
from mrlspk.pretrained.verification import Expected, Record, expect, is_sha256, read_record, write_record


@dataclass(frozen=True)
class FetchedModel:
    """A verified file in the cache; ``name`` as requested, ``bytes`` its size."""

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
        UsageError: If ``sha256`` is not a SHA-256.
        DownloadError: If the file cannot be fetched, or is not the expected one.
    """
    given = _check_sha256(sha256) if sha256 is not None else None
    wanted = _want(name_or_url, cache_dir=expanded(cache_dir), mirror=mirror)
    try:
        return _fetch(wanted, given=given, offline=offline, force=force, on_progress=on_progress)
    except OSError as error:
        raise unreadable(error, wanted.path) from error


@dataclass(frozen=True)
class _Wanted:
    """A requested file: its sources, in the order to try, and its path in the cache."""

    name: str
    sources: Sequence[str | Path]
    path: Path
    cache_dir: Path
    model: PublishedModel | None

    def expected(self, given: str | None, record: Record | None) -> Expected:
        return expect(given=given, record=record, model=self.model)

    def fetched(self, sha256: str, expected: Expected) -> FetchedModel:
        expected.warn_of_override()
        return FetchedModel(self.name, self.path, sha256, self.path.stat().st_size)


def _want(name_or_url: str, *, cache_dir: Path, mirror: str | None) -> _Wanted:
    if "://" in name_or_url:
        folder = cache_dir / "urls" / fingerprint(name_or_url)[:16]  # two URLs may have the same file name
        return _Wanted(name_or_url, (name_or_url,), folder / file_name(name_or_url), cache_dir, None)
    model = find_model(name_or_url)
    return _Wanted(name_or_url, model.sources(mirror), cached_path(model, cache_dir), cache_dir, model)


def _fetch(
    wanted: _Wanted, *, given: str | None, offline: bool, force: bool, on_progress: OnProgress | None
) -> FetchedModel:
    path = wanted.path
    if path.is_file() and not force:
        try:
            return _verify(wanted, given, on_progress)
        except DownloadError:
            if not Partial(path).exists():
                raise  # otherwise another process may be replacing the file, or was killed while it did
    elif offline and any(isinstance(source, str) for source in wanted.sources):
        raise DownloadError(
            "not fetched again, as offline" if path.is_file() else "not fetched yet, and offline",
            wanted.name,
            f"With a network, run: mrlspk pretrained fetch {wanted.name} --cache-dir {wanted.cache_dir}",
        )
    with lock_model(path, wanted.cache_dir):
        if path.is_file() and not force:  # another process has fetched it meanwhile
            finish(path, read_record(path, strict=False))
            return _verify(wanted, given, on_progress)
        expected = wanted.expected(given, None if force else read_record(path))
        return wanted.fetched(download(wanted.sources, path, expected, on_progress), expected)


def _verify(wanted: _Wanted, given: str | None, on_progress: OnProgress | None) -> FetchedModel:
    """Check the file in the cache; record its SHA-256 unless the registry has it."""
    record = read_record(wanted.path)
    expected = wanted.expected(given, record)
    sha256 = file_sha256(wanted.path, on_progress)
    if problem := expected.problem(wanted.path, sha256):
        raise DownloadError(problem, wanted.path, "Give `force` to fetch the file again.")
    is_published = wanted.model is not None and wanted.model.sha256 == sha256
    if record is not None or not is_published:
        write_record(wanted.path, expected.to_record(sha256))
    return wanted.fetched(sha256, expected)


def _check_sha256(text: str) -> str:
    if not is_sha256(text.lower()):
        raise UsageError(f"expected 64 hexadecimal digits, got {text!r}", parameter="sha256")
    return text.lower()
