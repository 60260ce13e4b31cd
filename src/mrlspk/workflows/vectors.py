"""Inspect vector files, and convert them between formats."""

from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path

from mrlspk.data.problems import Problem
from mrlspk.errors import DataError
from mrlspk.files import check_free
from mrlspk.vectors.checks import check_vectors, usable_rows
from mrlspk.vectors.loading import load_vectors
from mrlspk.vectors.saving import check_suffix, save_vectors
from mrlspk.vectors.speakers import first_few, read_speakers, speakers_of


@dataclass(frozen=True)
class InspectedVectors:
    """A vector file and its problems; ``speakers`` is None if no id has one."""

    path: Path
    count: int
    dim: int
    speakers: int | None
    fingerprint: str | None
    problems: tuple[Problem, ...]

    @property
    def ok(self) -> bool:
        """Whether there is no error; warnings alone are fine."""
        return all(problem.severity == "warning" for problem in self.problems)


@dataclass(frozen=True)
class ConvertedVectors:
    """The files of converted vectors, the requested one first, and the ids that were left out."""

    paths: tuple[Path, ...]
    count: int
    dim: int
    dropped: tuple[str, ...] = ()


def inspect_vectors(path: Path, *, speakers: Path | None = None, ids: Path | None = None) -> InspectedVectors:
    """Return size and problems of a vector file.

    Args:
        path: The file.
        speakers: Speaker labels; None for the part of each id before its first ``/``.
        ids: Ids of the rows of an .npy file.

    Raises:
        DataError: If a file cannot be read as what it should be.
        MissingDependencyError: If it is Parquet and pyarrow is not installed.
    """
    labels = None if speakers is None else read_speakers(speakers)
    table = load_vectors(path, ids=ids)
    known = {speaker for speaker in speakers_of(table.ids, labels) if speaker}
    problems = check_vectors(table, path, labels)
    return InspectedVectors(path, len(table.ids), table.dim, len(known) or None, table.fingerprint, problems)


def convert_vectors(
    path: Path, output: Path, *, ids: Path | None = None, drop_unusable: bool = False, force: bool = False
) -> ConvertedVectors:
    """Write the vectors of a file to another, in the format of its suffix.

    Args:
        path: The file.
        output: File to write.
        ids: Ids of the rows of an .npy file.
        drop_unusable: Leave out vectors that are zero or not finite.
        force: Overwrite ``output``.

    Raises:
        DataError: If the file cannot be read, a vector is zero or not finite and not left out, or the format cannot
            hold an id.
        UsageError: If the suffix of ``output`` is not known.
        MissingDependencyError: If one is Parquet and pyarrow is not installed.
        MrlspkError: If ``output`` exists and ``force`` is false, or cannot be written.
    """
    check_suffix(output)
    check_free(output, force=force)
    table = load_vectors(path, ids=ids)
    usable = usable_rows(table)
    dropped = tuple(compress(table.ids, ~usable))
    if dropped and not drop_unusable:
        what = f"{len(dropped):,} of {len(table.ids):,} vectors are zero or not finite, such as {first_few(dropped)}"
        raise DataError(what, path, "Replace them, or leave them out with `drop_unusable`.")
    if dropped:
        kept = tuple(compress(table.ids, usable))
        if not kept:
            raise DataError("expected a vector, got only such as are zero or not finite", path)
        table = replace(table, ids=kept, vectors=table.vectors[usable])
    return ConvertedVectors(save_vectors(table, output, force=force), len(table.ids), table.dim, dropped)
