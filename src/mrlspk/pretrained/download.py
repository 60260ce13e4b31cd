"""A file brought here whole and verified, over several attempts, or not at all."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from mrlspk.errors import DownloadError
from mrlspk.files import OnProgress, file_sha256
from mrlspk.pretrained import transfer
from mrlspk.pretrained.addresses import shown
from mrlspk.pretrained.expected import Expected
from mrlspk.pretrained.partial import Partial
from mrlspk.pretrained.records import (
    OTHER_FOLDER,
    Record,
    RecordError,
    read_record,
    record_path,
    write_record,
)
from mrlspk.pretrained.transfer import AbsentError, TransientError

ATTEMPTS = 4
FIRST_WAIT_SECONDS = 1.0  # doubled after each further attempt
LONGEST_WAIT_SECONDS = 60.0  # however long a server asks to be left alone

logger = logging.getLogger("mrlspk.pretrained")


def download(
    sources: Sequence[str | Path], path: Path, expected: Expected, on_progress: OnProgress | None = None
) -> str:
    """Write what the first of ``sources`` that is there holds to ``path``, record its SHA-256 and return it.

    ``path`` then holds the whole verified file; after a failure it is as it was before. What came over a connection
    that broke stays beside it as a `Partial` where the next call can go on from it; no other failure leaves anything.

    Args:
        sources: http or https addresses, or files to copy.
        path: Replaced where it exists; its folder is made.
        expected: What the file must be.
        on_progress: Called with (bytes so far, bytes in all), where the size is known, for the download and then for
            the verification.

    Raises:
        DownloadError: If the file cannot be had, is not the expected one, or cannot be written.
    """
    partial = Partial(path)
    try:
        digest = _bring_verified(sources, partial, expected, on_progress)
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
    """Put the new file in place where a process was killed between its record and the file itself.

    ``path`` is then still the old file, beside the record of the new one, which is whole and waits as a `Partial`.

    Raises:
        OSError: If that cannot be done.
    """
    partial = Partial(path)
    if record is not None and partial.path.is_file() and file_sha256(partial.path) == record.sha256:
        partial.path.replace(path)
    partial.drop()


def _put_in_place(partial: Partial, path: Path, record: Record) -> None:
    """Write the record and move the file; after a failure both are as they were.

    The record comes first, so that a killed process leaves no file that its record has never seen: see `finish`.
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
    """Remove a part; return what to add to a message where that fails too."""
    try:
        partial.drop()
    except OSError as error:
        return f" {error.filename} cannot be removed: {error.strerror}."
    return ""


def _bring_verified(
    sources: Sequence[str | Path], partial: Partial, expected: Expected, on_progress: OnProgress | None
) -> str:
    """Fill ``partial`` with the expected file and return its SHA-256; another file is dropped."""
    source, went_on = _bring(sources, partial, expected, on_progress)
    digest = file_sha256(partial.path, on_progress)
    problem = expected.problem(partial.path, digest)
    if went_on and problem is not None:
        logger.warning("%s: the part that was here is of another file; fetching from the start", shown(source))
        partial.drop()
        source, _ = _bring(sources, partial, expected, on_progress)
        digest = file_sha256(partial.path, on_progress)
        problem = expected.problem(partial.path, digest)
    if problem is not None:
        partial.drop()
        raise DownloadError(problem, shown(source), expected.remedy(digest))
    return digest


def _bring(
    sources: Sequence[str | Path], partial: Partial, expected: Expected, on_progress: OnProgress | None
) -> tuple[str | Path, bool]:
    """Fill ``partial`` from the first source that is there; return that, and whether it went on from a part."""
    answers = []
    for source in sources:
        try:
            if isinstance(source, Path):
                transfer.copy(source, partial, on_progress)
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
        "Put the file at one of these places, or leave MRLSPK_MIRROR out.",
    )


def _fetch(url: str, partial: Partial, expected: Expected, on_progress: OnProgress | None) -> bool:
    """Fill ``partial`` from an address in up to `ATTEMPTS` attempts; return whether the last went on from a part."""
    wait, sha256_known = FIRST_WAIT_SECONDS, expected.sha256 is not None
    for attempts_left in reversed(range(ATTEMPTS)):
        try:
            return transfer.fetch_address(url, partial, sha256_known=sha256_known, on_progress=on_progress)
        except TransientError as error:
            if attempts_left == 0:
                raise _exhausted(error, url, kept=partial.keep_if_useful(sha256_known=sha256_known)) from error
            pause = max(wait, min(error.wait_seconds or 0.0, LONGEST_WAIT_SECONDS))
            logger.warning("%s: %s; trying again in %g s", shown(url), error, pause)
            time.sleep(pause)
            wait *= 2
    raise AssertionError("there is at least one attempt")


def _exhausted(error: TransientError, url: str, *, kept: bool) -> DownloadError:
    fix = "Check the network, or set MRLSPK_MIRROR to an address or a folder that holds the published files."
    if kept:
        fix = f"What came is kept, and the same command goes on from there. {fix}"
    return DownloadError(f"{error}, in {ATTEMPTS} attempts", shown(url), fix)
