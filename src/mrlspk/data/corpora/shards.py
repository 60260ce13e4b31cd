"""Read shards that `mrlspk data pack` wrote, from a folder or a URL."""

import json
from collections.abc import Iterator
from pathlib import Path
from sys import intern
from typing import Any

from mrlspk.data.audio.source import TarMember
from mrlspk.data.manifest import CorpusListing, Utterance
from mrlspk.data.remote import as_url, beside, read_whole
from mrlspk.data.shards.packing import STATE
from mrlspk.errors import DataError
from mrlspk.reading import LARGEST_LIST, is_file, is_folder, read_bytes

INDEX = "index.jsonl"


class Shards:
    """The recipe of a folder of shards with an index, or of the URL of either."""

    name = "shards"
    layout = "shards with an index"

    def recognises(self, path: Path) -> bool:
        """Return whether there is an index."""
        url = as_url(path)
        return url is not None or is_file(path / INDEX, DataError) or is_folder(path / STATE, DataError)

    def list_utterances(self, path: Path) -> CorpusListing:
        """Return the utterances of the index.

        Raises:
            DataError: If the index cannot be read.
        """
        url = as_url(path)
        if url is None and is_folder(path / STATE, DataError):
            fix = "Start the same `mrlspk data pack` again: it goes on where it stopped."
            raise DataError("the shards are not complete: packing was stopped", path, fix)
        index = str(path / INDEX) if url is None else url if url.endswith(INDEX) else f"{url.rstrip('/')}/{INDEX}"
        content = read_bytes(Path(index), DataError, most_bytes=LARGEST_LIST) if url is None else read_whole(index)
        return CorpusListing(tuple(_utterances(map(json.loads, content.splitlines()), index)))


def _utterances(rows: Iterator[dict[str, Any]], index: str) -> Iterator[Utterance]:
    for row in rows:
        source = TarMember(beside(index, row["path"]), row["member"], row["offset"], row["length"])
        yield Utterance(row["id"], intern(row["speaker"]), intern(row["session"]), source)
