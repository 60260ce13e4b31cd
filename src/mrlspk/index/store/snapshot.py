"""Show one consistent state of an index to a reader."""

import json
import sqlite3
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mrlspk.index.store.mapped_arrays import MappedArrays
from mrlspk.index.store.settings import IndexSettings
from mrlspk.index.store.state import read_setting
from mrlspk.index.store.voices import ALL_VOICES, Vectors, Voice, find_voice, read_voices, warn_of_unknown_keys
from mrlspk.index.where import Condition

type Slots = NDArray[np.int64]

NO_VOICE = -1


class VoiceKey(NamedTuple):
    """The id and the name of a voice."""

    id: int
    name: str


class Snapshot:
    """An index as it was when a reading began; changes made meanwhile do not show.

    The arrays stay valid after the reading. Everything else may be asked only within it.

    Attributes:
        settings: Of the index.
        rotation: Of the shortlist's codes, if they have one.
        profiles: (slots, embed_dim) unit vectors, mapped from the file; a voice has a slot for each of its profiles.
        shortlist: (slots, columns) codes of the slots, mapped from the file.
        removed: (slots,) True where the slot's voice is removed; None if none is.
    """

    def __init__(self, connection: sqlite3.Connection, arrays: MappedArrays) -> None:
        self._connection, self._counts, self._recordings = connection, arrays.state.counts, arrays.recordings
        self.settings: IndexSettings = arrays.state.settings
        self.rotation = arrays.state.rotation
        self.profiles, self.shortlist, self.removed = arrays.profiles, arrays.shortlist, arrays.removed

    @property
    def n_voices(self) -> int:
        """Voices enrolled."""
        return self._counts.voices

    @property
    def n_recordings(self) -> int:
        """Recordings of all voices."""
        return self._counts.recordings

    @property
    def slots(self) -> int:
        """Rows of ``profiles`` and ``shortlist``, those of removed voices included."""
        return self._counts.slots

    @property
    def changes(self) -> int:
        """Changes made so far: equal numbers mean an equal index."""
        return self._counts.changes

    def setting(self, key: str) -> str | None:
        """Return what `Writer.put_setting` put, None if it has not."""
        value = read_setting(self._connection, key)
        return None if value is None else value.decode()

    def voice(self, name: str) -> Voice:
        """Return the voice of a name.

        Raises:
            UsageError: If there is none; it suggests similar names.
        """
        return find_voice(self._connection, name)

    def voices(self, where: Condition = ALL_VOICES) -> Iterator[Voice]:
        """Yield the voices that a condition holds for by rising id; if it holds for none, warn of unknown keys."""
        is_none = True
        for voice in read_voices(self._connection, where):
            is_none = False
            yield voice
        if is_none and self.n_voices:
            warn_of_unknown_keys(self._connection, where)

    def has_voice(self, name: str) -> bool:
        """Whether a voice has this name."""
        return self._connection.execute("SELECT 1 FROM voices WHERE name = ?", (name,)).fetchone() is not None

    def voices_of(self, slots: Slots) -> list[VoiceKey]:
        """Return the voice of each of some slots, none of them removed."""
        rows = self._connection.execute(
            "SELECT slot, voices.id, name FROM json_each(?) JOIN profiles ON slot = value"
            " JOIN voices ON voices.id = voice_id",
            (json.dumps(np.unique(slots).tolist()),),
        )
        keys = {slot: VoiceKey(id_, name) for slot, id_, name in rows}
        return [keys[slot] for slot in slots.tolist()]

    def voice_ids(self) -> NDArray[np.int64]:
        """Return the id of the voice (slots,) of every slot, -1 where it is removed."""
        ids = np.full(self.slots, NO_VOICE, np.int64)
        pairs = self._connection.execute("SELECT slot, voice_id FROM profiles ORDER BY slot")
        while rows := pairs.fetchmany(100_000):
            slots, of_voices = np.array(rows, np.int64).T
            ids[slots] = of_voices
        return ids

    def slots_of(self, voice_ids: Sequence[int]) -> Slots:
        """Return the slots of some voices, rising."""
        query = "SELECT slot FROM json_each(?) JOIN profiles ON voice_id = value"
        return _sorted_slots(self._connection.execute(query, (json.dumps([int(id_) for id_ in voice_ids]),)))

    def slots_where(self, where: Condition) -> Slots:
        """Return the slots of the voices that a condition holds for, rising; if none, warn of unknown keys."""
        query = f"SELECT slot FROM profiles WHERE voice_id IN (SELECT id FROM voices WHERE {where.sql})"
        slots = _sorted_slots(self._connection.execute(query, where.values))
        if not len(slots) and self.n_voices:
            warn_of_unknown_keys(self._connection, where)
        return slots

    def recording_vectors(self, voice: Voice) -> Vectors:
        """Return the unit vectors (recordings, embed_dim) of a voice's recordings."""
        rows = [recording.vector_row for recording in voice.recordings if recording.vector_row is not None]
        return self._recordings[rows] if rows else self.profiles[self.slots_of([voice.id])]


def _sorted_slots(rows: sqlite3.Cursor) -> Slots:
    return np.sort(np.fromiter((slot for (slot,) in rows), np.int64))
