"""Find out quickly that a tree of folders has not changed since it was scanned."""

import logging
import os
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mrlspk.data.corpora.folder_tree import FolderTree
from mrlspk.data.corpora.likely_corpus import DEPTHS
from mrlspk.data.corpora.recipe_registry import recipe_for
from mrlspk.data.corpora.walk import walk_audio
from mrlspk.data.left_out import LeftOut
from mrlspk.data.manifest_files.parquet_rows import read_parquet_columns
from mrlspk.data.manifest_files.rows import folder_prefix, relative_to
from mrlspk.data.problems import refuse_errors

COLUMNS = "id", "path", "speaker", "session", "bytes", "mtime_ns", "seconds"
OF_PARTS = "start", "duration", "channel", "member"

log = logging.getLogger("mrlspk.data")


@dataclass(frozen=True)
class UnchangedTree:
    """What the manifest file of an unchanged tree holds."""

    utterances: int
    speakers: int
    seconds: float
    left_out: tuple[LeftOut, ...]


def find_unchanged(corpus: Path, manifest_file: Path, recipe: str) -> UnchangedTree | None:
    """Return what a manifest file holds if a walk and the times of all files show that it is still true; else None.

    This takes a quarter of the time of listing the corpus and comparing rows, for which it stands.

    Raises:
        DataError: If the corpus or the manifest file cannot be read.
    """
    if manifest_file.suffix != ".parquet" or not isinstance(recipe_for(corpus, recipe), FolderTree):
        return None
    with ThreadPoolExecutor(1) as reader:
        reading = reader.submit(read_parquet_columns, manifest_file, COLUMNS, empty=OF_PARTS)
        tree = walk_audio(corpus)
    columns = reading.result()
    if columns is None or len(columns) < len(COLUMNS) or list(tree.files) != columns["id"]:
        return None
    if not _is_read_as_tree(columns) or not _has_same_files(corpus, manifest_file, columns):
        return None
    problems = tuple(tree.problems())
    refuse_errors(problems, corpus)
    for problem in problems:
        log.warning("%s: %s", corpus, problem.message)
    return UnchangedTree(len(tree.files), len(set(columns["speaker"])), sum(columns["seconds"]), tree.left_out)


def _is_read_as_tree(columns: dict[str, list[Any]]) -> bool:
    """Return whether speakers and sessions are those of a tree of folders: another recipe may have told them."""
    ids, sessions = columns["id"], columns["session"]
    speakers_fit = columns["speaker"] == [id_.partition("/")[0] for id_ in ids]  # `speaker_of`, a million times
    sessions_fit = sessions == [id_.rpartition("/")[0] for id_ in ids]
    return speakers_fit and sessions_fit and all(each.count("/") + 2 in DEPTHS for each in {*sessions})


def _has_same_files(corpus: Path, manifest_file: Path, columns: dict[str, list[Any]]) -> bool:
    """Return whether the paths of the rows are those of the tree, and every file has its size and time of change."""
    prefix = str(corpus / "_")[:-1]
    written = relative_to(f"{prefix}_", folder_prefix(manifest_file))[:-1]
    if columns["path"] != [written + id_ for id_ in columns["id"]]:
        return False
    return _are_unchanged(prefix, zip(columns["id"], columns["bytes"], columns["mtime_ns"], strict=True))


def _are_unchanged(prefix: str, states: Iterable[tuple[str, int, int]]) -> bool:
    """Return whether files have their sizes and times of change; names follow the prefix."""
    stat = os.stat  # of a million files, a Path takes longer than the system
    try:
        for id_, size, mtime_ns in states:
            found = stat(prefix + id_)
            if found.st_mtime_ns != mtime_ns or found.st_size != size:
                return False
    except OSError:
        return False
    return True
