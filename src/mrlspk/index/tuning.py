"""Choose the shortlist of an index by searches for recordings of its own voices."""

import json

import numpy as np

from mrlspk.errors import DataError, UsageError
from mrlspk.index.enrolment.mean_vectors import mean_vector, speech_weights
from mrlspk.index.funnel.faiss_scan import Engine
from mrlspk.index.funnel.probes import LeftOut, Probes, noisy_copies
from mrlspk.index.funnel.tuning import TuneReport, tune
from mrlspk.index.searching import arrays_of
from mrlspk.index.store.snapshot import Snapshot
from mrlspk.index.store.store import VoiceStore
from mrlspk.index.store.voices import SEVERAL_RECORDINGS, Voice
from mrlspk.index.where import Condition

QUERIES = 1000
FEWEST_RECORDINGS = 200  # with fewer to search for, noisy copies of voices are searched for
SEED = 0


def tune_store(
    store: VoiceStore, recall: float, *, apply: bool, queries: int = QUERIES, engine: Engine = "auto"
) -> TuneReport:
    """Measure shortlists on an index; with ``apply`` let it use the fastest that reaches a recall, if there is one.

    Raises:
        DataError: If no voice is enrolled.
        UsageError: If ``recall`` is no share.
        MrlspkError: If the shortlist cannot be written.
    """
    if not 0 < recall <= 1:
        raise UsageError(f"expected more than 0 and at most 1, got {recall:g}", parameter="recall")
    with store.reading() as snapshot:
        if not snapshot.n_voices:
            raise DataError("no voice is enrolled", store.folder, "Add voices first.")
        arrays, before = arrays_of(snapshot), snapshot.settings.shortlist
        probes = recording_probes(snapshot, queries) or noisy_copies(arrays, count=queries)
        report = tune(arrays, probes, recall, engine=engine)
    if apply and report.best is not None and report.best != before:
        store.replace_shortlist(report.best)
    return report


def recording_probes(snapshot: Snapshot, count: int) -> Probes | None:
    """Return recordings of voices with several as queries; None if they are too few.

    Each query belongs to its voice without the recording: the mean of the others stands in for it.
    """
    voices = _draw(snapshot, count)
    per_voice = -(-count // max(1, len(voices)))
    vectors, slots, stand_ins = [], [], []
    for voice in voices:
        rows = np.array(snapshot.recording_vectors(voice))
        weights = speech_weights([each.speech_seconds for each in voice.recordings])
        own = snapshot.slots_of([voice.id])
        for place in range(min(per_voice, len(rows))):
            others = np.arange(len(rows)) != place
            vectors.append(rows[place])
            slots.append(own)
            stand_ins.append(mean_vector(rows[others], weights[others], voice.name))
    if len(vectors) < min(FEWEST_RECORDINGS, count):
        return None
    return Probes(np.stack(vectors), "recordings", left_out=LeftOut(slots, np.stack(stand_ins)))


def _draw(snapshot: Snapshot, count: int) -> list[Voice]:
    """Return some voices with several recordings."""
    slots = snapshot.slots_where(SEVERAL_RECORDINGS)
    drawn = np.random.default_rng(SEED).permutation(slots)[:count]
    ids = json.dumps(sorted({key.id for key in snapshot.voices_of(drawn)}))
    return list(snapshot.voices(Condition("id IN (SELECT value FROM json_each(?))", (ids,))))
