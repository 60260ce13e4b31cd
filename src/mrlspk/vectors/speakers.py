"""Read speaker labels, and find the speakers of ids."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

from mrlspk.data.text_tables import (
    BadLine,
    BadLinesError,
    TextFile,
    column_name,
    delimiter_of,
    find_column,
    read_text_file,
    split_table,
)
from mrlspk.errors import DataError, shorten

EXPECTED = "utt2spk lines '<id> <speaker>', or a table with the columns id and speaker"
ID_COLUMNS = "utterance_id", "utterance", "utt", "id"
SPEAKER_COLUMNS = "speaker_id", "speaker", "spk"
OTHER_SPEAKERS = "Give `speakers=FILE` with these ids; those of your file are such as "
GIVE_SPEAKERS = "Give `speakers=FILE`: Kaldi's utt2spk, or a table with the columns id and speaker."
SHOWN = 3

type Row = tuple[int, list[str]]  # line and cells


def read_speakers(path: Path) -> dict[str, str]:
    """Return the speaker of each id in a Kaldi utt2spk file, or in a table (CSV, TSV) with a header.

    The columns of a table are ``utterance_id``, ``utterance``, ``utt`` or ``id``, and ``speaker_id``, ``speaker`` or
    ``spk``.

    Raises:
        DataError: If it is neither, or an id has two speakers; the message lists the lines.
    """
    file = read_text_file(path, EXPECTED)
    speakers: dict[str, str] = {}
    bad: list[BadLine] = []
    rows = list(_rows(file))
    for number, cells in rows:
        if len(cells) != 2 or "" in cells:
            bad.append(BadLine(f"{path}:{number}", f"expected an id and a speaker, got {shorten(' '.join(cells))!r}"))
        elif speakers.setdefault(cells[0], cells[1]) != cells[1]:
            what = f"expected one speaker of {cells[0]}, got {speakers[cells[0]]} and {cells[1]}"
            bad.append(BadLine(f"{path}:{number}", what))
    if bad:
        raise BadLinesError(bad, str(path), len(rows), f"Write {EXPECTED}.")
    if not speakers:
        raise DataError(f"expected {EXPECTED}, got none", path)
    return speakers


def speakers_of(ids: Sequence[str], labels: Mapping[str, str] | None = None) -> tuple[str | None, ...]:
    """Return the speaker of each id; None where there is none.

    Args:
        ids: Utterance ids.
        labels: Speaker by id. None: the speaker is the part of an id before its first ``/``; an id without one has no
            speaker, since other separators, such as the hyphens of Kaldi, also occur within names.
    """
    if labels is not None:
        return tuple(map(labels.get, ids))
    return tuple((speaker or None) if rest else None for speaker, _, rest in (each.partition("/") for each in ids))


def require_speakers(
    ids: Sequence[str],
    labels: Mapping[str, str] | None,
    where: Path,
    *,
    n_read: int | None = None,
    n_all: int | None = None,
) -> tuple[str, ...]:
    """Return the speaker of each id, as `speakers_of` does.

    Args:
        ids: All ids, or those of a block.
        labels: Speaker by id.
        where: File of the ids.
        n_read: Of a block: how many ids were read with it.
        n_all: Of a block: how many ids there are, if that is known.

    Raises:
        DataError: If an id has none; the message counts them and names the first.
    """
    found = speakers_of(ids, labels)
    if absent := [each for each, speaker in zip(ids, found, strict=True) if not speaker]:
        fix = GIVE_SPEAKERS if labels is None else f"{OTHER_SPEAKERS}{first_few(labels)}."
        first = "" if n_read == n_all else "the first "
        what = f"{len(absent):,} of {first}{n_read or len(ids):,} ids have no speaker, such as {first_few(absent)}"
        raise DataError(what, where, fix)
    return tuple(speaker for speaker in found if speaker)


def first_few(ids: Iterable[str]) -> str:
    """Return the first ids for a message."""
    return ", ".join(map(shorten, islice(ids, SHOWN)))


def _rows(file: TextFile) -> Iterator[Row]:
    """Yield id and speaker of each line; another number of cells if it has no two."""
    first = file.text.partition("\n")[0]
    delimiter = delimiter_of(first)
    columns = list(map(column_name, first.split(delimiter))) if delimiter else []
    places = find_column(columns, ID_COLUMNS), find_column(columns, SPEAKER_COLUMNS)
    if delimiter in {",", ";"} or None not in places:
        yield from _table_rows(file, delimiter or ",")
        return
    for number, line in enumerate(file.lines, start=1):
        if cells := line.split():
            yield number, cells


def _table_rows(file: TextFile, delimiter: str) -> Iterator[Row]:
    table = split_table(file, delimiter)
    header = list(map(column_name, table.rows[0]))
    places = find_column(header, ID_COLUMNS), find_column(header, SPEAKER_COLUMNS)
    if places[0] is None or places[1] is None:
        found = shorten(", ".join(header))
        raise DataError(f"expected the columns id and speaker, got {found}", file.path, f"Write {EXPECTED}.")
    for number, cells in zip(table.numbers[1:], table.rows[1:], strict=True):
        whole = len(cells) == len(header)
        yield number, [cells[place].strip() for place in places if place is not None] if whole else cells
