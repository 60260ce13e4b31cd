"""Download a file with retries, resume a part, verify it, and put it in place with its record."""

import logging
import os
import time
from collections.abc import Sequence
from pathlib import Path

from mrlspk.errors import DownloadError
from mrlspk.files import OnProgress, file_sha256
from mrlspk.partial_files import partial_path
from mrlspk.pretrained.cache_folder import OTHER_FOLDER, shown
from mrlspk.pretrained.sources import AbsentError, Body, TransientError, UnreachableError, open_source
from mrlspk.pretrained.verification import Expected, Record, record_path, write_record

WAIT_SECONDS = (1.0, 2.0, 4.0)  # between the attempts
OWN_FILE = "A model file of yours needs no network: give its path in place of the name. "
LONGEST_WAIT_SECONDS = 60.0  # even if the server asks for more

logger = logging.getLogger("mrlspk.pretrained")


def download(
    sources: Sequence[str | Path], path: Path, expected: Expected, on_progress: OnProgress | None = None
) -> str:
    """Download the first of ``sources`` (URLs, or files to copy) that exists; return its SHA-256.

    ``path`` and its record are replaced once the new file is whole and verified. A kill in between leaves a whole file
    without a record; its next use writes one. If the whole can be verified, a download that breaks off leaves its part,
    which the next call resumes. A wrong SHA-256 and a full disk leave nothing. ``on_progress`` is called for the
    download, if its size is known, and then for the verification.

    Raises:
        DownloadError: If the file cannot be fetched, is not the expected one, or cannot be written.
    """
    partial = partial_path(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        digest = _fetch_first(sources, partial, expected, on_progress)
        record_path(path).unlink(missing_ok=True)
        partial.replace(path)
    except OSError as error:
        partial.unlink(missing_ok=True)
        at = f" ({error.filename})" if error.filename not in {None, str(path)} else ""
        raise DownloadError(f"cannot be fetched: {error.strerror or error}{at}", path, OTHER_FOLDER) from error
    finally:
        if partial.exists() and not expected.can_verify(partial):
            partial.unlink()
    write_record(path, Record(digest, expected.given))
    return digest


def _fetch_first(
    sources: Sequence[str | Path], partial: Path, expected: Expected, on_progress: OnProgress | None
) -> str:
    answers = []
    for source in sources:
        try:
            return _fetch(source, partial, expected, on_progress)
        except AbsentError as error:
            answers.append(str(error))
    others = " or ".join(map(shown, sources[1:]))
    raise DownloadError(
        f"{answers[0]}; nor is it at {others}" if others else answers[0],
        shown(sources[0]),
        f"Check the address, or set MRLSPK_MIRROR to one that has the file. Then type: {expected.command}",
    )


def _fetch(source: str | Path, partial: Path, expected: Expected, on_progress: OnProgress | None) -> str:
    """Fetch the expected file from one source, in several attempts; return its SHA-256.

    There is one attempt only if it makes no connection. A server that breaks off and then takes none may be restarting.
    """
    for attempt, wait in enumerate((*WAIT_SECONDS, None), start=1):
        try:
            return _fetch_once(source, partial, expected, on_progress)
        except TransientError as error:
            if isinstance(error, UnreachableError) and attempt == 1:
                raise _offline(error, source, expected) from error
            if wait is None:
                what = f"{error}, in {len(WAIT_SECONDS) + 1} attempts"
                fix = "Check the network, or set MRLSPK_MIRROR to an address or a folder that holds the published files"
                raise DownloadError(what, shown(source), f"{fix}. Then type: {expected.command}") from error
            pause = max(wait, min(error.wait_seconds, LONGEST_WAIT_SECONDS))
            logger.warning("%s: %s; retrying in %g s", shown(source), error, pause)
            time.sleep(pause)
    raise AssertionError("the last attempt returns or raises")


def _offline(error: UnreachableError, source: str | Path, expected: Expected) -> DownloadError:
    own = OWN_FILE if expected.model else ""
    mirror = "With a network, or with MRLSPK_MIRROR set to an address or a folder that holds the published files, type"
    return DownloadError(f"{error}: is this machine offline?", shown(source), f"{own}{mirror}: {expected.command}")


def no_model_named(error: DownloadError, given_as: str) -> DownloadError:
    """Return the error of a download of the default model; it says how to give a file in its place."""
    rest = (error.fix or "").removeprefix(OWN_FILE)
    return DownloadError(error.what, error.where, f"No model is named: give {given_as} to use a file.\n{rest}")


def _fetch_once(source: str | Path, partial: Path, expected: Expected, on_progress: OnProgress | None) -> str:
    with open_source(source, _resume_at(partial, expected)) as body:
        _write(body, partial, on_progress)
    digest = file_sha256(partial, on_progress)
    problem = expected.problem(partial, digest)
    if problem is None:
        return digest
    partial.unlink()
    if body.start:
        raise TransientError("the part belongs to another file")
    command = expected.command_to_replace(digest)
    raise DownloadError(problem, shown(source), f"It was not kept. If it is the file that you want, type: {command}")


def _resume_at(partial: Path, expected: Expected) -> int:
    """Return the byte to resume from: the last one of the part, so that of a complete part one byte is left to send.

    A part is removed if the whole cannot be verified, or if it is another user's.
    """
    if os.access(partial, os.R_OK | os.W_OK) and expected.can_verify(partial):
        return max(0, partial.stat().st_size - 1)
    partial.unlink(missing_ok=True)
    return 0


def _write(body: Body, partial: Path, on_progress: OnProgress | None) -> None:
    done, total = body.start, body.total
    with partial.open("r+b" if done else "wb") as file:
        file.truncate(done)
        file.seek(done)
        for chunk in body.chunks:
            file.write(chunk)
            file.flush()  # so that a killed process leaves it
            done += len(chunk)
            if on_progress is not None and total is not None:
                on_progress(done, total)
        os.fsync(file.fileno())
    if total is not None and done != total:
        raise TransientError(f"received {done:,} of {total:,} bytes")
