"""Read a tree of folders whose paths tell speaker and session by patterns."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from sys import intern
from typing import Protocol

from mrlspk.data.audio.source import FileSource
from mrlspk.data.corpora.folder_tree import is_folder
from mrlspk.data.corpora.path_pattern import PathPattern
from mrlspk.data.corpora.walk import walk_audio
from mrlspk.data.manifest import CorpusListing, Utterance
from mrlspk.data.utterance_ids import printable
from mrlspk.errors import DataError


class Layout(Protocol):
    """Tell speaker and session of an audio file from its path."""

    def match(self, path: str) -> tuple[str, str] | None:
        """Return speaker and session of a path relative to the corpus; None if it is of another layout."""
        ...


class PatternTree:
    """The recipe of a tree of folders with a pattern; an utterance id is the path relative to the tree."""

    def __init__(self, pattern: str) -> None:
        self._pattern = PathPattern(pattern)
        self.name = self.layout = pattern
        self._pattern.regex  # noqa: B018 - refuse a malformed pattern before anything is read

    def recognises(self, path: Path) -> bool:
        """Return whether ``path`` is a folder."""
        return is_folder(path)

    def list_utterances(self, path: Path) -> CorpusListing:
        """Return the audio files that fit the pattern; others are left out.

        Raises:
            DataError: If the folder is absent or cannot be listed, or if no file fits.
        """
        return list_tree(path, (self._pattern,), self.layout)


def list_tree(root: Path, layouts: Sequence[Layout], described: str) -> CorpusListing:
    """Return the audio files below a folder that one of the layouts fits; the first that fits tells the speaker.

    Raises:
        DataError: If the folder is absent or cannot be listed, or if no file fits; ``described`` is the layout.
    """
    tree = walk_audio(root)
    misplaced = list[str]()
    utterances = tuple(_utterances(root, tree.files, layouts, misplaced))
    if not utterances:
        found = f"got {printable(tree.files[0])!r}" if tree.files else "got no audio at all"
        others = "".join(f"; {problem.message}" for problem in tree.problems())
        raise DataError(f"expected {described}, {found}{others}", root, "Name another folder, or another `corpus`.")
    return CorpusListing(utterances, tuple(misplaced), tree.left_out, tuple(tree.problems()))


def _utterances(
    root: Path, files: Sequence[str], layouts: Sequence[Layout], misplaced: list[str]
) -> Iterator[Utterance]:
    """Yield the utterances and collect the other files; those of a speaker share one string, to save memory."""
    prefix = str(root / "_")[:-1]
    for path in files:
        found = next((match for layout in layouts if (match := layout.match(path))), None)
        if found is None:
            misplaced.append(path)
        else:
            yield Utterance(path, intern(found[0]), intern(found[1]), FileSource(prefix + path))
