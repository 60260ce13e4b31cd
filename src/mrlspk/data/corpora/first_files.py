"""Look at the first files of a folder, to recognise a corpus without listing it."""

import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path

from mrlspk.data.audio.formats import AUDIO_SUFFIXES

MOST_ENTRIES = 200  # of one folder
MOST_FOLDERS = 3  # of each folder that are entered
DEEPEST = 4
UNKNOWN = OSError, ValueError  # of a folder that may not be listed, or a name that no file can have: not recognised


def has_file(path: Path) -> bool:
    """Return whether there is such a file; False if that cannot be found out."""
    with suppress(*UNKNOWN):
        return path.is_file()
    return False


def has_folder(path: Path) -> bool:
    """Return whether there is such a folder; False if that cannot be found out."""
    with suppress(*UNKNOWN):
        return path.is_dir()
    return False


def every_name(folder: Path, fits: Callable[[str], object]) -> bool:
    """Return whether there are names in a folder that are not hidden, and all fit; it ends at the first that does not.

    False if the folder cannot be listed.
    """
    is_empty = True
    with suppress(*UNKNOWN), os.scandir(folder) as entries:
        for entry in entries:
            if not entry.name.startswith("."):
                is_empty = False
                if not fits(entry.name):
                    return False
        return not is_empty
    return False


def names_in(folder: Path) -> list[str]:
    """Return the first names in a folder except hidden ones; none if it cannot be listed."""
    return [entry.name for entry in _entries(folder)]


def first_audio(root: Path) -> list[str]:
    """Return the paths of some audio files below a folder, relative to it: of each folder the first few."""
    return list(_first_audio(root, "", DEEPEST))


def _first_audio(root: Path, path: str, depth: int) -> Iterator[str]:
    folders = list[str]()
    n_files = 0
    for entry in _entries(root / path):
        here = f"{path}/{entry.name}" if path else entry.name
        if Path(entry.name).suffix.lower() in AUDIO_SUFFIXES and n_files < MOST_FOLDERS:
            n_files += 1
            yield here
        elif len(folders) < MOST_FOLDERS and entry.is_dir():
            folders.append(here)
    if depth > 1:
        for folder in folders:
            yield from _first_audio(root, folder, depth - 1)


def _entries(folder: Path) -> Iterator[os.DirEntry[str]]:
    with suppress(*UNKNOWN), os.scandir(folder) as entries:
        yield from islice((each for each in entries if not each.name.startswith(".")), MOST_ENTRIES)
