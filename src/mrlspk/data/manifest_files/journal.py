"""Keep the rows of a scan in ``F.partial`` as they are read, so that a killed scan goes on where it stopped."""

import json
import logging
from collections.abc import Iterator, Sequence
from operator import attrgetter
from pathlib import Path
from typing import Any

from mrlspk.data.manifest_files.rows import COLUMNS, ManifestRow
from mrlspk.partial_files import write_errors
from mrlspk.reading import load_json

log = logging.getLogger("mrlspk.data")

SCHEMA = "mrlspk scan 1"
_values_of = attrgetter(*COLUMNS)


class Journal:
    """A file of rows that only grows; a line that a kill has cut is ignored.

    Args:
        path: ``F.partial``, which exists.
        corpus: What is scanned; rows of another corpus are dropped.
    """

    def __init__(self, path: Path, corpus: str) -> None:
        self._path, self._head = path, [SCHEMA, corpus, list(COLUMNS)]
        with write_errors(path):
            self._file = path.open("r+b")
        self.is_taken_up = self._read_head()
        if not self.is_taken_up:
            with write_errors(path):
                if path.stat().st_size:
                    log.warning("%s: left by a scan of something else; removed", path)
                self._file.seek(0)
                self._file.truncate()
                self._write(self._head)

    def rows(self) -> Iterator[ManifestRow]:
        """Yield the rows that a killed scan has left, and go to the end."""
        self._file.seek(0)
        end = len(self._file.readline())
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            end += len(line)
            yield from (ManifestRow(*values) for values in load_json(line))
        with write_errors(self._path):
            self._file.truncate(end)
            self._file.seek(end)

    def add(self, rows: Sequence[ManifestRow]) -> None:
        """Append rows.

        Raises:
            MrlspkError: If they cannot be written.
        """
        with write_errors(self._path):
            self._write(list(map(_values_of, rows)))

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _write(self, value: Any) -> None:
        self._file.write(json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        self._file.flush()

    def _read_head(self) -> bool:
        try:
            head = load_json(self._file.readline())
        except ValueError:
            return False
        return bool(head == self._head)
