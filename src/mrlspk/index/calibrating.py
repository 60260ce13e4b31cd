"""Fit the calibration of an index to the recordings enrolled in it."""

import json
from collections.abc import Sequence
from functools import partial

import numpy as np

from mrlspk.errors import DataError
from mrlspk.index.deciding import CALIBRATION
from mrlspk.index.decisions.fitting import CalibrationReport, Origin, calibrate
from mrlspk.index.decisions.trials import EnrolledRecordings, Queries
from mrlspk.index.enrolment.groups import find_centre
from mrlspk.index.enrolment.mean_vectors import speech_weights
from mrlspk.index.enrolment.profiles import average_by_condition
from mrlspk.index.store.snapshot import NO_VOICE, Snapshot
from mrlspk.index.store.store import VoiceStore
from mrlspk.index.store.voices import Recording, Voice
from mrlspk.index.where import Condition

MOST_VOICES = 5000  # that a calibration is fitted to; of more some are drawn
SEED = 0
SEVERAL = Condition("(SELECT COUNT(*) FROM recordings WHERE voice_id = voices.id) > 1", ())


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
    *,
    dims: Sequence[int] | None = None,
    further: Sequence[Queries] = (),
    cut_seconds: Sequence[float] = (),
) -> CalibrationReport:
    """Fit the calibration of an index and keep it there.

    Args:
        store: The index.
        dims: Widths; None for all of the index.
        further: Other queries: cuts of the recordings of `enrolled_recordings`, or further recordings.
        cut_seconds: Seconds of speech of the cuts among them.

    Raises:
        DataError: If too few voices have two recordings or more.
        MetricError: If recordings of one voice do not score higher than others.
    """
    with store.reading() as snapshot:
        settings, enrolled = snapshot.settings, enrolled_recordings(snapshot)
    centre = find_centre(enrolled.vectors)
    report = calibrate(
        enrolled,
        tuple(dims or settings.dims),
        origin=Origin(settings.fingerprint, settings.speech, settings.speech_detector),
        further=further,
        cut_seconds=tuple(cut_seconds),
        make_profiles=partial(average_by_condition, name="a voice", limit=settings.profiles, centre=centre),
    )
    with store.writing() as writer:
        writer.put_setting(CALIBRATION, report.calibration.model_dump_json())
    return report


def _draw(snapshot: Snapshot, most: int) -> list[Voice]:
    """Return some voices in the order of their ids."""
    if snapshot.n_voices <= most:
        return list(snapshot.voices())
    of_slots, rng = snapshot.voice_ids(), np.random.default_rng(SEED)
    several = rng.permutation(np.unique(of_slots[snapshot.slots_where(SEVERAL)]))[: most // 2]
    others = rng.permutation(np.setdiff1d(of_slots, [*several, NO_VOICE]))[: most - len(several)]
    ids = json.dumps([*several.tolist(), *others.tolist()])
    return list(snapshot.voices(Condition("id IN (SELECT value FROM json_each(?))", (ids,))))


def _seconds(recording: Recording) -> float | None:
    return recording.seconds if recording.speech_seconds is None else recording.speech_seconds
