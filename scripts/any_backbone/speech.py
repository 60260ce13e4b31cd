"""Labelled vectors of a backbone: speakers, corpora, recordings and their crops, and trials among held-out speakers."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from mrlspk.vectors.loading import load_vectors

N_FOLDS = 5
CORPUS_LETTERS = 2  # of the name of a speaker
MOST_TARGET, MOST_OTHER = 2000, 6000  # trials of a fold and condition

type Rows = NDArray[np.float64]
type Labels = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Trials:
    """Row numbers of both sides (trials,), and target labels."""

    enroll: Labels
    test: Labels
    is_target: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Speech:
    """Vectors of training speech.

    Attributes:
        directions: (n, dim) of unit length.
        speaker: (n,) numbers.
        recording: (n,) numbers; the crops of a recording share its number.
        session: (n,) numbers: the folder of a recording.
        is_crop: (n,) whether it is a crop.
        is_noisy: (n,) whether it is augmented.
        corpus_of: (speakers,) the first two characters of a speaker's name.
    """

    directions: Rows
    speaker: Labels
    recording: Labels
    session: Labels
    is_crop: NDArray[np.bool_]
    is_noisy: NDArray[np.bool_]
    corpus_of: NDArray[np.str_]

    @property
    def corpus(self) -> Labels:
        """(n,) corpus numbers."""
        return np.unique(self.corpus_of, return_inverse=True)[1][self.speaker]

    def only(self, keep: NDArray[np.bool_]) -> "Speech":
        """Return the rows where ``keep`` (n,) is true; speakers without a row lose their number."""
        left, speaker = np.unique(self.speaker[keep], return_inverse=True)
        arrays = {
            name: getattr(self, name)[keep] for name in ("directions", "recording", "session", "is_crop", "is_noisy")
        }
        return Speech(**arrays, speaker=speaker, corpus_of=self.corpus_of[left])

    def of_speakers(self, wanted: NDArray[np.bool_]) -> "Speech":
        """Return the rows of the speakers where ``wanted`` (speakers,) is true."""
        return self.only(wanted[self.speaker])

    def labelled_by_recording(self) -> "Speech":
        """Let each recording stand in for a speaker, as if no speaker were known."""
        first = np.unique(self.recording, return_index=True)[1]
        numbers = np.unique(self.recording, return_inverse=True)[1]
        return replace(self, speaker=numbers, corpus_of=self.corpus_of[self.speaker[first]])

    def checksum(self) -> int:
        """Return a checksum of vectors and labels, but for augmented crops."""
        clean = ~self.is_noisy
        rows = np.round(self.directions[clean], 5).astype(np.float32) + 0.0  # no negative zero
        return crc32(self.speaker[clean].tobytes(), crc32(rows.tobytes()))


def load_speech(files: Sequence[Path], noisy: Sequence[Path] = ()) -> Speech:
    """Load vector files; an id is ``speaker/session/recording``, with ``#NUMBER`` after it for a crop."""
    ids, rows, is_noisy = list[str](), [], list[bool]()
    for path in (*files, *noisy):
        table = load_vectors(path)
        names = [f"{each}+" if path in noisy else each for each in table.ids]
        ids += names
        rows.append(table.vectors.astype(np.float64))
        is_noisy += [path in noisy] * len(names)
    vectors = np.concatenate(rows)
    speakers, speaker = np.unique([each.split("/")[0] for each in ids], return_inverse=True)
    return Speech(
        directions=vectors / np.linalg.norm(vectors, axis=1, keepdims=True),
        speaker=speaker,
        recording=np.unique([each.split("#")[0].rstrip("+") for each in ids], return_inverse=True)[1],
        session=np.unique([each.rsplit("/", 1)[0] for each in ids], return_inverse=True)[1],
        is_crop=np.array(["#" in each for each in ids]),
        is_noisy=np.array(is_noisy),
        corpus_of=np.array([each[:CORPUS_LETTERS] for each in speakers]),
    )


def draw_folds(speech: Speech, *, seed: int = 0) -> Labels:
    """Return the fold (speakers,) in which each speaker is held out; every corpus is spread over the folds."""
    rng, folds = np.random.default_rng(seed), np.empty(len(speech.corpus_of), int)
    for corpus in np.unique(speech.corpus_of):
        own = np.flatnonzero(speech.corpus_of == corpus)
        folds[rng.permutation(own)] = np.arange(len(own)) % N_FOLDS
    return folds


def held_out_trials(speech: Speech, speakers: NDArray[np.bool_], *, seed: int) -> dict[str, Trials]:
    """Return trials among some speakers, by condition: corpus, and whole recordings or crops.

    Trials are within a corpus. Target trials are between recordings, and between sessions where all the speakers of a
    corpus have several.
    """
    found = {}
    for corpus in np.unique(speech.corpus_of[speakers]):
        own = speakers & (speech.corpus_of == corpus)
        for name, is_crop in ((f"{corpus} whole", False), (f"{corpus} crops", True)):
            rows = np.flatnonzero(own[speech.speaker] & (speech.is_crop == is_crop) & ~speech.is_noisy)
            trials = _draw(speech, rows, np.random.default_rng(seed))
            if trials.is_target.any() and not trials.is_target.all():
                found[name] = trials
    return found


def _draw(speech: Speech, rows: Labels, rng: np.random.Generator) -> Trials:
    left, right = np.triu_indices(len(rows), 1)
    enroll, test = rows[left], rows[right]
    is_target = speech.speaker[enroll] == speech.speaker[test]
    other_session = speech.session[enroll] != speech.session[test]
    several = _all_have_several_sessions(speech, rows)
    sound = np.where(is_target & several, other_session, speech.recording[enroll] != speech.recording[test])
    chosen = [
        rng.permutation(np.flatnonzero(sound & (is_target == kind)))[:most]
        for kind, most in ((True, MOST_TARGET), (False, MOST_OTHER))
    ]
    keep = np.concatenate(chosen)
    return Trials(enroll[keep], test[keep], is_target[keep])


def _all_have_several_sessions(speech: Speech, rows: Labels) -> bool:
    pairs = np.unique(np.stack([speech.speaker[rows], speech.session[rows]]), axis=1)
    return bool(len(rows)) and bool(np.unique(pairs[0], return_counts=True)[1].min() > 1)
