"""Write samples of audio and JSON into tar files whose bytes depend on their contents alone."""

import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from types import TracebackType
from typing import Self


@dataclass(frozen=True)
class Member:
    """Where a file is in a tar."""

    name: str
    offset: int
    length: int


class TarWriter:
    """Write an uncompressed tar in the USTAR format; a name that does not fit in it has a PAX header before it.

    Args:
        path: Of the tar, which is overwritten.
    """

    def __init__(self, path: Path) -> None:
        self._tar = tarfile.open(path, "w", format=tarfile.PAX_FORMAT)  # noqa: SIM115 - closed by `__exit__`

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._tar.close()

    def add_sample(self, key: str, suffix: str, audio: bytes, facts: Mapping[str, object]) -> Member:
        """Write encoded audio as ``KEY.SUFFIX``, and what is known of it as ``KEY.json``; return where the audio is.

        Raises:
            OSError: If the tar cannot be written.
        """
        member = self._add(f"{key}.{suffix}", audio)
        self._add(f"{key}.json", json.dumps(facts, ensure_ascii=False, separators=(",", ":")).encode())
        return member

    def _add(self, name: str, content: bytes) -> Member:
        entry = tarfile.TarInfo(name)  # without owner and time
        entry.size = len(content)
        self._tar.addfile(entry, BytesIO(content))
        padded = -(-len(content) // tarfile.BLOCKSIZE) * tarfile.BLOCKSIZE
        return Member(name, self._tar.offset - padded, len(content))
