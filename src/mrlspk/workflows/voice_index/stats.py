"""Count the voices and the bytes of an index."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mrlspk.index.store.settings import IndexSettings
from mrlspk.index.store.store import VoiceStore

CALIBRATION = "calibration"  # key of the setting


@dataclass(frozen=True)
class IndexStats:
    """The size of an index.

    Attributes:
        settings: Of the index.
        voices: Enrolled.
        recordings: Of all voices.
        profiles: Vectors that a search compares.
        removed: Vectors of removed voices that are still in the files.
        is_calibrated: Whether `identify` can decide.
        files: Bytes by the path in the folder.
    """

    settings: IndexSettings
    voices: int
    recordings: int
    profiles: int
    removed: int
    is_calibrated: bool
    files: dict[str, int]

    @property
    def bytes(self) -> int:
        """Return the bytes of all files."""
        return sum(self.files.values())


def measure_index(folder: Path) -> IndexStats:
    """Return the size of an index.

    Raises:
        MrlspkError: If the folder is no index.
    """
    with VoiceStore.open(folder) as store, store.reading() as snapshot:
        removed = 0 if snapshot.removed is None else int(np.count_nonzero(snapshot.removed))
        return IndexStats(
            settings=snapshot.settings,
            voices=snapshot.n_voices,
            recordings=snapshot.n_recordings,
            profiles=snapshot.slots - removed,
            removed=removed,
            is_calibrated=snapshot.setting(CALIBRATION) is not None,
            files=_sizes(folder),
        )


def _sizes(folder: Path) -> dict[str, int]:
    """Return the bytes of each file; the shared memory of readers and files deleted meanwhile are left out."""
    found: dict[str, int] = {}
    for path in sorted(folder.rglob("*")):
        try:
            if path.is_file() and not path.name.endswith("-shm"):
                found[path.relative_to(folder).as_posix()] = path.stat().st_size
        except FileNotFoundError:
            continue
    return found
