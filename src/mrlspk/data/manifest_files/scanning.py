"""Read the facts of many utterances in processes; those whose file has not changed keep what is known."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import batched
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.audio.source import AudioSource
from mrlspk.data.manifest import Utterance
from mrlspk.data.manifest_files.facts import (
    ABSENT,
    DTYPE,
    READ,
    RESUMED,
    UNCHANGED,
    Facts,
    State,
    read_facts,
    state_of,
)
from mrlspk.data.manifest_files.journal_lines import Entry, line_of
from mrlspk.data.manifest_files.rows import ManifestRow, place_of, relative_to
from mrlspk.data.processes import in_processes
from mrlspk.data.utterances.table import UtteranceTable
from mrlspk.errors import DataError
from mrlspk.files import OnProgress

MOST_PER_TASK = 256
TASKS_PER_JOB = 8  # so that progress is shown of few files too
FEWEST_IN_PROCESSES = 4096  # files; to start processes takes a second

type Task = list[tuple[int, str, AudioSource]]  # place, id and source of some utterances


@dataclass(frozen=True, slots=True)
class Found:
    """What a process has found: facts by place as a part of the table, and a line of the journal."""

    places: list[int]
    facts: NDArray[np.void]
    codecs: list[str]
    line: bytes
    errors: dict[str, str]


class Scan:
    """What a scan finds, in columns: a row takes some forty bytes beside its utterance.

    Args:
        utterances: The corpus.
        prefix: Folder of the manifest file, as `folder_prefix` returns it.
        known: Rows of an earlier scan, by id.
        left: What a killed scan has left, by id.

    Attributes:
        errors: Why an utterance cannot be read, by id.
    """

    def __init__(
        self,
        utterances: UtteranceTable,
        prefix: str,
        known: Mapping[str, ManifestRow],
        left: Mapping[str, Entry],
    ) -> None:
        self._utterances, self._prefix = utterances, prefix
        self._facts = np.zeros(len(utterances), DTYPE)
        self._codecs: dict[str, int] = {}
        self.errors: dict[str, str] = {}
        self._corpora: dict[str, str] = {id_: row.corpus for id_, row in known.items() if row.corpus}
        if known or left:
            for place, utterance in enumerate(utterances):
                self._take_known(place, utterance, known.get(utterance.utterance_id), left.get(utterance.utterance_id))

    def read(self, *, jobs: int, on_line: Callable[[bytes], None], on_progress: OnProgress | None = None) -> None:
        """Read what is not known.

        Args:
            jobs: Processes.
            on_line: Called with lines for the journal as files are read.
            on_progress: Called with (files done, files).

        Raises:
            MrlspkError: If a process is killed.
        """
        places = np.flatnonzero(self._facts["state"] == ABSENT)
        total, done = len(self._utterances), len(self._utterances) - len(places)
        jobs = 1 if len(places) < FEWEST_IN_PROCESSES else jobs
        per_task = max(min(MOST_PER_TASK, len(places) // (jobs * TASKS_PER_JOB)), 1)
        for found in in_processes(read_some, self._tasks(places.tolist(), per_task), jobs=jobs):
            on_line(found.line)
            numbers = [self._codecs.setdefault(codec, len(self._codecs)) for codec in found.codecs]
            if numbers:
                found.facts["codec"] = np.array(numbers, np.int16)[found.facts["codec"]]
            self._facts[found.places] = found.facts
            self.errors |= found.errors
            done += len(found.places) + len(found.errors)
            if on_progress:
                on_progress(done, total)

    def count(self, state: int) -> int:
        """Return the number of utterances with a state."""
        return int((self._facts["state"] == state).sum())

    @property
    def seconds(self) -> float:
        """Length of all."""
        return float(self._facts["seconds"].sum())

    @property
    def n_speakers(self) -> int:
        """Speakers of the readable utterances."""
        return len(np.unique(self._utterances.speaker_index[self._facts["state"] != ABSENT]))

    def rows(self) -> Iterator[ManifestRow]:
        """Yield the readable utterances in their order."""
        codecs = list(self._codecs)
        for some in batched(zip(self._utterances, self._facts, strict=True), MOST_PER_TASK):
            for utterance, values in some:
                *stated, codec, state = values.tolist()
                if state != ABSENT:
                    yield self._row(utterance, Facts(*(*stated, codecs[codec])))

    def _tasks(self, places: list[int], per_task: int) -> Iterator[Task]:
        ids, source = self._utterances.ids, self._utterances.source
        for some in batched(places, per_task):
            yield [(place, ids[place], source(place)) for place in some]

    def _take_known(self, place: int, utterance: Utterance, row: ManifestRow | None, entry: Entry | None) -> None:
        """Keep what is known of an utterance if it is of the same audio, which has not changed."""
        row_facts = None if row is None else facts_of(row)
        if row is None or row_facts is None or not self._is_of(row, row_facts, utterance):
            row_facts = None
        facts = entry.facts if entry is not None and entry.place == repr(utterance.source) else row_facts
        if facts is not None and facts.state == _state_or_none(utterance.source):
            codec = self._codecs.setdefault(facts.codec, len(self._codecs))
            state = UNCHANGED if facts is row_facts else RESUMED
            self._facts[place] = (*facts.values[:-1], codec, state)

    def _is_of(self, row: ManifestRow, facts: Facts, utterance: Utterance) -> bool:
        """Return whether a row describes the audio of an utterance, whoever speaks."""
        return replace(self._row(utterance, facts), speaker=row.speaker, session=row.session) == row

    def _row(self, utterance: Utterance, facts: Facts) -> ManifestRow:
        place = place_of(utterance.source)
        return ManifestRow(
            utterance.utterance_id,
            utterance.speaker_id,
            utterance.session_id,
            relative_to(place.path, self._prefix),
            facts.seconds,
            facts.exact,
            facts.sample_rate,
            facts.channels,
            facts.codec,
            facts.bytes,
            facts.mtime_ns,
            place.start,
            place.duration,
            place.channel,
            place.member,
            place.offset,
            place.length,
            self._corpora.get(utterance.utterance_id),
        )


def facts_of(row: ManifestRow) -> Facts | None:
    """Return the facts of a row; None if some are absent."""
    values: list[Any] = [row.bytes, row.mtime_ns, row.seconds, row.exact, row.sample_rate, row.channels, row.codec]
    return None if None in values else Facts(*values)


def _state_or_none(source: AudioSource) -> State | None:
    try:
        return state_of(source)
    except (OSError, ValueError):
        return None


def read_some(task: Task) -> Found:
    """Return what is known of some sources."""
    places: list[int] = []
    rows: list[tuple[Any, ...]] = []
    entries: list[Any] = []
    codecs: dict[str, int] = {}
    errors: dict[str, str] = {}
    for place, id_, source in task:
        try:
            facts = read_facts(source)
        except DataError as error:
            errors[id_] = str(error)
            continue
        values = facts.values
        places.append(place)
        rows.append((*values[:-1], codecs.setdefault(facts.codec, len(codecs)), READ))
        entries.append((id_, repr(source), values))
    return Found(places, np.array(rows, DTYPE), list(codecs), line_of(entries), errors)


def known_by_id[Row: (ManifestRow, Entry)](rows: Iterable[Row]) -> dict[str, Row]:
    """Return rows by id; of two with one id the later."""
    return {row.id: row for row in rows}
