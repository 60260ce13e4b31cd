"""Describe segments of recordings the way that manifest files of other toolkits do."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mrlspk.data.manifest_files.rows import ManifestRow
from mrlspk.errors import DataError, UsageError


def find_base(first: str, file: Path) -> str:
    """Return the folder in which relative paths begin: the working directory, or that of the manifest file.

    NeMo, Kaldi and lhotse look in the working directory; NeMo looks beside the manifest file if the audio is not there.

    Args:
        first: The first path in the file.
        file: The manifest file.
    """
    expanded = os.path.expanduser(first)  # noqa: PTH111
    beside = os.path.abspath(file.parent)  # noqa: PTH100
    is_here = os.path.exists(expanded) and not os.path.exists(os.path.join(beside, expanded))  # noqa: PTH110, PTH118
    return os.getcwd() if is_here else beside  # noqa: PTH109


def segment_id(name: str, start: float | None, duration: float | None) -> str:
    """Return an id for a part of a recording, such as ``a.wav[1.5:4]``; the name for all of it."""
    if start is None and duration is None:
        return name
    end = "" if duration is None else _short((start or 0.0) + duration)
    return f"{name}[{_short(start or 0.0)}:{end}]"


def _short(seconds: float) -> str:
    return f"{seconds:.6f}".rstrip("0").rstrip(".")


def seconds_of(record: Mapping[str, Any], name: str, where: str) -> float | None:
    """Return a time of a record; None if it is absent or null.

    Raises:
        DataError: If it is no number, or below zero.
    """
    value = record.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
        raise DataError(f"expected seconds in {name!r}, got {value!r}", where, "Correct the line.")
    return float(value)


def plain_rows(rows: Iterator[ManifestRow], toolkit: str) -> Iterator[ManifestRow]:
    """Yield rows that other toolkits can describe.

    Raises:
        UsageError: If a row is one channel of a file, or a member of an archive.
    """
    for row in rows:
        kind = "one channel of a file" if row.channel is not None else "a member of an archive"
        if row.channel is not None or row.member is not None:
            fix = "Use `format=jsonl` or `parquet`, or write the audio to files."
            raise UsageError(f"{row.id} is {kind}: {toolkit} has no entry for it", fix=fix, parameter="format")
        yield row
