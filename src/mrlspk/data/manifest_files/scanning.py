"""Read the facts of many utterances in processes; those whose file has not changed keep what is known."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import batched
from typing import Any

import numpy as np

from mrlspk.data.audio.source import AudioSource
from mrlspk.data.manifest import Utterance
from mrlspk.data.manifest_files.facts import ABSENT, DTYPE, READ, UNCHANGED, Facts, read_facts, state_of
from mrlspk.data.manifest_files.rows import ManifestRow, place_of, relative_to
from mrlspk.data.processes import in_processes
from mrlspk.errors import DataError
from mrlspk.files import OnProgress

MOST_PER_TASK = 256
TASKS_PER_JOB = 8  # so that progress is shown of few files too
FEWEST_IN_PROCESSES = 512  # files; to start processes takes a second

type Task = tuple[list[int], list[AudioSource]]
type Found = list[tuple[int, Facts | str]]  # by place: what is known, or why it cannot be read


class Scan:
    """What a scan finds, in columns: a row takes some forty bytes and its utterance.

    Args:
        utterances: The corpus.
        prefix: Folder of the manifest file, as `folder_prefix` returns it.
        known: Rows of an earlier scan, by id.

    Attributes:
        errors: Why an utterance cannot be read, by id.
    """

    def __init__(self, utterances: Sequence[Utterance], prefix: str, known: Mapping[str, ManifestRow]) -> None:
        self._utterances, self._prefix = utterances, prefix
        self._facts = np.zeros(len(utterances), DTYPE)
        self._codecs: dict[str, int] = {}
        self.errors: dict[str, str] = {}
        self._corpora: dict[str, str] = {id_: row.corpus for id_, row in known.items() if row.corpus}
        for place, utterance in enumerate(utterances):
            row = known.get(utterance.utterance_id)
            facts = None if row is None else self._still_true(row, utterance)
            if facts is not None:
                self._keep(place, facts, UNCHANGED)

    def read(
        self,
        *,
        jobs: int,
        on_rows: Callable[[Sequence[ManifestRow]], None],
        on_progress: OnProgress | None = None,
    ) -> None:
        """Read what is not known.

        Args:
            jobs: Processes.
            on_rows: Called with rows as they are read.
            on_progress: Called with (files done, files).

        Raises:
            MrlspkError: If a process is killed.
        """
        places = np.flatnonzero(self._facts["state"] == ABSENT)
        total, done = len(self._utterances), len(self._utterances) - len(places)
        jobs = 1 if len(places) < FEWEST_IN_PROCESSES else jobs
        per_task = max(min(MOST_PER_TASK, len(places) // (jobs * TASKS_PER_JOB)), 1)
        for found in in_processes(read_some, self._tasks(places.tolist(), per_task), jobs=jobs):
            rows = []
            for place, facts in found:
                utterance = self._utterances[place]
                if isinstance(facts, str):
                    self.errors[utterance.utterance_id] = facts
                else:
                    self._keep(place, facts, READ)
                    rows.append(self._row(utterance, facts))
            on_rows(rows)
            done += len(found)
            if on_progress:
                on_progress(done, total)

    @property
    def n_read(self) -> int:
        """Utterances whose files have been read."""
        return int((self._facts["state"] == READ).sum())

    @property
    def n_unchanged(self) -> int:
        """Utterances that keep what was known."""
        return int((self._facts["state"] == UNCHANGED).sum())

    @property
    def seconds(self) -> float:
        """Length of all."""
        return float(self._facts["seconds"].sum())

    @property
    def speakers(self) -> set[str]:
        """Speakers of the readable utterances."""
        listed = self._facts["state"] != ABSENT
        return {each.speaker_id for place, each in enumerate(self._utterances) if listed[place]}

    def rows(self) -> Iterator[ManifestRow]:
        """Yield the readable utterances in their order."""
        codecs = list(self._codecs)
        for utterance, values in zip(self._utterances, self._facts.tolist(), strict=True):
            *stated, codec, state = values
            if state != ABSENT:
                yield self._row(utterance, Facts(*(*stated, codecs[codec])))

    def _tasks(self, places: list[int], per_task: int) -> Iterator[Task]:
        for some in batched(places, per_task):
            yield list(some), [self._utterances[place].source for place in some]

    def _keep(self, place: int, facts: Facts, state: int) -> None:
        codec = self._codecs.setdefault(facts.codec, len(self._codecs))
        numbers = facts.bytes, facts.mtime_ns, facts.seconds, facts.exact, facts.sample_rate, facts.channels
        self._facts[place] = (*numbers, codec, state)

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

    def _still_true(self, row: ManifestRow, utterance: Utterance) -> Facts | None:
        """Return the facts of a row if it is of the same audio, which has not changed; else None."""
        facts = facts_of(row)
        if facts is None:
            return None
        try:
            if state_of(utterance.source) != facts.state:
                return None
        except (OSError, ValueError):
            return None
        same = replace(self._row(utterance, facts), speaker=row.speaker, session=row.session)
        return facts if same == row else None


def facts_of(row: ManifestRow) -> Facts | None:
    """Return the facts of a row; None if some are absent."""
    values: list[Any] = [row.bytes, row.mtime_ns, row.seconds, row.exact, row.sample_rate, row.channels, row.codec]
    return None if None in values else Facts(*values)


def read_some(task: Task) -> Found:
    """Return what is known of some sources, by their places."""
    found: Found = []
    for place, source in zip(*task, strict=True):
        try:
            found.append((place, read_facts(source)))
        except DataError as error:
            found.append((place, str(error)))
    return found


def known_by_id(rows: Iterable[ManifestRow]) -> dict[str, ManifestRow]:
    """Return rows by id; of two with one id the later."""
    return {row.id: row for row in rows}
