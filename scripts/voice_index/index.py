"""Enrol one part of the speech in an index, and keep the other part as queries of known speakers."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk import VoiceIndex
from mrlspk.index.enrolment.enrol import NewRecordings, enrol
from mrlspk.index.evaluating import KnownRecordings
from mrlspk.index.store.voices import NewRecording
from voice_index.embeddings import Vectors

N_UNKNOWN = 100
WIDTHS = (16, 32, 64, 128)


@dataclass(frozen=True, eq=False)
class Split:
    """Recordings to enrol, and queries: of enrolled speakers and of others."""

    enrolled: NDArray[np.bool_]
    queries: NDArray[np.bool_]


def split_speakers(vectors: Vectors, *, seed: int) -> Split:
    """Keep 100 speakers unenrolled, among them those of one recording; enrol half of the sessions of each other.

    Queries are of the other sessions; of a speaker with one session, half of the recordings are enrolled.
    """
    speakers, sessions = vectors.speakers, vectors.sessions
    names, counts = np.unique(speakers, return_counts=True)
    several = names[counts > 1]
    drawn = np.random.default_rng(seed).choice(several, N_UNKNOWN - np.count_nonzero(counts == 1), replace=False)
    unknown = {*names[counts == 1], *drawn}
    enrolled = np.zeros(len(speakers), dtype=bool)
    for name in set(names) - unknown:
        rows = np.flatnonzero(speakers == name)
        places = np.unique(sessions[rows], return_inverse=True)[1]
        if places.max() == 0:
            places = np.arange(len(rows))
        enrolled[rows[places < (places.max() + 2) // 2]] = True
    return Split(enrolled, ~enrolled)


def build_index(folder: Path, shared: Path, vectors: Vectors, *, like: Path, model: Path | None) -> VoiceIndex:
    """Return an index of recordings, whose vectors are as those of the file ``like``."""
    dims = tuple(dim for dim in WIDTHS if dim < vectors.unit.shape[1])
    VoiceIndex.create(folder, vectors=like, dims=dims, speech="auto").close()
    index = VoiceIndex.open(folder, model)
    names = np.unique(vectors.speakers)
    sexes = read_sexes(shared)
    metadata = {str(name): {"sex": sexes[name]} for name in names if name in sexes}
    enrol(index.store, [_recordings(vectors, shared, name) for name in names], metadata)
    return index


def read_sexes(shared: Path) -> dict[str, str]:
    """Return f or m of the speakers of whom it is known."""
    found = {}
    for corpus in ("so762-en-adult", "alnum-en"):
        with (shared / "speech" / "more" / corpus / "files.tsv").open(encoding="utf-8") as file:
            found |= {row["speaker"]: row["sex"] for row in csv.DictReader(file, delimiter="\t")}
    return {name: sex for name, sex in found.items() if sex in {"f", "m"}}


def known_recordings(vectors: Vectors) -> KnownRecordings:
    """Return recordings as queries of known speakers."""
    names, sources = map(str, vectors.speakers), map(str, vectors.sources)
    return KnownRecordings(tuple(names), tuple(sources), vectors.unit, vectors.speech_seconds, ())


def _recordings(vectors: Vectors, shared: Path, name: str) -> NewRecordings:
    rows = np.flatnonzero(vectors.speakers == name)
    recordings = tuple(
        NewRecording(str(shared / "speech" / vectors.sources[row]), None, float(vectors.speech_seconds[row]))
        for row in rows
    )
    return NewRecordings(str(name), recordings, vectors.unit[rows])
