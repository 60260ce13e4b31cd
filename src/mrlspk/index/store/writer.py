"""Change an index within one transaction: add, extend, rename and remove voices."""

import json
import sqlite3
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from itertools import batched

import numpy as np

from mrlspk.errors import UsageError
from mrlspk.index.store.row_writer import RowWriter
from mrlspk.index.store.settings import IndexSettings
from mrlspk.index.store.state import State, write_setting
from mrlspk.index.store.voices import (
    Metadata,
    NewRecording,
    NewVoice,
    Vectors,
    Voice,
    check_vector_count,
    find_voice,
    unknown_voice,
)

VOICES_PER_CHUNK = 20_000  # bounds the memory of an addition


class Writer:
    """The changes of one transaction: after the block of `VoiceStore.writing` all are there, after an error none.

    Args:
        connection: In a transaction that holds the right to write.
        state: Its counts are raised; the transaction writes them at its end.
        rows: The open array files.
    """

    def __init__(self, connection: sqlite3.Connection, state: State, rows: RowWriter) -> None:
        self._connection, self._counts, self._rows = connection, state.counts, rows
        self.settings: IndexSettings = state.settings
        self._removed: list[int] = []
        self._time = datetime.now(UTC).isoformat(timespec="seconds")

    def add_voices(self, voices: Iterable[NewVoice]) -> range:
        """Add voices; return their ids.

        Raises:
            UsageError: If a name is taken.
            DataError: If a vector is not of unit length, or has another width.
        """
        row = self._connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'voices'").fetchone()
        first = next_id = row[0] + 1 if row else 1
        for chunk in batched(voices, VOICES_PER_CHUNK):
            self._add_chunk(next_id, chunk)
            next_id += len(chunk)
        return range(first, next_id)

    def add_recordings(
        self, name: str, recordings: Sequence[NewRecording], vectors: Vectors, *, profiles: Vectors
    ) -> None:
        """Add recordings to a voice; its profiles are replaced by those of all its recordings.

        Args:
            name: Of the voice.
            recordings: One at least.
            vectors: Unit vectors (recordings, embed_dim).
            profiles: Unit vectors (profiles, embed_dim).

        Raises:
            UsageError: If there is no such voice.
            DataError: If a recording has no vector, or a vector is not of unit length.
        """
        check_vector_count(name, recordings, vectors)
        voice = find_voice(self._connection, name)
        if len(voice.recordings) == 1 and voice.recordings[0].vector_row is None:
            (slot,) = self._slots([voice.id])
            row = self._rows.append_recordings(self._rows.read_profiles(np.array([slot])))
            self._connection.execute("UPDATE recordings SET vector_row = ? WHERE voice_id = ?", (row, voice.id))
        first = self._rows.append_recordings(vectors)
        self._insert_recordings(
            self._recording_row(voice.id, recording, first + number) for number, recording in enumerate(recordings)
        )
        self._counts.recordings += len(recordings)
        self._replace_profiles(voice, profiles)

    def remove(self, names: Sequence[str]) -> None:
        """Remove voices with their recordings; `VoiceStore.compact` then deletes the bytes of their vectors.

        Raises:
            UsageError: If there is no such voice.
        """
        ids = [self._id(name) for name in dict.fromkeys(names)]
        given = json.dumps(ids)
        (recordings,) = self._connection.execute(
            "SELECT COUNT(*) FROM json_each(?) JOIN recordings ON voice_id = value", (given,)
        ).fetchone()
        self._removed += self._slots(ids)
        self._connection.execute("DELETE FROM voices WHERE id IN (SELECT value FROM json_each(?))", (given,))
        self._counts.voices -= len(ids)
        self._counts.recordings -= recordings

    def rename(self, name: str, new: str) -> None:
        """Give a voice another name.

        Raises:
            UsageError: If there is no such voice, or the new name is taken.
        """
        id_ = self._id(name)
        try:
            self._connection.execute("UPDATE voices SET name = ? WHERE id = ?", (new, id_))
        except sqlite3.IntegrityError as error:
            raise _taken(new) from error

    def set_metadata(self, name: str, metadata: Metadata) -> None:
        """Replace the metadata of a voice.

        Raises:
            UsageError: If there is no such voice.
        """
        self._connection.execute("UPDATE voices SET metadata = ? WHERE id = ?", (_json(metadata), self._id(name)))

    def put_setting(self, key: str, value: str | None) -> None:
        """Set a value that `Snapshot.setting` returns, such as a calibration; None removes it."""
        write_setting(self._connection, key, value)

    def finish(self) -> None:
        """Tell readers which slots are removed, and write everything appended to the disk."""
        if self._removed:
            packed = np.array(self._removed, "<i8").tobytes()
            self._connection.execute("INSERT INTO removed VALUES (?, ?)", (self._counts.changes + 1, packed))
        self._rows.sync()

    def _add_chunk(self, first_id: int, voices: Sequence[NewVoice]) -> None:
        ids = range(first_id, first_id + len(voices))
        slot = self._rows.append_profiles(np.concatenate([voice.profiles for voice in voices]))
        owners = np.repeat(np.array(ids), [len(voice.profiles) for voice in voices]).tolist()
        several = [voice.vectors for voice in voices if len(voice.recordings) > 1]
        row = self._rows.append_recordings(np.concatenate(several)) if several else 0
        try:
            self._connection.executemany(
                "INSERT INTO voices VALUES (?, ?, ?, ?)",
                ((id_, each.name, _json(each.metadata), self._time) for id_, each in zip(ids, voices, strict=True)),
            )
        except sqlite3.IntegrityError as error:
            (last_id,) = self._connection.execute("SELECT COALESCE(MAX(id), 0) FROM voices").fetchone()
            raise _taken(voices[max(0, last_id - first_id + 1)].name) from error
        self._insert_profiles(slot, owners)
        recordings = []
        for id_, voice in zip(ids, voices, strict=True):
            is_only = len(voice.recordings) == 1
            for recording in voice.recordings:
                recordings.append(self._recording_row(id_, recording, None if is_only else row))
                row += not is_only
        self._insert_recordings(recordings)
        self._counts.voices += len(voices)
        self._counts.recordings += len(recordings)

    def _recording_row(self, voice_id: int, recording: NewRecording, vector_row: int | None) -> tuple[object, ...]:
        return (
            voice_id,
            recording.source.encode(errors="backslashreplace").decode(),  # a path need not be Unicode text
            recording.seconds,
            recording.speech_seconds,
            _json(recording.warnings),
            vector_row,
            self._time,
        )

    def _insert_recordings(self, rows: Iterable[tuple[object, ...]]) -> None:
        self._connection.executemany("INSERT INTO recordings VALUES (NULL, ?, ?, ?, ?, ?, ?, ?)", rows)

    def _insert_profiles(self, first_slot: int, owners: Sequence[int]) -> None:
        self._connection.executemany("INSERT INTO profiles VALUES (?, ?)", enumerate(owners, first_slot))

    def _replace_profiles(self, voice: Voice, profiles: Vectors) -> None:
        self._removed += self._slots([voice.id])
        self._connection.execute("DELETE FROM profiles WHERE voice_id = ?", (voice.id,))
        self._insert_profiles(self._rows.append_profiles(profiles), [voice.id] * len(profiles))

    def _slots(self, ids: Sequence[int]) -> list[int]:
        query = "SELECT slot FROM json_each(?) JOIN profiles ON voice_id = value ORDER BY slot"
        return [slot for (slot,) in self._connection.execute(query, (json.dumps(ids),))]

    def _id(self, name: str) -> int:
        row = self._connection.execute("SELECT id FROM voices WHERE name = ?", (name,)).fetchone()
        if row is None:
            raise unknown_voice(self._connection, name)
        return int(row[0])


def _taken(name: str) -> UsageError:
    return UsageError(f"a voice {name!r} exists", fix="Give another name, or remove that voice first.")


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
