"""Read a tree of folders whose paths tell speaker and session by a pattern that the user gives."""

from pathlib import Path

from mrlspk.data.corpora.first_files import has_folder
from mrlspk.data.corpora.path_pattern import PathPattern
from mrlspk.data.corpora.path_tree import PathTree


class PatternTree(PathTree):
    """The recipe of a pattern.

    Raises:
        UsageError: If the pattern is malformed.
    """

    def __init__(self, pattern: str) -> None:
        self._pattern = PathPattern(pattern)
        self.name = self.layout = pattern
        self._pattern.regex  # noqa: B018 - refuse a malformed pattern before anything is read

    def recognises(self, path: Path) -> bool:
        """Return whether ``path`` is a folder."""
        return has_folder(path)

    def speaker_and_session(self, path: str) -> tuple[str, str] | None:
        """Return what the pattern reads from a path."""
        return self._pattern.match(path)
