"""Published models in a folder of fetched files, each verified every time it is used."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mrlspk.errors import DownloadError, UsageError
from mrlspk.files import OnProgress, file_sha256
from mrlspk.pretrained.addresses import file_name, fingerprint
from mrlspk.pretrained.download import download, finish
from mrlspk.pretrained.expected import Expected, expect
from mrlspk.pretrained.partial import Partial
from mrlspk.pretrained.records import Record, is_sha256, lock_model, read_record, write_record
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

    The SHA-256 must be ``sha256``, now or when the file first came (a warning tells where the registry's is another),
    else the registry's, else the one that was recorded beside the file when it first came.

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
    given = _check_sha256(sha256) if sha256 is not None else None
    wanted = _want(name_or_url, cache_dir=_expanded(cache_dir), mirror=mirror)
    try:
        return _fetch(wanted, given=given, offline=offline, force=force, on_progress=on_progress)
    except OSError as error:
        raise _unreadable(error, wanted.path) from error


def cached_path(model: PublishedModel, cache_dir: Path) -> Path:
    """Return where the file of a published model is kept, whether or not it is there.

    Raises:
        UsageError: If ``cache_dir`` is in the home of a user that there is not.
    """
    return _expanded(cache_dir) / f"{model.name}.pt"


def is_cached(model: PublishedModel, cache_dir: Path) -> bool:
    """Say whether the file of a published model is here.

    Raises:
        UsageError: If ``cache_dir`` is in the home of a user that there is not.
        DownloadError: If the folder cannot be read.
    """
    path = cached_path(model, cache_dir)
    try:
        return path.is_file()
    except OSError as error:
        raise _unreadable(error, path) from error


@dataclass(frozen=True)
class _Wanted:
    """What was asked for: where it may come from, in order, and where it is kept."""

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
        folder = cache_dir / "urls" / fingerprint(name_or_url)[:16]  # equal file names of two addresses stay apart
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
                raise  # else another process may be about to replace the file, or was killed in the midst of that
    elif offline and any(isinstance(source, str) for source in wanted.sources):
        raise DownloadError(
            "not fetched again, as offline" if path.is_file() else "not fetched yet, and offline",
            wanted.name,
            f"With network, run: mrlspk pretrained fetch {wanted.name} --cache-dir {wanted.cache_dir}",
        )
    with lock_model(path, wanted.cache_dir):
        if path.is_file() and not force:  # another process has brought it in the meantime
            finish(path, read_record(path, strict=False))
            return _verify(wanted, given, on_progress)
        expected = wanted.expected(given, None if force else read_record(path))
        return wanted.fetched(download(wanted.sources, path, expected, on_progress), expected)


def _verify(wanted: _Wanted, given: str | None, on_progress: OnProgress | None) -> FetchedModel:
    """Return the file that is here once it is the expected one; where the registry does not say so, it is recorded."""
    record = read_record(wanted.path)
    expected = wanted.expected(given, record)
    sha256 = file_sha256(wanted.path, on_progress)
    if problem := expected.problem(wanted.path, sha256):
        raise DownloadError(problem, wanted.path, "Give --force to fetch the file again.")
    is_published = wanted.model is not None and wanted.model.sha256 == sha256
    if record is not None or not is_published:
        write_record(wanted.path, expected.to_record(sha256))
    return wanted.fetched(sha256, expected)


def _unreadable(error: OSError, path: Path) -> DownloadError:
    fix = "Check its permissions, or give another folder with --cache-dir or MRLSPK_CACHE_DIR."
    return DownloadError(f"cannot be read: {error.strerror or error}", error.filename or path, fix)


def _expanded(folder: Path) -> Path:
    try:
        return folder.expanduser()
    except RuntimeError as error:
        raise UsageError("there is no such user", folder, "Give another folder.") from error


def _check_sha256(text: str) -> str:
    if not is_sha256(text.lower()):
        raise UsageError(f"expected 64 hexadecimal digits, got {text!r}", "--sha256")
    return text.lower()
