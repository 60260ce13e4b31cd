"""Check names: those that a trial list cannot hold, and those that differ in case alone."""

import unicodedata
from collections.abc import Iterator, Sequence

from mrlspk.data.checks.repeats import find_repeats
from mrlspk.data.problems import Problem, error, warning
from mrlspk.data.utterance_ids import name_fault


def check_names(utterance_ids: Sequence[str]) -> Iterator[Problem]:
    """Find utterances that a trial list cannot name."""
    for id_ in utterance_ids:
        if fault := name_fault(id_):
            yield error("name", id_, f"{fault}: rename the file or folder")


def check_case(utterance_ids: Sequence[str]) -> Iterator[Problem]:
    """Find files and folders whose paths differ in upper and lower case, or in the form of Unicode, alone.

    Windows, macOS and many network drives hold only one of them. Folders are told once, not with each of their files.
    """
    for paths in (_folders(utterance_ids), utterance_ids):
        for first, other in find_repeats(paths, _key):
            if paths[first] == paths[other]:
                continue
            message = (
                f"differs from {paths[first]} in upper and lower case alone: one of them is lost where case is ignored"
            )
            yield warning("case_clash", paths[other], message)


def _folders(utterance_ids: Sequence[str]) -> Sequence[str]:
    found: set[str] = set()
    for id_ in utterance_ids:
        folder = id_.rpartition("/")[0]
        while folder and folder not in found:
            found.add(folder)
            folder = folder.rpartition("/")[0]
    return sorted(found)


def _key(path: str) -> str:
    """Return the folder as it is and the name without its case: clashes of folders are found by themselves."""
    folder, slash, name = path.rpartition("/")
    return folder + slash + unicodedata.normalize("NFC", name.casefold())
