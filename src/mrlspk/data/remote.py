"""Read files at URLs through fsspec: http, https, s3 and whatever else is installed."""

import os
import random
import re
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mrlspk.errors import DataError, DownloadError, MissingDependencyError

ATTEMPTS = 6
FIRST_WAIT_SECONDS = 0.5  # doubled after each attempt, and up to half as long again by chance
CONNECT_SECONDS, READ_SECONDS = 20.0, 60.0
TRANSIENT = frozenset({408, 425, 429, 500, 502, 503, 504})  # HTTP statuses of which the next attempt may get another
OWN_FOLDER = "TMP"  # fsspec's word for a temporary folder
INSTALL = "Type: pip install 'mrlspk[remote]'"

_URL = re.compile(r"((?:[a-z][a-z0-9+.-]+::)*[a-z][a-z0-9+.-]+):/+(?=[^/])(.+)", re.IGNORECASE | re.DOTALL)
_WITH_RANGES = {"http", "https"}  # whose servers may ignore that a range is asked for
_FINAL_TYPES = FileNotFoundError, PermissionError, IsADirectoryError, NotADirectoryError


class MissingError(DataError):
    """There is no file at a URL."""


def as_url(path: str | Path) -> str | None:
    """Return a URL as it was written before `Path` joined its slashes; None for a path of this machine."""
    found = _URL.fullmatch(str(path))
    return f"{found[1]}://{found[2]}" if found else None


def is_url(path: str | Path) -> bool:
    """Return whether ``path`` is a URL."""
    return as_url(path) is not None


def beside(path: str, name: str) -> str:
    """Return the location of ``name``, a URL or a path relative to the folder of ``path``, which may be a URL."""
    if is_url(name) or os.path.isabs(name):  # noqa: PTH117 - as text, a million times
        return as_url(name) or name
    url = as_url(path)
    if url is None:
        return os.path.join(os.path.dirname(path), name)  # noqa: PTH118, PTH120 - as text, a million times
    return f"{url.partition('?')[0].rpartition('/')[0]}/{name}"


def read_range(url: str, start: int, length: int) -> bytes:
    """Return ``length`` bytes of a file from ``start`` on; a failed request is repeated with growing pauses.

    Raises:
        DataError: If there is no such file, or it ends too early.
        DownloadError: If it cannot be read after several attempts, or its server sends no ranges.
        MissingDependencyError: If the package that reads such URLs is not installed.
    """
    if not length:
        return b""

    def read() -> bytes:
        filesystem, path = _open_filesystem(url)
        if _protocols(url)[0] not in _WITH_RANGES:
            return bytes(filesystem.cat_file(path, start=start, end=start + length))
        with filesystem.open(path, "rb", size=start + length, cache_type="none") as file:  # the size: no HEAD request
            return _http_range(file, start, length, url)

    content = _repeated(read, url)
    if len(content) != length:
        what = f"cut short: expected {length} bytes at {start}, got {len(content)}"
        raise DataError(what, url, "Upload the file again, or pack the shards again.")
    return content


def read_whole(url: str) -> bytes:
    """Return the content of a file.

    Raises:
        MissingError: If there is no such file.
        DownloadError: If it cannot be read after several attempts.
        MissingDependencyError: If the package that reads such URLs is not installed.
    """

    def read() -> bytes:
        filesystem, path = _open_filesystem(url)
        return bytes(filesystem.cat_file(path))

    return _repeated(read, url)


def _http_range(file: Any, start: int, length: int, url: str) -> bytes:
    """Return the range; ``start`` is passed on as it is, so that a server without ranges shows.

    Raises:
        DownloadError: If the server sends the whole file: no other file of it can be read either.
    """
    file.seek(start)
    try:
        return bytes(file.read(length))
    except ValueError as error:  # of fsspec, if the answer is the whole file
        what = "the server sends no ranges of a file, only the whole"
        fix = f"Copy the shards to a server that does, or let fsspec keep copies: simplecache::{url.rpartition('/')[0]}"
        raise DownloadError(what, url, fix) from error


def _repeated[T](read: Callable[[], T], url: str) -> T:
    """Return what ``read`` returns, after up to `ATTEMPTS` attempts.

    Raises:
        DataError: If another attempt cannot help.
        DownloadError: After the last attempt.
    """
    for attempt in range(1, ATTEMPTS + 1):
        try:
            return read()
        except _errors() as error:
            if _is_final(error):
                found = MissingError if _is_missing(error) else DataError
                fix = "Check the URL and the rights to it."
                raise found(f"cannot be read: {_reason(error)}", url, fix) from error
            if attempt == ATTEMPTS:
                what = f"cannot be read, in {ATTEMPTS} attempts: {_reason(error)}"
                fix = "Check the network and the server, then start the same command again."
                raise DownloadError(what, url, fix) from error
            time.sleep(FIRST_WAIT_SECONDS * 2 ** (attempt - 1) * random.uniform(1, 1.5))
    raise AssertionError  # the loop returns or raises


def _errors() -> tuple[type[Exception], ...]:
    """Return what the libraries raise if a file cannot be read; those that are not loaded raise nothing."""
    found: list[type[Exception]] = [OSError, EOFError]
    for module, names in (("aiohttp", ["ClientError"]), ("botocore.exceptions", ["BotoCoreError", "ClientError"])):
        if loaded := sys.modules.get(module):
            found += [getattr(loaded, name) for name in names]
    return tuple(found)


def _is_final(error: Exception) -> bool:
    """Return whether another attempt would fail too."""
    status = getattr(error, "status", None)
    if isinstance(status, int) and status:
        return status not in TRANSIENT
    return isinstance(error, _FINAL_TYPES) or type(error).__name__.endswith("CredentialsError")


def _is_missing(error: Exception) -> bool:
    return isinstance(error, FileNotFoundError) or getattr(error, "status", None) in {404, 410}


def _reason(error: Exception) -> str:
    status = getattr(error, "status", None)
    if isinstance(status, int) and status:
        return f"HTTP {status} {getattr(error, 'message', '')}".rstrip()
    if isinstance(error, FileNotFoundError):
        return "no such file"
    return str(error) or type(error).__name__


def _open_filesystem(url: str) -> tuple[Any, str]:
    """Return the file system of a URL and the path in it; fsspec keeps one of each kind in a process.

    Raises:
        DataError: If nothing reads such URLs.
        MissingDependencyError: If the package that reads them is not installed.
    """
    try:
        from fsspec import config, core
    except ImportError as error:
        raise MissingDependencyError("a URL needs the package fsspec", url, INSTALL) from error
    for name in _protocols(url)[:-1]:  # caches: of fsspec's, one process reads what another has half fetched
        if config.conf.get(name, {}).get("cache_storage", OWN_FOLDER) != OWN_FOLDER:
            fix = "Leave cache_storage out of fsspec's configuration: each process then has a folder of its own."
            raise DataError(f"expected a cache of each process, got a folder that all share ({name})", url, fix)
    options = {name: _options(name, config.conf.get(name, {})) for name in _protocols(url)}
    try:
        filesystem, path = core.url_to_fs(url, **{name: each for name, each in options.items() if each})
    except ImportError as error:
        raise MissingDependencyError(f"cannot be read without another package ({error})", url, INSTALL) from error
    except ValueError as error:  # of a protocol that fsspec does not know
        raise DataError(f"cannot be read: {error}", url, "Check the beginning of the URL.") from error
    return filesystem, str(path)


def _protocols(url: str) -> list[str]:
    """Return the protocols of a URL, such as ``https``, the one that is asked first in front."""
    return [part.partition("://")[0].lower() for part in url.split("::")]


def _options(protocol: str, configured: Mapping[str, Any]) -> dict[str, Any]:
    """Return the time limits of a protocol, beneath what the configuration of fsspec sets."""
    if protocol in _WITH_RANGES:
        try:
            import aiohttp
        except ImportError:  # which fsspec then names
            return {}
        patience = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=READ_SECONDS)
        plain = {"Accept-Encoding": "identity"}  # a range of a compressed file would be another one
        return {"client_kwargs": {"timeout": patience, "headers": plain} | configured.get("client_kwargs", {})}
    if protocol in {"s3", "s3a"}:
        limits = {"connect_timeout": CONNECT_SECONDS, "read_timeout": READ_SECONDS, "retries": {"max_attempts": 1}}
        return {"config_kwargs": limits | configured.get("config_kwargs", {})}
    return {}
