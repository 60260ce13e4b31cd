"""Download a file with retries, verify it, and put it in place together with its record."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from mrlspk.errors import DownloadError
from mrlspk.files import OnProgress, file_sha256
from mrlspk.pretrained import http_download
from mrlspk.pretrained.cache_folder import OTHER_FOLDER, RecordError, shown
from mrlspk.pretrained.http_download import AbsentError, TransientError
from mrlspk.pretrained.partial import Partial
from mrlspk.pretrained.verification import Expected, Record, read_record, record_path, write_record

ATTEMPTS = 4
FIRST_WAIT_SECONDS = 1.0  # doubled after each attempt
LONGEST_WAIT_SECONDS = 60.0  # even if the server asks for more

logger = logging.getLogger("mrlspk.pretrained")


def download(
    sources: Sequence[str | Path], path: Path, expected: Expected, on_progress: OnProgress | None = None
) -> str:
    """Download the first of ``sources`` that exists to ``path``; record its SHA-256 and return it.

    ``path`` then holds the whole verified file; after a failure it is as it was before. If the connection broke, the
    part stays beside it as a `Partial`, so that the next call can resume; no other failure leaves anything.

    Args:
        sources: http or https URLs, or files to copy.
        path: Replaced if it exists; its folder is created.
        expected: The SHA-256 that the file must have.
        on_progress: Called with (bytes so far, bytes in all), if the size is known, for the download and then for
            the verification.

    Raises:
        DownloadError: If the file cannot be fetched, is not the expected one, or cannot be written.
    """
    partial = Partial(path)
    try:
        digest = _fetch_verified(sources, partial, expected, on_progress)
        _put_in_place(partial, path, expected.to_record(digest))
    except OSError as error:
        at = f" ({error.filename})" if error.filename not in {None, str(path)} else ""
        what = f"the file could not be written: {error.strerror or error}{at}"
        raise DownloadError(what, path, OTHER_FOLDER + _clear(partial)) from error
    except RecordError as error:
        raise RecordError(error.what, error.where, f"{error.fix}{_clear(partial)}") from error
    except DownloadError:
        partial.keep_if_useful(sha256_known=expected.sha256 is not None)
        raise
    return digest


def finish(path: Path, record: Record | None) -> None:
    """Finish the work of a process that was killed after it wrote the record and before it replaced the file.

    ``path`` is then still the old file, and the new one is complete as a `Partial`.

    Raises:
        OSError: If the file cannot be replaced.
    """
    partial = Partial(path)
    if record is not None and partial.path.is_file() and file_sha256(partial.path) == record.sha256:
        partial.path.replace(path)
    partial.drop()


def _put_in_place(partial: Partial, path: Path, record: Record) -> None:
    """Write the record and move the file; after a failure both are as they were.

    The record is written first, so that a killed process leaves no file without its record: see `finish`.
    """
    before = read_record(path, strict=False)
    write_record(path, record)
    try:
        partial.path.replace(path)
    except OSError:
        if before is None:
            record_path(path).unlink()
        else:
            write_record(path, before)
        raise
    partial.drop()


def _clear(partial: Partial) -> str:
    """Remove a part; if that fails too, return what to add to the error message."""
    try:
        partial.drop()
    except OSError as error:
        return f" {error.filename} cannot be removed: {error.strerror}."
    return ""


def _fetch_verified(
    sources: Sequence[str | Path], partial: Partial, expected: Expected, on_progress: OnProgress | None
) -> str:
    """Fill ``partial`` with the expected file and return its SHA-256; another file is dropped."""
    source, resumed = _fetch_first(sources, partial, expected, on_progress)
    digest = file_sha256(partial.path, on_progress)
    problem = expected.problem(partial.path, digest)
    if resumed and problem is not None:
        logger.warning("%s: the partial download belongs to another file; fetching from the start", shown(source))
        partial.drop()
        source, _ = _fetch_first(sources, partial, expected, on_progress)
        digest = file_sha256(partial.path, on_progress)
        problem = expected.problem(partial.path, digest)
    if problem is not None:
        partial.drop()
        raise DownloadError(problem, shown(source), expected.remedy(digest))
    return digest


def _fetch_first(
    sources: Sequence[str | Path], partial: Partial, expected: Expected, on_progress: OnProgress | None
) -> tuple[str | Path, bool]:
    """Fill ``partial`` from the first source that exists; return the source, and whether a part was resumed."""
    answers = []
    for source in sources:
        try:
            if isinstance(source, Path):
                http_download.copy(source, partial, on_progress)
                return source, False
            return source, _fetch(source, partial, expected, on_progress)
        except AbsentError as error:
            answers.append(str(error))
    if len(sources) == 1:
        raise DownloadError(
            answers[0], shown(sources[0]), "Check the address, or set MRLSPK_MIRROR to one that has the file."
        )
    raise DownloadError(
        f"{answers[0]}; nor is it at {' or '.join(shown(source) for source in sources[1:])}",
        shown(sources[0]),
        "Put the file at one of these places, or unset MRLSPK_MIRROR.",
    )


def _fetch(url: str, partial: Partial, expected: Expected, on_progress: OnProgress | None) -> bool:
    """Fill ``partial`` from a URL in up to `ATTEMPTS` attempts; return whether the last one resumed a part."""
    wait, sha256_known = FIRST_WAIT_SECONDS, expected.sha256 is not None
    for attempts_left in reversed(range(ATTEMPTS)):
        try:
            return http_download.fetch_address(url, partial, sha256_known=sha256_known, on_progress=on_progress)
        except TransientError as error:
            if attempts_left == 0:
                raise _exhausted(error, url, kept=partial.keep_if_useful(sha256_known=sha256_known)) from error
            pause = max(wait, min(error.wait_seconds or 0.0, LONGEST_WAIT_SECONDS))
            logger.warning("%s: %s; retrying in %g s", shown(url), error, pause)
            time.sleep(pause)
            wait *= 2
    raise AssertionError("there is at least one attempt")


def _exhausted(error: TransientError, url: str, *, kept: bool) -> DownloadError:
    fix = "Check the network, or set MRLSPK_MIRROR to an address or a folder that holds the published files."
    if kept:
        fix = f"The part is kept; the same command resumes it. {fix}"
    return DownloadError(f"{error}, in {ATTEMPTS} attempts", shown(url), fix)
