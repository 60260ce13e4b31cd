"""Collect the embeddings of a run in a file, row by row, so that memory stays flat and a killed run can be taken up.

The file has one JSON document per line: the settings of the run, then one per embedded file. A last line that a kill or
a full disk cut short is dropped.
"""

import base64
import json
import tempfile
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import astuple
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from mrlspk.data.audio.source import AudioSource
from mrlspk.errors import MrlspkError
from mrlspk.files import Claim
from mrlspk.inference.audio_content import file_state
from mrlspk.inference.recording import EmbeddedRecording
from mrlspk.partial_files import write_errors

type Settings = Mapping[str, object]
type Row = dict[str, Any]
type State = list[int] | None  # of a file: size and times

FLOATS = "<f4"
HEADER_START = b'{"settings": '
ROW_KEYS = {"id", "state", "seconds", "speech_seconds", "warnings", "embedding"}


class Spool:
    """The rows of one run; see `open_spool`.

    Args:
        file: To append to.
        path: Of the file.
        claim: Of the file that the rows are for; None if they are not kept.
    """

    def __init__(self, file: FileIO, path: Path, claim: Claim | None) -> None:
        self._file, self._path, self._claim = file, path, claim

    @property
    def kept_file(self) -> Path | None:
        """The file in which rows outlive the run; None without any."""
        return self._path if self._claim and self._claim.keeps_rows else None

    def begin(self, settings: Settings, sources: Mapping[str, AudioSource]) -> dict[str, int]:
        """Return the offsets of the rows of an earlier run by id, without files that have changed since.

        Raises:
            MrlspkError: If the earlier run had other settings, the file is not of ours, or it cannot be written.
        """
        with self._write_errors():
            lines = self._whole_lines()
            _, header = next(lines, (0, None))
            if header is None:
                self._append({"settings": settings})
                return {}
            self._keep()  # also if they do not fit: another command may take them up
            self._check(header, settings)
            offsets: dict[str, int] = {}
            for offset, row in lines:  # a later row of a file replaces an earlier one
                self._check_row(row)
                offsets.pop(row["id"], None)
                if (source := sources.get(row["id"])) and row["state"] == state_of(source):
                    offsets[row["id"]] = offset
            return offsets

    def add(self, file_id: str, item: EmbeddedRecording, state: State) -> int:
        """Append an embedding with the state of its file before it was read; return its offset.

        Raises:
            MrlspkError: If it cannot be written.
        """
        self._keep()
        with self._write_errors():
            return self._append(_row(file_id, item, state))

    def read(self, offsets: Iterable[int]) -> Iterator[tuple[str, EmbeddedRecording]]:
        """Yield the id and the embedding of each row."""
        with self._path.open("rb") as file:
            for offset in offsets:
                file.seek(offset)
                row = json.loads(file.readline())
                yield row["id"], _embedded(row)

    def _keep(self) -> None:
        if self._claim:
            self._claim.keep_rows()

    @contextmanager
    def _write_errors(self) -> Iterator[None]:
        if self._claim is None:
            with write_errors(self._path):
                yield
        else:
            with write_errors(
                self._claim.path, fix=f"Make room, then give `resume`: {self._path} keeps what was done."
            ):
                yield

    def _append(self, row: Row) -> int:
        offset, rest = self._file.seek(0, 2), memoryview(json.dumps(row).encode() + b"\n")
        while rest:
            rest = rest[self._file.write(rest) :]
        return offset

    def _whole_lines(self) -> Generator[tuple[int, Row]]:
        """Yield the documents of the file with their offsets, and cut off an unfinished last line."""
        offset = 0
        with self._path.open("rb+") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    if not (offset or HEADER_START.startswith(line[: len(HEADER_START)])):
                        raise self._not_ours()
                    file.truncate(offset)
                    return
                yield offset, self._parse(line)
                offset += len(line)

    def _parse(self, line: bytes) -> Row:
        try:
            row = json.loads(line)
        except ValueError as error:
            raise self._not_ours() from error
        if not isinstance(row, dict):
            raise self._not_ours()
        return row

    def _check_row(self, row: Row) -> None:
        if not (row.keys() >= ROW_KEYS and isinstance(row["embedding"], str)):
            raise self._not_ours()

    def _not_ours(self) -> MrlspkError:
        self._keep()
        return MrlspkError(
            "was not left by this version of `mrlspk embed`", self._path, "Remove it, or give another output."
        )

    def _check(self, header: Row, settings: Settings) -> None:
        earlier = header.get("settings")
        if not isinstance(earlier, dict):
            raise self._not_ours()
        names = [name for name in {**earlier, **settings} if earlier.get(name) != settings.get(name)]
        if names:
            changes = "".join(f"\n  {name}: {earlier.get(name)} then, {settings.get(name)} now" for name in names)
            fix = f"Embed with the earlier settings, or remove {self._path} to begin again."
            raise MrlspkError(f"the run to resume had other settings:{changes}", self._path, fix)


@contextmanager
def open_spool(claim: Claim | None) -> Iterator[Spool]:
    """Yield the spool of a claimed file, its ``F.partial``; without a claim, a temporary one.

    Raises:
        MrlspkError: If it cannot be made.
    """
    if claim:
        with write_errors(claim.path):
            file = claim.rows.open("r+b", buffering=0)
        with file:
            yield Spool(file, claim.rows, claim)
    else:
        with write_errors(Path(tempfile.gettempdir())):
            folder = tempfile.TemporaryDirectory(prefix="mrlspk-")
        with folder, (Path(folder.name) / "embeddings").open("x+b", buffering=0) as file:
            yield Spool(file, Path(file.name), None)


def state_of(source: AudioSource) -> State:
    """Return size and times of the file of a source."""
    state = file_state(source)
    return None if state is None else list(astuple(state))


def _row(file_id: str, item: EmbeddedRecording, state: State) -> Row:
    return {
        "id": file_id,
        "state": state,
        "seconds": item.seconds,
        "speech_seconds": item.speech_seconds,
        "warnings": list(item.warnings),
        "embedding": base64.b64encode(item.vector.astype(FLOATS).tobytes()).decode(),
    }


def _embedded(row: Row) -> EmbeddedRecording:
    vector = np.frombuffer(base64.b64decode(row["embedding"]), FLOATS).astype(np.float32)
    return EmbeddedRecording(vector, row["seconds"], tuple(row["warnings"]), row["speech_seconds"])
