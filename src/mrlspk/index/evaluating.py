"""Evaluate an index on recordings whose speakers are known: enrolled ones, and others."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import DataError
from mrlspk.index.deciding import DecisionOptions, read_calibration
from mrlspk.index.decisions.open_set import FALSE_ALARM_RATES, OpenSetReport, evaluate_open_set
from mrlspk.index.decisions.searches import NO_VOICE, Searches
from mrlspk.index.decisions.trials import DUPLICATE, Queries
from mrlspk.index.enrolment.audio import OnDone, embed_voices
from mrlspk.index.enrolment.enrol import NewRecordings
from mrlspk.index.enrolment.mean_vectors import unit_vectors
from mrlspk.index.enrolment.refusals import Remark
from mrlspk.index.enrolment.sources import audio_of_folder, audio_of_table
from mrlspk.index.index_model import IndexModel
from mrlspk.index.searching import FoundVoices, SearchOptions, check_width, search_voices
from mrlspk.index.store.settings import IndexSettings
from mrlspk.index.store.snapshot import Snapshot
from mrlspk.index.store.store import VoiceStore
from mrlspk.reading import reading

ENROLLED = "is enrolled, or a copy of a recording that is"


@dataclass(frozen=True, eq=False)
class KnownRecordings:
    """Embedded recordings of known speakers.

    Attributes:
        names: (recordings,), who speaks.
        sources: (recordings,), their paths.
        vectors: (recordings, embed_dim) at unit length.
        speech_seconds: (recordings,); NaN if unknown.
        refused: Recordings that say too little.
    """

    names: tuple[str, ...]
    sources: tuple[str, ...]
    vectors: NDArray[np.float32]
    speech_seconds: NDArray[np.float64]
    refused: tuple[Remark, ...]

    @classmethod
    def of(cls, groups: Sequence[NewRecordings], refused: tuple[Remark, ...]) -> Self:
        """Return the recordings of some speakers; one whose speech is not known counts at its length."""
        recordings = [each for group in groups for each in group.recordings]
        seconds = [each.seconds if each.speech_seconds is None else each.speech_seconds for each in recordings]
        return cls(
            tuple(group.name for group in groups for _ in group.recordings),
            tuple(each.source for each in recordings),
            unit_vectors(np.concatenate([group.vectors for group in groups])),
            np.array([np.nan if each is None else each for each in seconds], np.float64),
            refused,
        )

    def as_queries(self, places: Sequence[int]) -> Queries:
        """Return the recordings as queries of voices at these places, -1 for those not enrolled."""
        return Queries(
            self.vectors, np.asarray(places, np.intp), self.speech_seconds, np.full(len(self.names), -1, np.intp)
        )

    def take(self, rows: Sequence[int], refused: Sequence[Remark]) -> "KnownRecordings":
        """Return some of the recordings, and the others as refused."""
        kept = np.asarray(rows, np.intp)
        return KnownRecordings(
            tuple(self.names[row] for row in kept),
            tuple(self.sources[row] for row in kept),
            self.vectors[kept],
            self.speech_seconds[kept],
            (*self.refused, *refused),
        )


@dataclass(frozen=True, eq=False)
class IndexEvaluation:
    """Open-set identification of known recordings in an index.

    Attributes:
        report: The rates.
        refused: Recordings that were left out: too little speech, or enrolled themselves.
        is_calibrated: Whether the index has a calibration; without one there are no decisions.
    """

    report: OpenSetReport
    refused: tuple[Remark, ...]
    is_calibrated: bool


def read_known(
    model: IndexModel,
    settings: IndexSettings,
    recordings: Path,
    *,
    min_speech_seconds: float,
    on_done: OnDone | None = None,
) -> KnownRecordings:
    """Embed the recordings of a folder of speakers, or of a table with the columns ``name`` and ``path``.

    Raises:
        DataError: If there are none, or all of them say too little.
        MrlspkError: If the model cannot be loaded.
    """
    with reading(recordings, DataError, "Check the path."):
        is_folder = recordings.is_dir()
        if not recordings.exists():
            raise DataError("no such folder or table", recordings, "Check the path.")
    wanted = audio_of_folder(recordings) if is_folder else audio_of_table(recordings)
    found = embed_voices(
        model,
        settings,
        [each.name for each in wanted.recordings],
        [each.path for each in wanted.recordings],
        min_speech_seconds=min_speech_seconds,
        on_done=on_done,
    )
    if not found.groups:
        raise DataError(
            "no recording has enough speech", recordings, "Give recordings with a second of speech or more."
        )
    return KnownRecordings.of(found.groups, found.refused)


def evaluate_known(
    store: VoiceStore,
    known: KnownRecordings,
    *,
    dims: Sequence[int] | None = None,
    options: DecisionOptions | None = None,
    false_alarm_rates: Sequence[float] = FALSE_ALARM_RATES,
) -> IndexEvaluation:
    """Search for recordings, and measure how often their speakers are found, and others are taken for a voice.

    Args:
        store: The index.
        known: The recordings. A speaker is enrolled if a voice has the name.
        dims: Widths; None for all of the index.
        options: Of the decisions.
        false_alarm_rates: To measure identification rates at.

    Raises:
        DataError: If there are no recordings of enrolled speakers, or none of others; those enrolled do not count.
        UsageError: If the index has no such width.
    """
    options = options or DecisionOptions()
    with store.reading() as snapshot:
        kept = leave_out_enrolled(snapshot, known)
        if not kept.names:
            fix = "Give other recordings of enrolled speakers, and some of speakers who are not enrolled."
            raise DataError("every recording is enrolled itself", fix=fix)
        calibration = read_calibration(snapshot)
        widths = tuple(check_width(snapshot.settings, dim) for dim in dims or snapshot.settings.dims)
        found = [search_voices(snapshot, kept.vectors, SearchOptions(k=2, dim=dim)) for dim in widths]
        is_enrolled = {name: snapshot.has_voice(name) for name in kept.names}
    report = evaluate_open_set(
        _searches(kept, widths, found, [is_enrolled[name] for name in kept.names]),
        calibration=calibration,
        false_alarm_rates=false_alarm_rates,
        false_accept_rate=options.false_accept_rate,
        margin=options.margin,
    )
    return IndexEvaluation(report, kept.refused, calibration is not None)


def leave_out_enrolled(snapshot: Snapshot, known: KnownRecordings) -> KnownRecordings:
    """Return the recordings without those that are enrolled under their speaker's name."""
    refused = dict[int, Remark]()
    for name in dict.fromkeys(known.names):
        if not snapshot.has_voice(name):
            continue
        rows = [row for row, of in enumerate(known.names) if of == name]
        voice = snapshot.voice(name)
        sources = {each.source for each in voice.recordings}
        nearest = (known.vectors[rows] @ np.asarray(snapshot.recording_vectors(voice)).T).max(axis=1)
        for row, cosine in zip(rows, nearest, strict=True):
            if cosine >= DUPLICATE or known.sources[row] in sources:
                refused[row] = Remark(name, known.sources[row], ENROLLED)
    return known.take([row for row in range(len(known.names)) if row not in refused], list(refused.values()))


def _searches(
    known: KnownRecordings, dims: tuple[int, ...], found: Sequence[FoundVoices], is_enrolled: Sequence[bool]
) -> Searches:
    shape = len(known.names), len(dims)
    best, second = np.full(shape, NO_VOICE), np.full(shape, NO_VOICE)
    is_right = np.zeros(shape, np.bool_)
    for place, of_width in enumerate(found):
        for row, matches in enumerate(of_width.matches):
            scores = [match.score for match in matches]
            best[row, place : place + 1] = scores[:1] or NO_VOICE
            second[row, place : place + 1] = scores[1:2] or NO_VOICE
            is_right[row, place] = bool(matches) and matches[0].name == known.names[row]
    n_voices = found[0].n_voices
    enrolled = np.asarray(is_enrolled, np.bool_)
    return Searches(known.names, enrolled, known.speech_seconds, dims, best, second, is_right, n_voices)
