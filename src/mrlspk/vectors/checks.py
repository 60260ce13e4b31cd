"""Check vectors and their speaker labels, and collect every problem."""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.problems import Problem, error, further_errors, warning
from mrlspk.data.utterance_ids import name_fault
from mrlspk.errors import DataError, shorten
from mrlspk.vectors.speakers import first_few, speakers_of
from mrlspk.vectors.table import VectorTable, rows_per_block

LONGEST_WHERE = 200
UNUSABLE = {"repeated_id", "non_finite", "zero", "length"}
SHORTEST, LONGEST = 1e-15, 1e15  # beyond these lengths, squares of values may have no place in float32


def check_vectors(table: VectorTable, path: Path, labels: Mapping[str, str] | None = None) -> tuple[Problem, ...]:
    """Return every problem of the vectors of a file, in the order of its rows.

    Args:
        table: The vectors.
        path: Their file.
        labels: Speaker by id, all ids must have one; None for the part of the id before its first ``/``, which may be
            missing.
    """
    return (*_check_ids(table), *_check_values(table), *_check_speakers(table, path, labels))


def refuse_unusable(table: VectorTable, path: Path) -> None:
    """Refuse vectors that cannot be scored or fitted.

    Raises:
        DataError: If an id repeats, or a vector has no direction; it counts the problems and names the first.
    """
    problems = (*_repeated_ids(table), *_check_values(table))
    errors = [each for each in problems if each.kind in UNUSABLE]
    if errors:
        more = further_errors(len(errors) - 1)
        fix = "Remove or replace them; `mrlspk vectors inspect` lists all errors."
        raise DataError(f"{errors[0].where}: {errors[0].message}{more}", path, fix)


def usable_rows(table: VectorTable) -> NDArray[np.bool_]:
    """Return (n,) whether each vector has a direction: a length that float32 can square."""
    rows = rows_per_block(table.dim)
    blocks = [table.vectors[start : start + rows] for start in range(0, len(table.ids), rows)]
    lengths = np.concatenate([_lengths(block) for block in blocks])
    return (lengths >= SHORTEST) & (lengths <= LONGEST)  # neither holds for what is no number


def _lengths(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the lengths (n,) of vectors, in float64."""
    squares: NDArray[np.float64] = np.einsum("ij,ij->i", vectors, vectors, dtype=np.float64)
    return np.sqrt(squares)


def _check_ids(table: VectorTable) -> Iterator[Problem]:
    yield from _repeated_ids(table)
    for id_ in table.ids:
        if not id_:
            yield error("id", id_, "expected an id, got an empty text")
        elif fault := name_fault(id_):
            yield warning("id", shorten(id_, LONGEST_WHERE), f"expected an id that a trial list can hold, but {fault}")


def _repeated_ids(table: VectorTable) -> Iterator[Problem]:
    if len(set(table.ids)) == len(table.ids):
        return
    for id_, count in Counter(table.ids).items():
        if count > 1:
            yield error("repeated_id", shorten(id_, LONGEST_WHERE), f"expected each id once, got it {count} times")


def _check_values(table: VectorTable) -> Iterator[Problem]:
    """Find vectors that are not finite, zero, far too short or long, or equal to an earlier one."""
    first_of: dict[bytes, str] = {}
    rows = rows_per_block(table.dim)
    for start in range(0, len(table.ids), rows):
        block = table.vectors[start : start + rows]
        n_bad = table.dim - np.count_nonzero(np.isfinite(block), axis=1)
        lengths = _lengths(block)
        for index, id_ in enumerate(table.ids[start : start + rows]):
            where = shorten(id_, LONGEST_WHERE)
            if n_bad[index]:
                yield error("non_finite", where, f"expected finite values, got {n_bad[index]} that are not")
            elif not lengths[index]:
                yield error("zero", where, "expected a direction, got zeros only")
            elif not SHORTEST <= lengths[index] <= LONGEST:
                what = f"expected a length from {SHORTEST:g} to {LONGEST:g}, got {lengths[index]:.3g}"
                yield error("length", where, what)
            else:
                digest = hashlib.blake2b(block[index].tobytes(), digest_size=16).digest()
                if (first := first_of.setdefault(digest, id_)) != id_:
                    yield warning("duplicate", where, f"expected a vector of its own, got that of {shorten(first)}")


def _check_speakers(table: VectorTable, path: Path, labels: Mapping[str, str] | None) -> Iterator[Problem]:
    absent = [id_ for id_, speaker in zip(table.ids, speakers_of(table.ids, labels), strict=True) if not speaker]
    if labels is None and len(absent) == len(table.ids):
        yield warning("no_speaker", str(path), "expected ids such as speaker/utterance, got none: give speaker labels")
        return
    if labels is not None and len(absent) == len(table.ids) > 1:
        what = f"expected labels of ids such as {first_few(absent)}, got those of {first_few(labels)}"
        yield error("no_speaker", str(path), f"{len(absent)} of {len(absent)} ids have no speaker: {what}")
        return
    report = warning if labels is None else error
    for id_ in absent:
        yield report("no_speaker", shorten(id_, LONGEST_WHERE), "expected a speaker, got none")
