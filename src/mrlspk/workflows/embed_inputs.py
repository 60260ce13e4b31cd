"""Find the files that ``embed`` is to embed: files, folders at any depth, and lists of paths."""

import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mrlspk.data.corpora.walk import walk_audio
from mrlspk.data.left_out import LeftOut
from mrlspk.errors import DataError, UsageError
from mrlspk.reading import LARGEST_LIST, read_text, reading

log = logging.getLogger("mrlspk.data")


@dataclass(frozen=True)
class Inputs:
    """What is to be embedded.

    Attributes:
        files: By id.
        errors: Why a folder or an input cannot be read, by its path or as it was typed.
        left_out: Audio in folders that is not embedded, with the path of the folder.
    """

    files: dict[str, Path] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    left_out: tuple[LeftOut, ...] = ()


def find_inputs(inputs: Sequence[str]) -> Inputs:
    """Return audio files, and the errors of unusable inputs among several; warnings tell what is left out.

    The id of a file is its path as typed; the id of a file in a folder is its path relative to the folder.

    Raises:
        DataError: If the only input does not exist or holds no audio, or if there is none.
        UsageError: If two files have the same id.
    """
    files: dict[str, Path] = {}
    errors: dict[str, str] = {}
    left_out: list[LeftOut] = []
    for typed in inputs:
        try:
            found = _expand(typed)
        except DataError as error:
            if len(inputs) == 1:
                raise
            errors[typed] = str(error)
            continue
        _add(files, found.files.items())
        errors |= found.errors
        left_out += found.left_out
    if not (files or errors):
        raise DataError("no audio is named", fix="Give files or folders, or a list or stdin with one path per line.")
    return Inputs(files, errors, tuple(left_out))


def _add(files: dict[str, Path], found: Iterable[tuple[str, Path]]) -> None:
    for file_id, path in found:
        if file_id in files:
            raise UsageError(
                f"{files[file_id]} and {path} would have the same id",
                file_id,
                "Give each file once; embed folders with equal contents one at a time.",
            )
        files[file_id] = path


def split_lines(text: str) -> list[str]:
    """Return the paths in a list; only a line feed ends a line, since file names hold other separators."""
    return [line for each in text.split("\n") if (line := each.strip(" \t\r"))]


def _expand(typed: str) -> Inputs:
    path = Path(typed)
    with reading(path, DataError, "Check the path."):
        if path.is_dir():
            return _folder(path)
        if not path.is_file():
            what = "expected a file or folder, got a pipe or device" if path.exists() else "no such file or folder"
            raise DataError(what, typed, "Check the path.")
    return _listed(path) if path.suffix.lower() == ".txt" else Inputs({typed: path})


def _listed(path: Path) -> Inputs:
    text = read_text(path, DataError, "Save the list as UTF-8, one path per line.", most_bytes=LARGEST_LIST)
    files: dict[str, Path] = {}
    _add(files, ((line, Path(line)) for line in split_lines(text)))
    if not files:
        raise DataError("names no audio", path, "Write one path per line.")
    return Inputs(files)


def _folder(folder: Path) -> Inputs:
    """Return the audio in a folder; a folder in it that cannot be read is an error, and the rest is embedded."""
    tree = walk_audio(folder)
    problems = tuple(tree.problems())
    errors = {str(folder / each.where): each.message for each in problems if each.severity == "error"}
    warnings = [each.message for each in problems if each.severity == "warning"]
    if not tree.files and not errors:
        others = "".join(f"; {message}" for message in warnings)
        fix = "Give a folder with audio files, such as .wav, .flac, .mp3 or .m4a, at any depth."
        raise DataError(f"no audio in this folder{others}", folder, fix)
    for message in warnings:
        log.warning("%s: %s", folder, message)
    files = {file_id: folder / file_id for file_id in sorted(tree.files, key=lambda file_id: file_id.split("/"))}
    return Inputs(files, errors, tuple(each.within(folder) for each in tree.left_out))
