"""Write one shard: a tar, and beside it the rows of the index that describe its utterances."""

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mrlspk.data.audio.headers import read_header
from mrlspk.data.manifest import Utterance
from mrlspk.data.manifest_files.json_rows import record_of
from mrlspk.data.manifest_files.rows import ManifestRow
from mrlspk.data.shards.cutting import read_encoded
from mrlspk.data.shards.sample_keys import audio_suffix
from mrlspk.data.shards.tar_writing import TarWriter
from mrlspk.errors import DataError
from mrlspk.files import whole_file

CHUNK_BYTES = 1 << 16

type Record = dict[str, Any]


@dataclass(frozen=True)
class ShardFiles:
    """The files of a shard.

    Attributes:
        tar: The shard.
        rows: One line of JSON for each of its utterances, in the order of their ids; then one for each left out.
    """

    tar: Path
    rows: Path

    @property
    def are_complete(self) -> bool:
        """Whether the shard is written: its rows are before its tar."""
        return self.tar.is_file() and self.rows.is_file()


def write_shard(
    files: ShardFiles, samples: Iterable[tuple[str, Utterance]], *, on_sample: Callable[[], None] | None = None
) -> None:
    """Write a shard, whole or not at all; an utterance that cannot be read is left out, and its row says why.

    Args:
        files: To write; those that are there are replaced.
        samples: Key and utterance of each sample, in the order of the tar.
        on_sample: Called after each sample.

    Raises:
        MrlspkError: If they cannot be written.
    """
    rows, errors = list[Record](), list[Record]()
    with whole_file(files.tar, force=True) as partial:
        with TarWriter(partial) as tar:
            for key, utterance in samples:
                try:
                    rows.append(_add(tar, key, utterance, files.tar.name))
                except DataError as error:
                    errors.append({"id": utterance.utterance_id, "error": str(error)})
                if on_sample:
                    on_sample()
        with whole_file(files.rows, force=True) as lines:
            lines.write_text("".join(map(_line, (*sorted(rows, key=lambda row: row["id"]), *errors))), encoding="utf-8")


def read_rows(files: ShardFiles) -> Iterator[ManifestRow]:
    """Yield the rows of the utterances in a shard, in the order of their ids."""
    return (ManifestRow(**record) for record in _read(files.rows) if "error" not in record)


def read_errors(files: ShardFiles) -> dict[str, str]:
    """Return why utterances are left out of a shard, by id."""
    return {row["id"]: row["error"] for row in _read(files.rows) if "error" in row}


def _add(tar: TarWriter, key: str, utterance: Utterance, shard: str) -> Record:
    """Add an utterance to a shard and return its row in the index.

    Raises:
        DataError: If its audio cannot be read.
    """
    audio = read_encoded(utterance.source)
    header = read_header(audio, counts=True)
    facts = {"id": utterance.utterance_id, "speaker": utterance.speaker_id, "session": utterance.session_id}
    member = tar.add_sample(key, audio_suffix(audio.suffix), audio.content, facts)
    row = ManifestRow(
        id=utterance.utterance_id,
        speaker=utterance.speaker_id,
        session=utterance.session_id,
        path=shard,
        seconds=header.seconds,
        exact=header.is_exact,
        sample_rate=header.sample_rate,
        channels=header.channels,
        codec=header.codec,
        bytes=member.length,
        member=member.name,
        offset=member.offset,
        length=member.length,
    )
    return record_of(row)


def _line(row: Record) -> str:
    return json.dumps(row, ensure_ascii=False) + "\n"


def _read(path: Path) -> Iterator[Record]:
    """Yield the rows in a file, which is closed between them: there may be thousands of shards."""
    position = 0
    while True:
        with path.open("rb") as file:
            file.seek(position)
            lines = file.readlines(CHUNK_BYTES)
            position = file.tell()
        if not lines:
            return
        yield from map(json.loads, lines)
