"""Check an index and compact it."""

from dataclasses import dataclass
from pathlib import Path

from mrlspk.data.problems import Problem
from mrlspk.index.store.store import VoiceStore
from mrlspk.workflows.voice_index.stats import IndexStats, measure_index


@dataclass(frozen=True)
class CheckedIndex:
    """An index and its problems; its voices and recordings are counted if none of them is an error."""

    problems: tuple[Problem, ...]
    voices: int | None = None
    recordings: int | None = None

    @property
    def ok(self) -> bool:
        """Return whether no problem is an error."""
        return all(each.severity == "warning" for each in self.problems)


@dataclass(frozen=True)
class CompactedIndex:
    """An index before and after a compaction."""

    before: IndexStats
    after: IndexStats


def check_index(folder: Path) -> CheckedIndex:
    """Return every problem of an index: its database, the checksums of its files, vectors and codes.

    Raises:
        MrlspkError: If the folder is no index.
    """
    with VoiceStore.open(folder) as store:
        checked = CheckedIndex(tuple(store.check()))
        if not checked.ok:
            return checked
        with store.reading() as snapshot:
            return CheckedIndex(checked.problems, snapshot.n_voices, snapshot.n_recordings)


def compact_index(folder: Path, *, dim: int | None = None) -> CompactedIndex:
    """Write an index without its removed voices, and delete the old files.

    Args:
        folder: Of the index.
        dim: Width to keep of every vector; None for all.

    Raises:
        UsageError: If the index has no such width.
        MrlspkError: If the folder is no index, or a reader keeps the old files open.
    """
    before = measure_index(folder)
    with VoiceStore.open(folder) as store:
        store.compact(dim=dim)
    return CompactedIndex(before, measure_index(folder))
