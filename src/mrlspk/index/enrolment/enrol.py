"""Add recordings with their vectors to the voices of an index, within one transaction."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from itertools import batched

import numpy as np

from mrlspk.index.enrolment.groups import Vectors, find_centre
from mrlspk.index.enrolment.mean_vectors import mean_vector, speech_weights
from mrlspk.index.enrolment.metadata import VoiceMetadata
from mrlspk.index.enrolment.outliers import find_outliers
from mrlspk.index.enrolment.profiles import ProfileLimit, average_by_condition
from mrlspk.index.enrolment.refusals import Remark, shown_source
from mrlspk.index.store.snapshot import Snapshot
from mrlspk.index.store.store import VoiceStore
from mrlspk.index.store.voices import NewRecording, NewVoice
from mrlspk.index.store.writer import Writer

VOICES_AT_ONCE = 4096
CENTRE_VOICES = 1000  # of those enrolled before, evenly spaced
REPEATED = 1 - 1e-6  # cosine from which on two vectors are of the same recording


@dataclass(frozen=True, eq=False)
class NewRecordings:
    """Recordings to add to a voice, which may exist.

    Attributes:
        name: Of the voice.
        recordings: One or more.
        vectors: (recordings, embed_dim) at unit length.
    """

    name: str
    recordings: tuple[NewRecording, ...]
    vectors: Vectors


@dataclass(frozen=True)
class Enrolled:
    """What was enrolled.

    Attributes:
        names: Voices that are new or have new recordings, in the order given.
        new_names: Those that are new.
        n_recordings: New recordings.
        refused: Recordings that say too little about a voice or cannot be read.
        repeated: Recordings that the voice has already; they are not added again.
        outliers: Recordings, new or old, that do not match the others of their voice: they may be of another speaker.
        noted: Warnings of recordings, such as channels that differ; one remark for each.
        warnings: Of the whole, such as vectors of an unknown model.
    """

    names: tuple[str, ...] = ()
    new_names: tuple[str, ...] = ()
    n_recordings: int = 0
    refused: tuple[Remark, ...] = ()
    repeated: tuple[Remark, ...] = ()
    outliers: tuple[Remark, ...] = ()
    noted: tuple[Remark, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass
class _Progress:
    names: list[str] = field(default_factory=list)
    new_names: list[str] = field(default_factory=list)
    n_recordings: int = 0
    repeated: list[Remark] = field(default_factory=list)
    outliers: list[Remark] = field(default_factory=list)


def enrol(store: VoiceStore, groups: Iterable[NewRecordings], metadata: Mapping[str, VoiceMetadata]) -> Enrolled:
    """Add recordings to voices, all of them or, after an error, none; ``metadata`` by name is merged into theirs.

    Each voice occurs once in ``groups``, which are read in the transaction: embed audio before.

    Raises:
        DataError: If the recordings of a voice have no mean.
        MrlspkError: If the index cannot be written.
    """
    done = _Progress()
    with store.writing() as writer, store.reading() as snapshot:
        for chunk in batched(groups, VOICES_AT_ONCE):
            _Chunk(writer, snapshot, metadata, chunk, done).add()
    return Enrolled(
        tuple(done.names),
        tuple(done.new_names),
        done.n_recordings,
        repeated=tuple(done.repeated),
        outliers=tuple(done.outliers),
    )


def _some_voices(snapshot: Snapshot) -> Vectors:
    """Return vectors (n, embed_dim) of voices that are enrolled, evenly spaced."""
    slots = np.unique(np.linspace(0, max(0, snapshot.slots - 1), CENTRE_VOICES).astype(np.int64))[: snapshot.slots]
    kept = slots if snapshot.removed is None else slots[~snapshot.removed[slots]]
    return np.array(snapshot.profiles[kept], np.float32)


class _Chunk:
    """Some voices of an enrolment."""

    def __init__(
        self,
        writer: Writer,
        snapshot: Snapshot,
        metadata: Mapping[str, VoiceMetadata],
        groups: tuple[NewRecordings, ...],
        done: _Progress,
    ) -> None:
        self._writer, self._snapshot, self._metadata = writer, snapshot, metadata
        self._groups, self._done = groups, done
        self._limit: ProfileLimit = writer.settings.profiles

    @cached_property
    def _centre(self) -> Vectors:
        """The centre of these voices and those enrolled before; an addition of single recordings needs none."""
        means = [mean_vector(each.vectors, np.ones(len(each.vectors)), each.name) for each in self._groups]
        return find_centre(np.concatenate([_some_voices(self._snapshot), np.stack(means)]))

    def add(self) -> None:
        groups = self._groups
        taken = {each.name for each in groups if self._snapshot.n_voices and self._snapshot.has_voice(each.name)}
        self._writer.add_voices(self._new_voices(each for each in groups if each.name not in taken))
        for each in groups:
            if each.name in taken:
                self._extend(each)

    def _new_voices(self, groups: Iterable[NewRecordings]) -> Iterator[NewVoice]:
        for each in groups:
            new = self._without_repeats(each, self._nothing(), ())
            profiles = self._profiles(each.name, new.recordings, new.vectors)
            self._count(new, is_new=True)
            yield NewVoice(each.name, new.recordings, new.vectors, profiles, self._metadata.get(each.name, {}))

    def _extend(self, group: NewRecordings) -> None:
        """Add recordings to a voice that exists; its profiles are made again."""
        voice = self._snapshot.voice(group.name)
        if metadata := self._metadata.get(group.name):
            self._writer.set_metadata(group.name, {**voice.metadata, **metadata})
        old = np.array(self._snapshot.recording_vectors(voice), np.float32)
        known = [
            NewRecording(each.source, each.seconds, each.speech_seconds, each.warnings) for each in voice.recordings
        ]
        new = self._without_repeats(group, old, known)
        if not new.recordings:
            return
        vectors = np.concatenate([old, new.vectors])
        profiles = self._profiles(group.name, (*known, *new.recordings), vectors)
        self._writer.add_recordings(group.name, new.recordings, new.vectors, profiles=profiles)
        self._count(new, is_new=False)

    def _nothing(self) -> Vectors:
        return np.empty((0, self._writer.settings.embed_dim), np.float32)

    def _without_repeats(self, group: NewRecordings, old: Vectors, known: Iterable[NewRecording]) -> NewRecordings:
        """Return the recordings that the voice does not have yet."""
        if len(group.recordings) == 1 and not len(old):
            return group
        sources = [each.source for each in known]
        kept: list[int] = []
        vectors = np.concatenate([old, group.vectors])
        for place, (recording, vector) in enumerate(zip(group.recordings, group.vectors, strict=True)):
            alike = np.flatnonzero(vectors[: len(sources)] @ vector >= REPEATED)
            if len(alike):
                reason = f"is enrolled already, as {shown_source(sources[alike[0]])}"
                self._done.repeated.append(Remark(group.name, recording.source, reason))
                continue
            vectors[len(sources)] = vector
            kept.append(place)
            sources.append(recording.source)
        return NewRecordings(group.name, tuple(group.recordings[place] for place in kept), group.vectors[kept])

    def _profiles(self, name: str, recordings: tuple[NewRecording, ...], vectors: Vectors) -> Vectors:
        if len(vectors) == 1:
            return vectors
        for row in find_outliers(vectors, self._centre):
            reason = "does not match the other recordings: another speaker, or a very different recording"
            self._done.outliers.append(Remark(name, recordings[row].source, reason))
        weights = speech_weights([each.speech_seconds for each in recordings])
        return average_by_condition(vectors, weights, name, limit=self._limit, centre=self._centre)

    def _count(self, new: NewRecordings, *, is_new: bool) -> None:
        self._done.names.append(new.name)
        self._done.n_recordings += len(new.recordings)
        if is_new:
            self._done.new_names.append(new.name)
