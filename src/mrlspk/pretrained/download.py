"""A file brought here whole and verified, or not at all."""

import hashlib
import logging
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import requests

from mrlspk.errors import DownloadError

ATTEMPTS = 4
FIRST_WAIT_SECONDS = 1.0  # doubled after each further attempt
CONNECT_SECONDS, READ_SECONDS = 10.0, 30.0
CHUNK_BYTES = 1 << 18

type OnProgress = Callable[[int, int], None]

logger = logging.getLogger("mrlspk.pretrained")


class _TransientError(Exception):
    """A failure that another attempt may mend."""


def download(source: str | Path, path: Path, *, sha256: str | None, on_progress: OnProgress | None = None) -> str:
    """Write what ``source`` (an address or a file) holds to ``path``, and return its SHA-256.

    ``path`` then holds the whole verified file; after a failure it is as it was before, and nothing lies beside it.

    Args:
        source: http or https address, or a file to copy.
        path: Replaced where it exists; its folder is made.
        sha256: What the SHA-256 must be; None accepts any.
        on_progress: Called with (bytes so far, bytes in all), where the size is known.

    Raises:
        DownloadError: If the file cannot be had, is not the expected one, or cannot be written.
    """
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _bring(source, partial, on_progress)
            digest = file_sha256(partial)
            if sha256 is not None and digest != sha256:
                raise _wrong_hash(source, sha256, digest)
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)
    except OSError as error:
        raise DownloadError(
            f"the file could not be written: {error.strerror or error}",
            path,
            "Free disk space, or give a folder that can be written with --cache-dir or MRLSPK_CACHE_DIR.",
        ) from error
    return digest


def file_sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _bring(source: str | Path, partial: Path, on_progress: OnProgress | None) -> None:
    """Fill ``partial`` from a file, or from an address in up to `ATTEMPTS` attempts."""
    if isinstance(source, Path):
        if not source.is_file():
            raise DownloadError("no such file in the mirror", source, "Put it there, or leave MRLSPK_MIRROR out.")
        shutil.copyfile(source, partial)
        return
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _fetch(source, partial, on_progress)
        except _TransientError as error:
            if attempt == ATTEMPTS:
                raise DownloadError(
                    f"{error}, in {ATTEMPTS} attempts",
                    source,
                    "Check the network, or set MRLSPK_MIRROR to an address or a folder that holds the published files.",
                ) from error
            wait = FIRST_WAIT_SECONDS * 2 ** (attempt - 1)
            logger.warning("%s: %s; trying again in %g s", source, error, wait)
            time.sleep(wait)
        else:
            return


def _fetch(url: str, partial: Path, on_progress: OnProgress | None) -> None:
    """Write the body at ``url`` to ``partial``, in one attempt."""
    headers = {"Accept-Encoding": "identity"}  # so that Content-Length counts the bytes of the file
    try:
        with requests.get(url, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS), headers=headers) as response:
            _check_status(response)
            _write_body(response, partial, on_progress)
    except requests.exceptions.SSLError as error:
        raise DownloadError("no secure connection", url, "Check the clock and the certificates here.") from error
    except requests.exceptions.ChunkedEncodingError as error:
        raise _TransientError("the connection broke off before the end of the file") from error
    except requests.exceptions.Timeout as error:
        raise _TransientError("the server did not answer in time") from error
    except requests.exceptions.ConnectionError as error:
        raise _TransientError("no connection to the server, or it was lost") from error
    except requests.exceptions.RequestException as error:
        raise DownloadError(f"it cannot be fetched: {error}", url, "Check the address.") from error


def _check_status(response: requests.Response) -> None:
    """Let success pass; tell failures that may go away from those that will not."""
    answer = f"the server answered {response.status_code} {response.reason}".rstrip()
    if response.status_code in {408, 429} or response.status_code >= 500:
        raise _TransientError(answer)
    if response.status_code != requests.codes.ok:
        raise DownloadError(answer, response.url, "Check the address, or set MRLSPK_MIRROR to one that has the file.")


def _write_body(response: requests.Response, partial: Path, on_progress: OnProgress | None) -> None:
    """Write the body to ``partial``, and see that it is as long as was announced."""
    length = response.headers.get("Content-Length")
    total = int(length) if length and "Content-Encoding" not in response.headers else None
    done = 0
    with partial.open("wb") as file:
        for chunk in response.iter_content(CHUNK_BYTES):
            file.write(chunk)
            done += len(chunk)
            if on_progress is not None and total is not None:
                on_progress(done, total)
        file.flush()
        os.fsync(file.fileno())
    if total is not None and done != total:
        raise _TransientError(f"{done:,} of {total:,} bytes came")


def _wrong_hash(source: str | Path, expected: str, found: str) -> DownloadError:
    return DownloadError(
        f"expected SHA-256 {expected}, got {found}",
        source,
        "The file is not the one that was expected, and was not kept. If the published file has changed and you trust "
        f"it, give --sha256 {found}.",
    )
