"""A file brought here whole and verified, over several attempts, or not at all."""

import logging
import time
from collections.abc import Sequence
from pathlib import Path

from mrlspk.errors import DownloadError
from mrlspk.pretrained import transfer
from mrlspk.pretrained.partial import Partial
from mrlspk.pretrained.records import OTHER_FOLDER, OnProgress, RecordError, file_sha256, record_sha256
from mrlspk.pretrained.transfer import AbsentError, TransientError

ATTEMPTS = 4
FIRST_WAIT_SECONDS = 1.0  # doubled after each further attempt
LONGEST_WAIT_SECONDS = 60.0  # however long a server asks to be left alone

logger = logging.getLogger("mrlspk.pretrained")


def download(
    sources: Sequence[str | Path], path: Path, *, sha256: str | None, on_progress: OnProgress | None = None
) -> str:
    """Write what the first of ``sources`` that is there holds to ``path``, record its SHA-256 and return it.

    ``path`` then holds the whole verified file; after a failure it is as it was before. What came over a connection
    that broke stays beside it as a `Partial`, which the next call goes on from; no other failure leaves anything.

    Args:
        sources: http or https addresses, or files to copy.
        path: Replaced where it exists; its folder is made.
        sha256: What the SHA-256 must be; None accepts any.
        on_progress: Called with (bytes so far, bytes in all), where the size is known, for the download and then for
            the verification.

    Raises:
        DownloadError: If the file cannot be had, is not the expected one, or cannot be written.
    """
    partial = Partial(path)
    try:
        digest = _bring_verified(sources, partial, sha256, on_progress)
        record_sha256(path, digest)  # before the file, so that no file is ever beside the record of another
        partial.path.replace(path)
        partial.drop()
    except OSError as error:
        partial.drop()
        raise DownloadError(f"the file could not be written: {error.strerror or error}", path, OTHER_FOLDER) from error
    except RecordError:
        partial.drop()
        raise
    return digest


def _bring_verified(
    sources: Sequence[str | Path], partial: Partial, sha256: str | None, on_progress: OnProgress | None
) -> str:
    """Fill ``partial`` with the expected file and return its SHA-256; another file is dropped."""
    source, went_on = _bring(sources, partial, sha256, on_progress)
    digest = file_sha256(partial.path, on_progress)
    if went_on and sha256 not in {None, digest}:
        logger.warning("%s: the part that was here is of another file; fetching from the start", source)
        partial.drop()
        source, _ = _bring(sources, partial, sha256, on_progress)
        digest = file_sha256(partial.path, on_progress)
    if sha256 not in {None, digest}:
        partial.drop()
        raise DownloadError(
            f"expected SHA-256 {sha256}, got {digest}",
            source,
            "The file is not the one that was expected, and was not kept. If the published file has changed and you "
            f"trust it, give --sha256 {digest}.",
        )
    return digest


def _bring(
    sources: Sequence[str | Path], partial: Partial, sha256: str | None, on_progress: OnProgress | None
) -> tuple[str | Path, bool]:
    """Fill ``partial`` from the first source that is there; return that, and whether it went on from a part."""
    answer = "no such file"
    for source in sources:
        try:
            if isinstance(source, Path):
                transfer.copy(source, partial, on_progress)
                return source, False
            return source, _fetch(source, partial, sha256, on_progress)
        except AbsentError as error:
            answer = str(error)
    if len(sources) == 1:
        raise DownloadError(answer, sources[0], "Check the address, or set MRLSPK_MIRROR to one that has the file.")
    raise DownloadError(
        f"{answer}; nor is it under its name as published, {sources[-1]}",
        sources[0],
        "Put the file there under one of these names, or leave MRLSPK_MIRROR out.",
    )


def _fetch(url: str, partial: Partial, sha256: str | None, on_progress: OnProgress | None) -> bool:
    """Fill ``partial`` from an address in up to `ATTEMPTS` attempts; return whether the last went on from a part."""
    wait = FIRST_WAIT_SECONDS
    for attempts_left in reversed(range(ATTEMPTS)):
        try:
            return transfer.fetch_address(url, partial, sha256_known=sha256 is not None, on_progress=on_progress)
        except TransientError as error:
            if attempts_left == 0:
                raise _exhausted(error, url, partial) from error
            pause = max(wait, min(error.wait_seconds or 0.0, LONGEST_WAIT_SECONDS))
            logger.warning("%s: %s; trying again in %g s", url, error, pause)
            time.sleep(pause)
            wait *= 2
    raise AssertionError("there is at least one attempt")


def _exhausted(error: TransientError, url: str, partial: Partial) -> DownloadError:
    fix = "Check the network, or set MRLSPK_MIRROR to an address or a folder that holds the published files."
    if partial.exists():
        fix = f"What came is kept, and the same command goes on from there. {fix}"
    return DownloadError(f"{error}, in {ATTEMPTS} attempts", url, fix)
