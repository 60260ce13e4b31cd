"""Describe voices and their recordings, and read them from the database."""

import json
import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import JsonValue

from mrlspk.errors import DataError, UsageError, shorten
from mrlspk.index.where import Condition
from mrlspk.pretrained.similar_names import did_you_mean, similar_names

log = logging.getLogger("mrlspk.index")

type Metadata = Mapping[str, JsonValue]
type Vectors = NDArray[np.float32]

MOST_COMPARED = 1000  # names that a mistyped one is compared with


@dataclass(frozen=True)
class NewRecording:
    """A recording to add.

    Attributes:
        source: Where it came from: an absolute path, or an id in a vector file.
        seconds: Its length, if known.
        speech_seconds: Seconds of speech in it, if known.
        warnings: Told of it when it was embedded.
    """

    source: str
    seconds: float | None = None
    speech_seconds: float | None = None
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class NewVoice:
    """A voice to add.

    Attributes:
        name: No other voice may have it.
        recordings: One at least.
        vectors: Unit vectors (recordings, embed_dim) of the recordings.
        profiles: Unit vectors (profiles, embed_dim) that searches compare; of a single recording its vector.
        metadata: Free values by key.

    Raises:
        DataError: If a recording has no vector or a vector no recording, or the profiles are too few or too many.
    """

    name: str
    recordings: Sequence[NewRecording]
    vectors: Vectors
    profiles: Vectors
    metadata: Metadata = field(default_factory=dict)

    def __post_init__(self) -> None:
        check_vector_count(self.name, self.recordings, self.vectors)
        if not len(self.profiles) or len(self.profiles) > 1 == len(self.recordings):
            what = f"expected profiles, one if there is one recording, got {len(self.profiles)}"
            raise DataError(what, f"voice {self.name!r}")


@dataclass(frozen=True)
class Recording:
    """A recording of a voice; ``vector_row`` is None if it is the only one: its vector is the profile."""

    source: str
    seconds: float | None
    speech_seconds: float | None
    warnings: tuple[str, ...]
    added: str
    vector_row: int | None


@dataclass(frozen=True)
class Voice:
    """An enrolled voice; ``id`` is never given to another one."""

    id: int
    name: str
    metadata: Metadata
    created: str
    recordings: tuple[Recording, ...]

    @property
    def speech_seconds(self) -> float | None:
        """Seconds of speech of all recordings, None if one is unknown."""
        seconds = [recording.speech_seconds for recording in self.recordings]
        return None if None in seconds else sum(each for each in seconds if each is not None)


ALL_VOICES = Condition("1", ())
SEVERAL_RECORDINGS = Condition("(SELECT COUNT(*) FROM recordings WHERE voice_id = voices.id) > 1")

QUERY = """
SELECT voices.id, name, metadata, created, source, seconds, speech_seconds, warnings, added, vector_row
FROM (SELECT * FROM voices WHERE {condition}) AS voices JOIN recordings ON voice_id = voices.id
ORDER BY {order}, recordings.id
"""


def check_vector_count(name: str, recordings: Sequence[NewRecording], vectors: Vectors) -> None:
    """Check that recordings to add have one vector each.

    Raises:
        DataError: If they have more or fewer, or there is none.
    """
    if not len(recordings) == len(vectors) > 0:
        what = f"expected a vector for each of the recordings to add, got {len(vectors)} for {len(recordings)}"
        raise DataError(what, f"voice {name!r}")


def read_voices(connection: sqlite3.Connection, condition: Condition = ALL_VOICES) -> Iterator[Voice]:
    """Yield the voices that a condition holds for, in the order of their ids."""
    rows = connection.execute(QUERY.format(condition=condition.sql, order="voices.id"), condition.values)
    for _, of_voice in groupby(rows, key=lambda row: row[0]):
        yield _voice(list(of_voice))


def warn_of_unknown_keys(connection: sqlite3.Connection, condition: Condition) -> None:
    """Warn of keys of a filter that no voice has; for a filter that fits none."""
    if not condition.keys:
        return
    rows = connection.execute("SELECT DISTINCT key FROM voices, json_each(metadata)")
    known = sorted(key for (key,) in rows)
    if unknown := [each for each in condition.keys if each not in known]:
        named = "key" if len(unknown) == 1 else "keys"
        those = f"those of voices: {shorten(', '.join(known))}" if known else "no voice has metadata"
        log.warning("no voice has the %s %s; %s", named, ", ".join(unknown), those)


def find_voice(connection: sqlite3.Connection, name: str) -> Voice:
    """Return the voice of a name.

    Raises:
        UsageError: If there is none.
    """
    for voice in read_voices(connection, Condition("name = ?", (name,))):
        return voice
    raise unknown_voice(connection, name)


def unknown_voice(connection: sqlite3.Connection, name: str) -> UsageError:
    """Return the error that there is no voice of a name; it suggests similar ones."""
    start, end = (part.replace("%", "").replace("_", "") for part in (name[:2], name[-2:]))
    near = connection.execute(
        "SELECT name FROM voices WHERE name LIKE :start || '%' OR name LIKE '%' || :end OR "
        "instr(lower(name), lower(:name)) ORDER BY name LIKE :start || '%' DESC LIMIT :most",
        {"start": start, "end": end, "name": name, "most": MOST_COMPARED},
    )
    question = did_you_mean(similar_names(name, (each for (each,) in near)))
    return UsageError(f"there is no voice {name!r}", fix=f"{question}`mrlspk index list` shows the names.")


def _voice(rows: list[tuple[Any, ...]]) -> Voice:
    id_, name, metadata, created = rows[0][:4]
    recordings = tuple(
        Recording(source, seconds, speech_seconds, tuple(json.loads(warnings)), added, vector_row)
        for *_, source, seconds, speech_seconds, warnings, added, vector_row in rows
    )
    return Voice(id_, name, json.loads(metadata), created, recordings)
