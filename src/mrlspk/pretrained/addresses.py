"""Addresses as they may be shown and kept, which can hold passwords, and the names of what is fetched from them."""

import hashlib
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit, urlunsplit

from mrlspk.errors import DownloadError


def shown(source: str | Path) -> str:
    """Return where a file comes from as a message may tell it: no user name or password, nor the query of a signed one.

    An address that cannot be taken apart holds neither.
    """
    if isinstance(source, Path):
        return str(source)
    try:
        address = urlsplit(source)
    except ValueError:
        return source
    return urlunsplit((address.scheme, address.netloc.rpartition("@")[2], address.path, "", ""))


def fingerprint(address: str) -> str:
    """Return what tells an address from all others without telling it."""
    return hashlib.sha256(address.encode()).hexdigest()


def file_name(address: str) -> str:
    """Return the name to keep under what is at an http or https address.

    Raises:
        DownloadError: If it is another kind of address.
    """
    wrong = DownloadError("expected an http or https address", shown(address), "Give a published name or an address.")
    try:
        parts = urlsplit(address)
    except ValueError as error:  # such as a bracket that is not closed
        raise wrong from error
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise wrong
    name = PurePosixPath(unquote(parts.path)).name
    return name if name.isprintable() and name not in {"", ".", ".."} else "model.pt"
