"""Common Voice: a table of clips with their speakers, ``validated.tsv`` or another, beside the folder ``clips``."""

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from mrlspk.data.audio.source import FileSource
from mrlspk.data.corpora.facts import CorpusFacts
from mrlspk.data.corpora.first_files import has_file, has_folder
from mrlspk.data.left_out import named
from mrlspk.data.manifest import CorpusListing, Utterance
from mrlspk.data.problems import Problem, error
from mrlspk.data.text_tables import BadLine, BadLinesError
from mrlspk.data.utterance_ids import printable
from mrlspk.data.utterances.table import UtteranceTable
from mrlspk.errors import DataError
from mrlspk.reading import reading

COMMON_VOICE = CorpusFacts(
    name="common-voice",
    title="Common Voice",
    paper="Ardila et al. 2020, arXiv:1912.06670",
    url="https://commonvoice.mozilla.org",
    licence="CC0-1.0",
)
TABLES = "validated.tsv", "train.tsv"  # the first that is there is read of a folder
SPEAKER, CLIP = "client_id", "path"
CLIPS = "clips"
LONGEST_HEADER = 1 << 16  # bytes
_CLIP = re.compile(rf"{CLIPS}/common_voice_[\w-]+_\d+(?:\.\w+)?")
FIX = "Give a table as Common Voice has it, beside the folder clips."


class CommonVoice:
    """The folder of a language, or one of its tables; each speaker is one session, since the tables tell no more."""

    facts = COMMON_VOICE
    name = COMMON_VOICE.name
    layout = f"{TABLES[0]}, or another table with {SPEAKER} and {CLIP}, beside {CLIPS}/"

    def recognises(self, path: Path) -> bool:
        """Return whether a folder or file is or holds such a table, by its first line, beside the clips."""
        table = self._table(path)
        return table is not None and has_folder(table.parent / CLIPS) and _columns(table) is not None

    def fits(self, utterance_id: str) -> bool:
        """Return whether an utterance is named as in this corpus."""
        return _CLIP.fullmatch(utterance_id) is not None

    def list_utterances(self, path: Path) -> CorpusListing:
        """Return the clips of the table; absent clips are an error, clips that the table does not name are not used.

        Raises:
            DataError: If there is no such table, or it cannot be read.
        """
        table = self._table(path)
        if table is None:
            raise DataError(f"expected {self.layout}", path, FIX)
        utterances = UtteranceTable.of(_read(table))
        return CorpusListing(utterances, problems=tuple(_absent_clips(table, utterances.ids)))

    @staticmethod
    def _table(path: Path) -> Path | None:
        if path.suffix == ".tsv" and has_file(path):
            return path
        if not has_folder(path):
            return None
        return next((path / name for name in TABLES if has_file(path / name)), None)


def _columns(table: Path) -> tuple[int, int] | None:
    """Return the places of speaker and clip in the first line; None if it has not both."""
    try:
        with table.open("rb") as file:
            first = file.readline(LONGEST_HEADER)
    except OSError:
        return None
    header = first.decode("utf-8-sig", errors="replace").rstrip("\r\n").split("\t")
    return (header.index(SPEAKER), header.index(CLIP)) if {SPEAKER, CLIP} <= {*header} else None


def _read(table: Path) -> Iterator[Utterance]:
    """Yield a clip for each line; cells are not quoted, and sentences may hold quotes and any break but a line feed.

    Raises:
        BadLinesError: If a line has no speaker or no clip.
        DataError: If the table cannot be read.
    """
    columns = _columns(table)
    if columns is None:
        raise DataError(f"expected a table with the columns {SPEAKER} and {CLIP}", table, FIX)
    prefix, faults, number = str(table.parent / "_")[:-1], list[BadLine](), 1
    try:
        with reading(table, DataError), table.open("rb") as file:
            next(file)
            for number, content in enumerate(file, start=2):
                line = content.decode()
                cells = line.rstrip("\r\n").split("\t")
                speaker, clip = (cells[place] if place < len(cells) else "" for place in columns)
                if speaker and clip:
                    id_ = f"{CLIPS}/{clip}"
                    yield Utterance(id_, speaker, speaker, FileSource(prefix + id_))
                elif line.strip():
                    faults.append(BadLine(f"{table}:{number}", f"expected {SPEAKER} and {CLIP}, got {line[:40]!r}"))
    except UnicodeDecodeError as fault:
        raise DataError("expected UTF-8 text", f"{table}:{number}", FIX) from fault
    if faults:
        raise BadLinesError(faults, str(table), number, "Download the table again.")


def _absent_clips(table: Path, utterance_ids: Iterable[str]) -> Iterator[Problem]:
    folder = table.parent / CLIPS
    with reading(folder, DataError, FIX):
        there = {*os.listdir(folder)}  # noqa: PTH208 - names are all that is needed
    absent = [each for each in utterance_ids if each.removeprefix(f"{CLIPS}/") not in there]
    if absent:
        message = f"{named('clip', absent)}: expected what {table.name} names, got no such file"
        yield error("missing_audio", printable(absent[0]), message)
