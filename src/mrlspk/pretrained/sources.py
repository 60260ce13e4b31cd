"""Open a file at a URL or in a mirror folder."""

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import requests
import urllib3.exceptions
from requests import Response, codes, exceptions
from urllib3.util import Retry

from mrlspk.errors import DownloadError
from mrlspk.pretrained.cache_folder import shown

CONNECT_SECONDS, READ_SECONDS = 10.0, 30.0
CHUNK_BYTES = 1 << 16


class AbsentError(Exception):
    """The source has no such file."""


class TransientError(Exception):
    """A failure that may go away at another attempt, after ``wait_seconds`` if the server asks for a pause."""

    def __init__(self, what: str, wait_seconds: float = 0.0) -> None:
        super().__init__(what)
        self.wait_seconds = wait_seconds


class UnreachableError(TransientError):
    """No connection was made: if that is the first attempt, the machine is probably offline."""


@dataclass(frozen=True)
class Body:
    """The bytes of a file from ``start`` on; ``total`` is the size of the whole file, if it is known."""

    chunks: Iterator[bytes]
    start: int
    total: int | None


@contextmanager
def open_source(source: str | Path, start: int) -> Iterator[Body]:
    """Open a file from byte ``start`` on, or from its first byte if the source does not send the rest alone.

    Raises:
        AbsentError: If there is no such file.
        TransientError: If another attempt may succeed; also while the bytes are read.
        DownloadError: If no attempt will.
    """
    if isinstance(source, Path):
        if not source.is_file():
            raise AbsentError("no such file")
        with source.open("rb") as file:
            yield Body(iter(lambda: file.read(CHUNK_BYTES), b""), 0, source.stat().st_size)
        return
    try:
        with _get(source, start) as response:
            if body := _read_answer(response, source, start):
                yield body
                return
    except exceptions.RequestException as error:
        raise _explain(error, source) from None  # its own text shows the secrets of a URL
    with open_source(source, 0) as body:
        yield body


def _get(url: str, start: int) -> Response:
    """Request ``url`` without reading the body, uncompressed so that its bytes can be counted."""
    headers = {"Accept-Encoding": "identity"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        return requests.get(url, stream=True, timeout=(CONNECT_SECONDS, READ_SECONDS), headers=headers)
    except ValueError as error:
        if isinstance(error, exceptions.RequestException):
            raise
        raise exceptions.InvalidURL from error  # a redirect to something that is not a URL


def _chunks(response: Response) -> Iterator[bytes]:
    try:
        yield from response.iter_content(CHUNK_BYTES)
    except ValueError as error:  # a chunk of negative length
        raise exceptions.ChunkedEncodingError from error


def _read_answer(response: Response, url: str, start: int) -> Body | None:
    """Return the body of an answer; None if the server refuses to send the bytes from ``start`` on."""
    chunks, encoded = _chunks(response), "Content-Encoding" in response.headers
    if start and response.status_code in {codes.partial_content, codes.requested_range_not_satisfiable}:
        sent = re.fullmatch(r"bytes (\d{1,18})-\d+/(\d{1,18})", response.headers.get("Content-Range", ""))
        return Body(chunks, start, int(sent[2])) if sent and int(sent[1]) == start and not encoded else None
    _check_status(response, url)
    length = re.fullmatch(r"\d{1,18}", response.headers.get("Content-Length", ""))
    return Body(chunks, 0, int(length[0]) if length and not encoded else None)


def _check_status(response: Response, url: str) -> None:
    """Raise unless the status is 200."""
    status, reason = response.status_code, "".join(filter(str.isprintable, response.reason or ""))
    answer = f"the server answered {status} {reason}".rstrip()
    if status in {codes.not_found, codes.gone, codes.forbidden}:  # 403: absent from an object store without listing
        raise AbsentError(answer)
    if status in {codes.request_timeout, codes.too_many_requests} or status >= codes.server_error:
        raise TransientError(answer, _retry_after(response))
    if status != codes.ok:
        raise DownloadError(answer, shown(url), "Check the address, or set MRLSPK_MIRROR to one that has the file.")


def _retry_after(response: Response) -> float:
    """Return after how many seconds the server asks to be called again; 0 if it does not."""
    with suppress(urllib3.exceptions.InvalidHeader, ValueError):
        return Retry().parse_retry_after(response.headers.get("Retry-After", ""))
    return 0.0


def _explain(error: exceptions.RequestException, url: str) -> TransientError | DownloadError:
    if isinstance(error, exceptions.SSLError):
        return DownloadError("no secure connection", shown(url), "Check the clock and the certificates here.")
    if isinstance(error, exceptions.ChunkedEncodingError):
        return TransientError("the connection broke off before the end of the file")
    if isinstance(error, exceptions.Timeout):
        return TransientError("the server did not answer in time")
    if isinstance(error, exceptions.ConnectionError):
        if _is_refused(error):
            return UnreachableError(f"no connection to {urlsplit(url).hostname}")
        is_stalled = error.args and isinstance(error.args[0], urllib3.exceptions.ReadTimeoutError)
        return TransientError(
            f"the server sent nothing for {READ_SECONDS:g} s" if is_stalled else "the connection to the server failed"
        )
    return DownloadError(f"it cannot be fetched ({type(error).__name__})", shown(url), "Check the address.")


def _is_refused(error: exceptions.ConnectionError) -> bool:
    """Whether the host, or a proxy before it, has no address here or takes no connection."""
    cause = error.args[0] if error.args else None
    if isinstance(cause, urllib3.exceptions.MaxRetryError):
        cause = cause.reason
    return isinstance(cause, urllib3.exceptions.NewConnectionError | urllib3.exceptions.ProxyError)
