"""Collect the embeddings of a run in ``FILE.partial``, so that a run that was killed can be taken up.

The file has one JSON document per line: the settings of the run, then one per embedded file. A last line that a kill or
a full disk cut short is dropped.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple
from typing import Any

import numpy as np

from mrlspk.errors import MrlspkError
from mrlspk.files import Claim
from mrlspk.inference.audio_content import file_state
from mrlspk.inference.recording import EmbeddedRecording, Recording
from mrlspk.partial_files import write_errors

type Settings = Mapping[str, object]
type Row = dict[str, Any]
type State = list[int] | None  # of a file: size and times


class Spool:
    """The rows of one run.

    Args:
        claim: Of the file that the rows are for.
    """

    def __init__(self, claim: Claim) -> None:
        self._claim, self._path = claim, claim.rows

    def begin(self, settings: Settings, recordings: Mapping[str, Recording]) -> dict[str, EmbeddedRecording]:
        """Return the embeddings of an earlier run by id, without files that have changed since.

        Raises:
            MrlspkError: If the earlier run had other settings, the file is not of ours, or it cannot be written.
        """
        with write_errors(self._claim.path):
            lines = list(self._whole_lines())
        if not lines:
            self._append([{"settings": settings}])
            return {}
        self._claim.keep_rows()  # also if they do not fit: another command may take them up
        self._check(lines[0], settings)
        rows = {row["id"]: row for row in lines[1:]}  # a later row of a file replaces an earlier one
        return {
            file_id: _embedded(rows[file_id])
            for file_id, each in recordings.items()
            if file_id in rows and rows[file_id]["state"] == state_of(each)
        }

    def add(self, embedded: Mapping[str, EmbeddedRecording], states: Mapping[str, State]) -> None:
        """Append embeddings with the states of their files before, and keep the rows from now on.

        Raises:
            MrlspkError: If they cannot be written.
        """
        if embedded:
            self._claim.keep_rows()
            self._append(_row(file_id, each, states[file_id]) for file_id, each in embedded.items())

    def _append(self, rows: Iterable[Row]) -> None:
        text = "".join(json.dumps(row) + "\n" for row in rows)
        with write_errors(self._claim.path), self._path.open("a", encoding="ascii") as file:
            file.write(text)

    def _whole_lines(self) -> Iterator[Row]:
        """Yield the documents of the file, and cut off an unfinished last line."""
        with self._path.open("rb+") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    file.truncate(file.seek(-len(line), 1))
                    return
                yield self._parse(line)

    def _parse(self, line: bytes) -> Row:
        try:
            row = json.loads(line)
        except ValueError as error:
            raise self._not_ours() from error
        if not (isinstance(row, dict) and ("settings" in row or row.keys() >= {"id", "state", "embedding"})):
            raise self._not_ours()
        return row

    def _not_ours(self) -> MrlspkError:
        self._claim.keep_rows()
        return MrlspkError("was not left by `mrlspk embed`", self._path, "Remove it, or give another output.")

    def _check(self, header: Row, settings: Settings) -> None:
        earlier = header.get("settings")
        if not isinstance(earlier, dict):
            raise self._not_ours()
        names = [name for name in {**earlier, **settings} if earlier.get(name) != settings.get(name)]
        if names:
            changes = "".join(f"\n  {name}: {earlier.get(name)} then, {settings.get(name)} now" for name in names)
            fix = f"Embed with the earlier settings, or remove {self._path} to begin again."
            raise MrlspkError(f"the run to resume had other settings:{changes}", self._path, fix)


def state_of(recording: Recording) -> State:
    """Return size and times of the file of a recording."""
    state = file_state(recording.source)
    return None if state is None else list(astuple(state))


def _row(file_id: str, item: EmbeddedRecording, state: State) -> Row:
    return {
        "id": file_id,
        "state": state,
        "seconds": item.seconds,
        "speech_seconds": item.speech_seconds,
        "warnings": list(item.warnings),
        "embedding": item.vector.tolist(),
    }


def _embedded(row: Row) -> EmbeddedRecording:
    vector = np.array(row["embedding"], np.float32)
    return EmbeddedRecording(vector, row["seconds"], tuple(row["warnings"]), row["speech_seconds"])
