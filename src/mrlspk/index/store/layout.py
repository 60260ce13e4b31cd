"""Name the array files of an index and give their rows a shape."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mrlspk.index.funnel.codes import code_columns, code_dtype
from mrlspk.index.store.row_files import RowFile
from mrlspk.index.store.settings import IndexSettings

PREFIX = "vectors-"
FLOAT32 = np.dtype("<f4")


@dataclass(frozen=True)
class Layout:
    """The array files of one generation: a compaction writes the next one.

    Attributes:
        folder: Of the files.
        profiles: Unit vectors of the voices, one row per condition profile (a slot).
        shortlist: Codes of the slots.
        recordings: Unit vectors of the recordings of voices that have several.
    """

    folder: Path
    profiles: RowFile
    shortlist: RowFile
    recordings: RowFile


def generation_folder(index: Path, generation: int) -> Path:
    """Return the folder of a generation's files."""
    return index / f"{PREFIX}{generation}"


def generation_folders(index: Path) -> list[Path]:
    """Return the folders of all generations that are there."""
    return [path for path in index.glob(f"{PREFIX}*") if path.name.removeprefix(PREFIX).isdecimal()]


def build_layout(index: Path, generation: int, settings: IndexSettings) -> Layout:
    """Return the files of a generation."""
    folder, spec, embed_dim = generation_folder(index, generation), settings.shortlist, settings.embed_dim
    return Layout(
        folder,
        RowFile(folder / "profiles.f32", embed_dim, FLOAT32),
        RowFile(folder / f"shortlist.{spec.type}.{spec.dim}", code_columns(spec), code_dtype(spec)),
        RowFile(folder / "recordings.f32", embed_dim, FLOAT32),
    )
