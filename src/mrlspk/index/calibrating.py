"""Fit the calibration of an index to the recordings enrolled in it."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from mrlspk.config.evaluation import EvaluationConfig
from mrlspk.data.audio.source import as_source
from mrlspk.data.speech.build import build_detector
from mrlspk.errors import DataError
from mrlspk.evaluation.embedder import Embedder
from mrlspk.index.deciding import CALIBRATION
from mrlspk.index.decisions.cuts import cut_embedder, cut_queries
from mrlspk.index.decisions.fitting import CalibrationReport, Origin, calibrate
from mrlspk.index.decisions.trials import EnrolledRecordings, Queries
from mrlspk.index.enrolment.audio import OnDone
from mrlspk.index.enrolment.groups import find_centre
from mrlspk.index.enrolment.mean_vectors import speech_weights
from mrlspk.index.enrolment.profiles import average_by_condition
from mrlspk.index.evaluating import KnownRecordings, leave_out_enrolled
from mrlspk.index.index_model import IndexModel
from mrlspk.index.store.settings import IndexSettings
from mrlspk.index.store.snapshot import NO_VOICE, Snapshot
from mrlspk.index.store.store import VoiceStore
from mrlspk.index.store.voices import SEVERAL_RECORDINGS, Recording, Voice
from mrlspk.index.where import Condition

MOST_VOICES = 3000  # that a calibration is fitted to; of more some are drawn
SEED = 0


def enrolled_recordings(snapshot: Snapshot, *, most_voices: int = MOST_VOICES) -> EnrolledRecordings:
    """Return the recordings of voices; of too many voices a seeded draw, half of it of voices with several recordings.

    Raises:
        DataError: If no voice is enrolled.
    """
    voices = _draw(snapshot, most_voices)
    if not voices:
        raise DataError("no voice is enrolled", fix="Add voices first.")
    recordings = [each for voice in voices for each in voice.recordings]
    return EnrolledRecordings(
        np.concatenate([snapshot.recording_vectors(voice) for voice in voices]),
        tuple(voice.name for voice in voices),
        np.repeat(np.arange(len(voices)), [len(voice.recordings) for voice in voices]),
        speech_weights([_seconds(each) for each in recordings]),
        tuple(each.source for each in recordings),
    )


def calibrate_store(
    store: VoiceStore,
    model: IndexModel | None = None,
    *,
    dims: Sequence[int] | None = None,
    known: KnownRecordings | None = None,
    cut_seconds: Sequence[float] = (),
    on_done: OnDone | None = None,
) -> CalibrationReport:
    """Fit the calibration of an index and keep it there.

    Args:
        store: The index.
        model: Of the index, to embed cuts.
        dims: Widths; None for all of the index.
        known: Further recordings, of enrolled speakers and of others.
        cut_seconds: Recordings whose files are still there are also cut to so many seconds of speech.
        on_done: Called with (cuts done, all cuts) of each length.

    Raises:
        DataError: If too few voices have two recordings or more.
        MetricError: If recordings of one voice do not score higher than others.
        MrlspkError: If cuts are asked for and the model cannot be loaded.
    """
    with store.reading() as snapshot:
        settings, enrolled = snapshot.settings, enrolled_recordings(snapshot)
        further = [] if known is None else [_further(snapshot, known, enrolled)]
    cuts = _cut(model, settings, enrolled, cut_seconds, on_done) if model and cut_seconds else []
    centre = find_centre(enrolled.vectors)
    report = calibrate(
        enrolled,
        tuple(dims or settings.dims),
        origin=Origin(settings.fingerprint, settings.speech, settings.speech_detector),
        further=[*further, *cuts],
        cut_seconds=tuple(float(each.speech_seconds[0]) for each in cuts),
        make_profiles=partial(average_by_condition, name="a voice", limit=settings.profiles, centre=centre),
    )
    with store.writing() as writer:
        writer.put_setting(CALIBRATION, report.calibration.model_dump_json())
    missing = _missing(enrolled.sources) if model and cut_seconds else ()
    return replace(report, warnings=(*report.warnings, *missing))


def _missing(sources: Sequence[str]) -> Iterator[str]:
    """Yield a warning if recordings cannot be cut for want of their files."""
    gone = [each for each in sources if not Path(each).is_file()]
    if gone:
        yield (
            f"{len(gone):,} of {len(sources):,} recordings were not cut to short speech, since their files are not "
            f"found, such as {gone[0]}: decisions on short recordings are less reliable"
        )


def _further(snapshot: Snapshot, known: KnownRecordings, enrolled: EnrolledRecordings) -> Queries:
    """Return further recordings as queries; without those of voices that were not drawn."""
    places = {name: place for place, name in enumerate(enrolled.names)}
    kept = leave_out_enrolled(snapshot, known)
    rows = [row for row, name in enumerate(kept.names) if name in places or not snapshot.has_voice(name)]
    chosen = kept.take(rows, ())
    return chosen.as_queries([places.get(name, -1) for name in chosen.names])


def _cut(
    model: IndexModel,
    settings: IndexSettings,
    enrolled: EnrolledRecordings,
    cut_seconds: Sequence[float],
    on_done: OnDone | None,
) -> list[Queries]:
    """Return cuts of the recordings whose files are still there; none if no file is."""
    paths = [Path(source) for source in enrolled.sources]
    sources = [as_source(path) if path.is_file() else None for path in paths]
    if not any(sources):
        return []
    usual = EvaluationConfig()
    embedder = Embedder(
        backend=model.encoder(settings).backend,
        batch_size=usual.batch_size,
        max_seconds=usual.max_seconds,
        speech=build_detector(settings.speech),
        channel=settings.channel,
        on_progress=None if on_done is None else lambda done, n: on_done(int(done), n),
    )
    return cut_queries(enrolled, cut_embedder(embedder, sources), seconds=cut_seconds)


def _draw(snapshot: Snapshot, most: int) -> list[Voice]:
    """Return some voices in the order of their ids."""
    if snapshot.n_voices <= most:
        return list(snapshot.voices())
    of_slots, rng = snapshot.voice_ids(), np.random.default_rng(SEED)
    several = rng.permutation(np.unique(of_slots[snapshot.slots_where(SEVERAL_RECORDINGS)]))[: most // 2]
    others = rng.permutation(np.setdiff1d(of_slots, [*several, NO_VOICE]))[: most - len(several)]
    ids = json.dumps([*several.tolist(), *others.tolist()])
    return list(snapshot.voices(Condition("id IN (SELECT value FROM json_each(?))", (ids,))))


def _seconds(recording: Recording) -> float | None:
    return recording.seconds if recording.speech_seconds is None else recording.speech_seconds
