"""Walk a tree of folders: its audio files, and what is left out of it."""

import errno
import logging
import os
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from mrlspk.data.audio.formats import AUDIO_SUFFIXES, HEADERLESS_SUFFIXES
from mrlspk.data.left_out import LeftOut, left_out_problems, named
from mrlspk.data.problems import Problem, error, refuse_errors, warning
from mrlspk.data.slow_counts import SlowCount
from mrlspk.data.utterance_ids import printable
from mrlspk.errors import DataError
from mrlspk.reading import reading

# Audio that nothing in the file describes, or that no decoder here reads.
UNREAD_SUFFIXES = HEADERLESS_SUFFIXES | {
    ".aa", ".aax", ".act", ".ds2", ".dvf", ".g723", ".g726", ".g729", ".m4p", ".msv", ".sd2",
}  # fmt: skip
MOST_VISITS = 64  # of one folder, through links; folders that all link to each other have more paths than can be walked

log = logging.getLogger("mrlspk.data")

type _Inode = tuple[int, int]

_NO_INODES: frozenset[_Inode] = frozenset()


@dataclass(frozen=True)
class AudioTree:
    """The audio of a tree of folders; paths are relative to its root, with forward slashes.

    Attributes:
        root: As it was named.
        files: Sorted. A link whose file is absent is among them: reading it fails.
        left_out: Known audio that is not read, and links that are not followed, by path.
        repeated: Pairs of paths of one folder, the second one a link; its files are there under both.
        closed: Folders that cannot be read, and why.
    """

    root: Path
    files: tuple[str, ...]
    left_out: tuple[LeftOut, ...]
    repeated: tuple[tuple[str, str], ...]
    closed: Mapping[str, str]

    def problems(self) -> Iterator[Problem]:
        """Yield the folders that cannot be read as errors, and what is left out or repeated as warnings."""
        for path, why in self.closed.items():
            yield error("unreadable", printable(path), f"cannot be read: {why}")
        yield from left_out_problems(self.left_out)
        if self.repeated:
            links = [f"{link} (to {path})" for path, link in self.repeated]
            message = f"{named('link', links)}: the audio of the folder is listed twice"
            yield warning("repeated_folder", printable(self.repeated[0][1]), message)


def walk_audio(root: Path) -> AudioTree:
    """Return the audio under a folder; hidden files and folders are skipped.

    Links to files and folders are followed, except those that lead back to a folder that they are in.

    Raises:
        DataError: If the folder is absent or cannot be listed.
    """
    with reading(root, DataError, "Check the path."):
        if not root.is_dir():
            what = "expected a folder, got a file" if root.exists() else "no such folder"
            raise DataError(what, root, "Check the path.")
        os.scandir(root).close()
    walk = _Walk(root, has_links=False)
    if not walk.run():
        walk = _Walk(root, has_links=True)
        walk.run()
    return AudioTree(
        root,
        files=tuple(sorted(walk.files)),
        left_out=tuple(sorted(walk.left_out, key=attrgetter("path"))),
        repeated=walk.repeated(),
        closed=dict(sorted(walk.closed.items())),
    )


def list_audio(root: Path) -> tuple[str, ...]:
    """Return the audio under a folder that is used whole; warnings tell what is left out.

    Raises:
        DataError: If the folder, or one in it, is absent or cannot be listed.
    """
    tree = walk_audio(root)
    problems = tuple(tree.problems())
    refuse_errors(problems, root)
    for problem in problems:
        log.warning("%s: %s", root, problem.message)
    return tree.files


class _Walk:
    """A walk in progress; paths are relative to the root.

    Args:
        root: Where it begins.
        has_links: Whether links lead to folders: then each folder is told by its inode, which takes half the time.
    """

    def __init__(self, root: Path, *, has_links: bool) -> None:
        self.files: list[str] = []
        self.left_out: list[LeftOut] = []
        self.closed: dict[str, str] = {}
        self._suffixes: set[str] = set()  # of audio, as they are written in this tree
        self._root, self._has_links = root, has_links
        self._links: set[str] = set()
        self._paths: dict[_Inode, list[str]] = {}  # of each folder
        self._waiting: deque[tuple[str, frozenset[_Inode]]] = deque()  # folders, with those that they are in

    def run(self) -> bool:
        """Walk all folders; return False if there is a link to one, which must not be there."""
        self._waiting.append(("", frozenset(_inodes_above(self._root)) if self._has_links else _NO_INODES))
        slow = SlowCount(f"{printable(self._root)}: audio files found")
        while self._waiting:
            self._enter(*self._waiting.popleft())
            slow.reached(len(self.files))
            if self._links and not self._has_links:
                return False
        return True

    def repeated(self) -> tuple[tuple[str, str], ...]:
        """Return the links that lead to a folder with another path."""
        pairs = []
        for paths in self._paths.values():
            if len(paths) > 1:
                first = min(paths, key=lambda path: (path in self._links, path))
                pairs += [(first, path) for path in paths if path in self._links and path != first]
        return tuple(sorted(pairs, key=lambda pair: pair[1]))

    def _enter(self, path: str, above: frozenset[_Inode]) -> None:
        """List a folder unless it is one of those ``above`` it."""
        location = os.path.join(self._root, path)  # noqa: PTH118 - ten times a Path's speed
        try:
            around = self._note_inode(path, location, above) if self._has_links else _NO_INODES
            if around is None:
                return
            with os.scandir(location) as entries:
                found = list(entries)
        except OSError as fault:
            self.closed[path] = fault.strerror or str(fault)
            return
        prefix, suffixes, files = f"{path}/" if path else "", self._suffixes, self.files
        others = []
        for entry in found:  # nearly all are plain files of one suffix: this loop is most of a walk
            name = entry.name
            if name[0] == ".":
                continue
            if name[name.rfind(".") :] in suffixes and not entry.is_symlink() and _is_file(entry):
                files.append(prefix + name)
            else:
                others.append(entry)
        for entry in sorted(others, key=attrgetter("name")):
            self._take(entry, prefix + entry.name, around)

    def _note_inode(self, path: str, location: str, above: frozenset[_Inode]) -> frozenset[_Inode] | None:
        """Return the folders in which the files of a folder are; None if it is not to be listed.

        Raises:
            OSError: If it cannot be found out.
        """
        inode = _inode_of(os.stat(location))  # noqa: PTH116
        paths = self._paths.setdefault(inode, [])
        if inode in above or (path in self._links and len(paths) >= MOST_VISITS):
            self.left_out.append(LeftOut(path, "loop" if inode in above else "many_links"))
            return None
        os.scandir(location).close()
        paths.append(path)
        return above | {inode}

    def _take(self, entry: os.DirEntry[str], path: str, around: frozenset[_Inode]) -> None:
        """Add a file, or a folder that is yet to be walked."""
        suffix = entry.name[entry.name.rfind(".") :].lower()  # a tenth of the time of `Path.suffix`
        is_audio = suffix in AUDIO_SUFFIXES
        try:
            if is_audio and entry.is_file():
                self._suffixes.add(entry.name[entry.name.rfind(".") :])
                self.files.append(path)
            elif entry.is_dir():
                self._waiting.append((path, around))
                if entry.is_symlink():
                    self._links.add(path)
            elif suffix in UNREAD_SUFFIXES and entry.is_file():
                self.left_out.append(LeftOut(path, "format"))
            elif entry.is_symlink() and not os.path.exists(entry.path):  # noqa: PTH110
                self._add_dead_link(path, is_audio=is_audio)
            elif is_audio:  # reading a pipe or device might never end
                self.left_out.append(LeftOut(path, "special"))
        except OSError as fault:  # of a link: to itself, or into a folder that may not be entered
            if is_audio:
                self.files.append(path)
            elif fault.errno == errno.ELOOP:
                self.left_out.append(LeftOut(path, "loop"))
            else:
                self.closed[path] = fault.strerror or str(fault)

    def _add_dead_link(self, path: str, *, is_audio: bool) -> None:
        if is_audio:
            self.files.append(path)
        else:
            self.left_out.append(LeftOut(path, "dead_link"))


def _is_file(entry: os.DirEntry[str]) -> bool:
    """Return whether an entry is a file; False if that cannot be found out."""
    try:
        return entry.is_file()
    except OSError:  # on file systems whose folders do not tell
        return False


def _inode_of(found: os.stat_result) -> _Inode:
    return found.st_dev, found.st_ino


def _inodes_above(root: Path) -> Iterator[_Inode]:
    """Yield the folders that hold the root."""
    for folder in root.resolve().parents:
        with suppress(OSError):  # one that may not be entered cannot be a link's target either
            yield _inode_of(folder.stat())
