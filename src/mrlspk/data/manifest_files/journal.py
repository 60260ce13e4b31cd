"""Keep the facts that a scan reads in ``F.partial``, so that a killed scan goes on where it stopped."""

import logging
from collections.abc import Iterator
from pathlib import Path

from mrlspk.data.manifest_files.facts import Facts
from mrlspk.data.manifest_files.journal_lines import Entry, line_of
from mrlspk.partial_files import write_errors
from mrlspk.reading import load_json

SCHEMA = "mrlspk scan 1"

log = logging.getLogger("mrlspk.data")


class Journal:
    """A file that only grows; a line that a kill has cut is ignored.

    Args:
        path: ``F.partial``, which exists.
        corpus: What is scanned; what is known of another corpus is dropped.
    """

    def __init__(self, path: Path, corpus: str) -> None:
        self._path, self._head = path, [SCHEMA, corpus]
        with write_errors(path):
            self._file = path.open("r+b")
            if self._has_head():
                return
            if path.stat().st_size:
                log.warning("%s: left by a scan of something else; removed", path)
            self._file.seek(0)
            self._file.truncate()
            self.add(line_of(self._head))

    def entries(self) -> Iterator[Entry]:
        """Yield what a killed scan has left, and go to the end."""
        self._file.seek(0)
        end = len(self._file.readline())
        for line in self._file:
            if not line.endswith(b"\n"):
                break
            end += len(line)
            yield from (Entry(id_, place, Facts(*facts)) for id_, place, facts in load_json(line))
        with write_errors(self._path):
            self._file.truncate(end)
            self._file.seek(end)

    def add(self, line: bytes) -> None:
        """Append a line of `line_of`.

        Raises:
            MrlspkError: If it cannot be written.
        """
        with write_errors(self._path):
            self._file.write(line)
            self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _has_head(self) -> bool:
        try:
            return bool(load_json(self._file.readline()) == self._head)
        except ValueError:
            return False
