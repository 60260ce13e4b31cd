"""Keep the part of a download on disk, so that a later attempt or command can resume it."""

import errno
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Literal

from pydantic import BaseModel, ConfigDict, PositiveInt, ValidationError

from mrlspk.pretrained.cache_folder import write_record_file


class Origin(BaseModel):
    """The file that a part belongs to; the server compares ``validator`` to say whether the content has changed.

    ``address`` is a fingerprint, because URLs can hold passwords.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    address: str
    total: PositiveInt | None
    validator: str | None


class Partial:
    """The part of ``target`` on disk, and the record of its `Origin`.

    Bytes are written unbuffered, so that they survive however the process ends.
    """

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(f".{target.name}.partial")
        self.record = target.with_name(f".{target.name}.partial.json")

    def exists(self) -> bool:
        """Say whether a part or its record exists."""
        return self.path.exists() or self.record.exists()

    def origin(self, address: str, *, sha256_known: bool) -> Origin | None:
        """Return the origin of the part; None if ``address`` (a fingerprint) must be fetched from the start."""
        origin = self._origin(sha256_known=sha256_known)
        return origin if origin is not None and origin.address == address else None

    def keep_if_useful(self, *, sha256_known: bool) -> bool:
        """Remove a part that cannot be resumed; return whether a part is left."""
        useful = self._origin(sha256_known=sha256_known) is not None
        if not useful:
            self.drop()
        return useful

    def _origin(self, *, sha256_known: bool) -> Origin | None:
        """Return the origin of the part, or None if it cannot be resumed.

        That is so if it cannot be read and written, or if neither a validator nor a known SHA-256 would show that the
        file has changed.
        """
        try:
            origin = Origin.model_validate_json(self.record.read_bytes())
            size = self.path.stat().st_size
        except (OSError, ValidationError):
            return None
        told = origin.validator is not None or sha256_known
        fits = origin.total is not None and self._offset(size, origin.total) > 0 and size <= origin.total
        return origin if told and fits and os.access(self.path, os.R_OK | os.W_OK) else None

    def offset(self, total: int) -> int:
        """Return the byte to resume from; of a complete part, the last byte is requested again."""
        return self._offset(self.path.stat().st_size, total)

    def drop(self) -> None:
        """Remove the part and its record."""
        self.path.unlink(missing_ok=True)
        self.record.unlink(missing_ok=True)

    @contextmanager
    def begin(self, origin: Origin) -> Iterator[IO[bytes]]:
        """Open a file to write ``origin`` to from its first byte; it is synced to disk when the block ends.

        Raises:
            OSError: If there is no room.
            RecordError: If the record cannot be written.
        """
        self.drop()
        if origin.total is not None:
            self._check_room(origin.total)
        write_record_file(self.record, origin.model_dump_json())
        with self._open("wb", 0) as file:
            yield file

    @contextmanager
    def resume(self, offset: int, total: int) -> Iterator[IO[bytes]]:
        """Open the file to write the rest to, from byte ``offset``.

        Raises:
            OSError: If there is no room.
        """
        self._check_room(total - offset)
        with self._open("r+b", offset) as file:
            yield file

    @contextmanager
    def _open(self, mode: Literal["wb", "r+b"], offset: int) -> Iterator[IO[bytes]]:
        with self.path.open(mode, buffering=0) as raw:
            raw.truncate(offset)
            raw.seek(offset)
            yield raw
            os.fsync(raw.fileno())

    def _check_room(self, needed: int) -> None:
        free = shutil.disk_usage(self.path.parent).free
        if free < needed:
            raise OSError(errno.ENOSPC, f"{needed:,} bytes are needed, {free:,} are free")

    @staticmethod
    def _offset(size: int, total: int) -> int:
        return min(size, total - 1)
