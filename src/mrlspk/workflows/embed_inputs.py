"""Find the files that ``embed`` is to embed: files, folders at any depth, and lists of paths."""

from collections.abc import Sequence
from pathlib import Path

from mrlspk.data.audio import AUDIO_SUFFIXES
from mrlspk.data.corpora.folder_tree import list_audio
from mrlspk.errors import DataError, UsageError
from mrlspk.reading import LARGEST_LIST, read_text, reading


def find_inputs(inputs: Sequence[str]) -> tuple[dict[str, Path], dict[str, str]]:
    """Return audio files by id, and the errors of unusable inputs among several, by input.

    The id of a file is its path as typed; the id of a file in a folder is its path relative to the folder.

    Raises:
        DataError: If the only input does not exist or holds no audio, or if there is none.
        UsageError: If two files have the same id.
    """
    files: dict[str, Path] = {}
    errors: dict[str, str] = {}
    for typed in inputs:
        try:
            found = _expand(typed)
        except DataError as error:
            if len(inputs) == 1:
                raise
            errors[typed] = str(error)
            continue
        for file_id, path in found:
            if file_id in files:
                raise UsageError(
                    f"{files[file_id]} and {path} would have the same id",
                    file_id,
                    "Give each file once; embed folders with equal contents one at a time.",
                )
            files[file_id] = path
    if not (files or errors):
        raise DataError("no audio is named", fix="Give files or folders, or a list or stdin with one path per line.")
    return files, errors


def _expand(typed: str) -> list[tuple[str, Path]]:
    path = Path(typed)
    with reading(path, DataError, "Check the path."):
        if path.is_dir():
            return _folder(path)
        if not path.is_file():
            raise DataError("no such file or folder", typed, "Check the path.")
    return _listed(path) if path.suffix.lower() == ".txt" else [(typed, path)]


def _listed(path: Path) -> list[tuple[str, Path]]:
    text = read_text(path, DataError, "Save the list as UTF-8, one path per line.", most_bytes=LARGEST_LIST)
    lines = list(filter(None, map(str.strip, text.splitlines())))
    if not lines:
        raise DataError("names no audio", path, "Write one path per line.")
    return [(line, Path(line)) for line in lines]


def _folder(folder: Path) -> list[tuple[str, Path]]:
    found = sorted(list_audio(folder), key=lambda file_id: file_id.split("/"))
    if not found:
        raise DataError(
            "no audio in this folder",
            folder,
            f"Give a folder with {', '.join(sorted(AUDIO_SUFFIXES))} files at any depth.",
        )
    return [(file_id, folder / file_id) for file_id in found]
