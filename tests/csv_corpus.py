"""A plug-in: corpora that are a CSV file with the columns path, speaker and session."""

import csv
from pathlib import Path

from mrlspk.data.audio.source import FileSource
from mrlspk.data.manifest import CorpusListing, Utterance
from mrlspk.errors import DataError

COLUMNS = ("path", "speaker", "session")


class CsvCorpus:
    """Paths are relative to the CSV file; each is the id of its utterance."""

    name = "csv"
    layout = "a CSV file with the columns path, speaker and session"

    def recognises(self, path: Path) -> bool:
        return path.suffix == ".csv" and path.is_file()

    def list_utterances(self, path: Path) -> CorpusListing:
        with path.open(newline="", encoding="utf-8") as file:
            rows = csv.DictReader(file)
            if not {*COLUMNS} <= {*(rows.fieldnames or ())}:
                raise DataError(f"expected the columns {', '.join(COLUMNS)}, got {rows.fieldnames}", path)
            return CorpusListing(
                tuple(
                    Utterance(row["path"], row["speaker"], row["session"], FileSource(str(path.parent / row["path"])))
                    for row in rows
                )
            )
