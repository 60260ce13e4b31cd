"""Download a file over HTTP in one attempt, resuming a part if that is safe, or copy it from a mirror folder."""

import email.utils
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

import requests
import urllib3.exceptions
from requests import codes

from mrlspk.errors import DownloadError
from mrlspk.files import OnProgress
from mrlspk.pretrained.cache_folder import fingerprint, shown
from mrlspk.pretrained.partial import Origin, Partial

CONNECT_SECONDS, READ_SECONDS = 10.0, 30.0
CHUNK_BYTES = 1 << 16
STRONG_AFTER_SECONDS = 60  # with a Last-Modified this much older than the answer, the file has not changed since


class AbsentError(Exception):
    """The source has no such file."""


class TransientError(Exception):
    """A failure that may go away at another attempt, after ``wait_seconds`` if the server says how long."""

    def __init__(self, what: str, wait_seconds: float | None = None) -> None:
        super().__init__(what)
        self.wait_seconds = wait_seconds


def copy(source: Path, partial: Partial, on_progress: OnProgress | None) -> None:
    """Copy a file to ``partial``.

    Raises:
        AbsentError: If it does not exist.
        DownloadError: If it cannot be read.
        OSError: If ``partial`` cannot be written.
    """
    with _reading(source):
        if not source.is_file():
            raise AbsentError("no such file")
        reader, total = source.open("rb"), source.stat().st_size
    done = 0
    try:
        with reader, partial.begin(Origin(address=str(source), total=total or None, validator=None)) as writer:
            while chunk := _read(reader, source):
                done = _write(writer, chunk, done, total, on_progress)
    finally:
        if done < total:
            partial.drop()  # a copy always starts anew, so its part is of no use


@contextmanager
def _reading(source: Path) -> Iterator[None]:
    """Turn an OSError into an error that names the source."""
    try:
        yield
    except OSError as error:
        fix = "Check its permissions, or name another folder with MRLSPK_MIRROR."
        raise DownloadError(f"cannot be read: {error.strerror or error}", source, fix) from error


def _read(reader: IO[bytes], source: Path) -> bytes:
    with _reading(source):
        return reader.read(CHUNK_BYTES)


def fetch_address(url: str, partial: Partial, *, sha256_known: bool, on_progress: OnProgress | None) -> bool:
    """Download ``url`` to ``partial``; return whether it resumed the part.

    Raises:
        AbsentError: If the server has no such file.
        TransientError: If another attempt may succeed; the part is kept.
        DownloadError: If no attempt will.
        OSError: If the file cannot be written.
    """
    try:
        return _fetch(url, partial, sha256_known=sha256_known, on_progress=on_progress)
    except requests.exceptions.SSLError as error:
        raise DownloadError("no secure connection", shown(url), "Check the clock and the certificates here.") from error
    except requests.exceptions.ChunkedEncodingError as error:
        raise TransientError("the connection broke off before the end of the file") from error
    except requests.exceptions.Timeout as error:
        raise TransientError("the server did not answer in time") from error
    except requests.exceptions.ConnectionError as error:
        if error.args and isinstance(error.args[0], urllib3.exceptions.ReadTimeoutError):
            raise TransientError(f"the server sent nothing for {READ_SECONDS:g} s") from error
        raise TransientError("the connection to the server failed") from error
    except (requests.exceptions.RequestException, ValueError) as error:  # ValueError: a redirect to no address
        what = f"it cannot be fetched: {error}".replace(url, shown(url))
        raise DownloadError(what, shown(url), "Check the address.") from error


def _fetch(url: str, partial: Partial, *, sha256_known: bool, on_progress: OnProgress | None) -> bool:
    """Request the rest of the part, or the whole file if there is no part or the server does not send the rest."""
    origin = partial.origin(fingerprint(url), sha256_known=sha256_known)
    if origin is not None and origin.total is not None:
        offset = partial.offset(origin.total)
        with _get(url, _range_headers(offset, origin.validator)) as response:
            if _is_the_rest(response, origin, offset, sha256_known=sha256_known):
                with partial.resume(offset, origin.total) as file:
                    _write_body(response, file, offset, origin.total, on_progress)
                return True
            if response.status_code not in {codes.partial_content, codes.requested_range_not_satisfiable}:
                _begin(response, url, partial, on_progress)  # all of it, or an error
                return False
        partial.drop()
    with _get(url, {}) as response:
        _begin(response, url, partial, on_progress)
    return False


def _get(url: str, headers: dict[str, str]) -> requests.Response:
    """Request ``url`` without reading the body; it is not compressed, so that its bytes can be counted."""
    headers = {"Accept-Encoding": "identity", **headers}
    return requests.get(url, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS), headers=headers)


def _range_headers(offset: int, validator: str | None) -> dict[str, str]:
    """Request the bytes from ``offset`` on, or all of them if the content no longer matches ``validator``."""
    headers = {"Range": f"bytes={offset}-"}
    return headers if validator is None else {**headers, "If-Range": validator}


def _is_the_rest(response: requests.Response, origin: Origin, offset: int, *, sha256_known: bool) -> bool:
    """Say whether an answer holds the bytes from ``offset`` on of the file that ``origin`` describes.

    A server may support Range without If-Range, so the answer must repeat the validator (RFC 9110, 15.3.7), unless
    the SHA-256 of the whole file will be compared.
    """
    assert origin.total is not None
    expected = f"bytes {offset}-{origin.total - 1}/{origin.total}"
    sent = response.headers.get("ETag" if _is_strong(origin.validator) else "Last-Modified")
    return (
        response.status_code == codes.partial_content
        and response.headers.get("Content-Range") == expected
        and "Content-Encoding" not in response.headers
        and (sent == origin.validator or (sha256_known and None in {sent, origin.validator}))
    )


def _begin(response: requests.Response, url: str, partial: Partial, on_progress: OnProgress | None) -> None:
    """Write the whole body to ``partial`` if the status is 200."""
    _check_status(response)
    length = response.headers.get("Content-Length", "")
    total = int(length) if length.isdecimal() and "Content-Encoding" not in response.headers else None
    with partial.begin(Origin(address=fingerprint(url), total=total or None, validator=_validator(response))) as file:
        _write_body(response, file, 0, total, on_progress)


def _check_status(response: requests.Response) -> None:
    """Raise unless the status is 200: `TransientError` if the failure may go away."""
    status = response.status_code
    reason = "".join(filter(str.isprintable, response.reason or ""))
    answer = f"the server answered {status} {reason}".rstrip()
    if status in {
        codes.not_found,
        codes.gone,
        codes.forbidden,
    }:  # object stores without public listing answer 403 for absent files
        raise AbsentError(answer)
    if status in {codes.request_timeout, codes.too_many_requests} or status >= codes.server_error:
        raise TransientError(answer, _retry_after(response))
    if status != codes.ok:
        raise DownloadError(
            answer, shown(response.url), "Check the address, or set MRLSPK_MIRROR to one that has the file."
        )


def _write_body(
    response: requests.Response, file: IO[bytes], done: int, total: int | None, on_progress: OnProgress | None
) -> None:
    """Append the body after ``done`` bytes; raise if the total is not ``total``."""
    for chunk in response.iter_content(CHUNK_BYTES):
        done = _write(file, chunk, done, total, on_progress)
    if total is not None and done != total:
        raise TransientError(f"received {done:,} of {total:,} bytes")


def _write(file: IO[bytes], chunk: bytes, done: int, total: int | None, on_progress: OnProgress | None) -> int:
    """Write all of ``chunk``, report progress, and return the bytes written so far."""
    rest = memoryview(chunk)
    while rest:  # an unbuffered write may be partial
        rest = rest[file.write(rest) :]
    done += len(chunk)
    if on_progress is not None and total is not None:
        on_progress(done, total)
    return done


def _validator(response: requests.Response) -> str | None:
    """Return what identifies this version of the content: a strong ETag, else an old enough Last-Modified."""
    etag = response.headers.get("ETag")
    if _is_strong(etag):
        return etag
    modified, now = (_read_date(response.headers.get(name)) for name in ("Last-Modified", "Date"))
    if modified is None or now is None or (now - modified).total_seconds() < STRONG_AFTER_SECONDS:
        return None
    return response.headers["Last-Modified"]


def _is_strong(etag: str | None) -> bool:
    return etag is not None and etag.startswith('"')


def _retry_after(response: requests.Response) -> float | None:
    """Return after how many seconds the server asks to be called again."""
    text = response.headers.get("Retry-After", "")
    if text.isdecimal():
        return float(text)
    date = _read_date(text)
    return None if date is None else max(0.0, (date - datetime.now(UTC)).total_seconds())


def _read_date(text: str | None) -> datetime | None:
    """Return the time in a header, or None if it has none."""
    try:
        date = email.utils.parsedate_to_datetime(text or "")
    except (ValueError, OverflowError):  # such as a zone of years
        return None
    return date if date.tzinfo is not None else date.replace(tzinfo=UTC)
