"""Find one recording under two speakers: the same bytes, or the same sound in another encoding.

Candidates have equal sizes and bytes from their middle, or nearly equal fingerprints and lengths. Each is confirmed:
by all its bytes, or by the correlation of the waveforms.
"""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import batched

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.audio import open_audio
from mrlspk.data.audio.source import AudioSource
from mrlspk.data.checks.hearing import hear
from mrlspk.data.manifest import Utterance
from mrlspk.data.problems import Problem, error
from mrlspk.data.processes import in_processes
from mrlspk.errors import DataError
from mrlspk.files import OnProgress

NEAR = 0.12  # distance of fingerprints
LENGTH_SECONDS = 0.25  # by which lengths may differ: padding and delay of codecs
COMPARED_SECONDS = 20.0
SAME_CORRELATION = 0.7
CHUNK_BYTES = 1 << 20
PAIRS_PER_TASK = 16
PAIRS_PER_JOB = 100  # to start a process takes as long as to compare so many

type Pair = tuple[int, int]
type Task = tuple[tuple[int, AudioSource, AudioSource], ...]  # place of a pair, and its recordings


@dataclass(frozen=True)
class Traces:
    """What a pass over a corpus keeps of each file.

    Attributes:
        digests: Of size and some bytes; 0 if the file was not read whole.
        seconds: Length; NaN if the file was not decoded.
        prints: Fingerprints (files, values); NaN if there is none.
    """

    digests: NDArray[np.int64]
    seconds: NDArray[np.float32]
    prints: NDArray[np.float32]

    def put(self, place: slice, part: "Traces") -> None:
        """Take in the traces of some files."""
        self.digests[place], self.seconds[place], self.prints[place] = part.digests, part.seconds, part.prints


def check_same_audio(
    utterances: Sequence[Utterance], traces: Traces, *, jobs: int = 1, on_progress: OnProgress | None = None
) -> Iterator[Problem]:
    """Find the same audio under two speakers; both files are told, as nobody knows which label is right.

    Args:
        utterances: The files.
        traces: Of each.
        jobs: Processes.
        on_progress: Called with (pairs of files compared, pairs).

    Yields:
        A problem of each file, with the first that it equals.
    """
    told: set[int] = set()
    for pair in _same_bytes(utterances, traces.digests):
        yield from _tell(utterances, pair, told, "is the same file as {}")
    pairs = list(_near_prints(utterances, traces))
    correlations = _correlations(utterances, pairs, jobs=jobs, on_progress=on_progress)
    for pair, correlation in zip(pairs, correlations, strict=True):
        if correlation > SAME_CORRELATION:
            yield from _tell(utterances, pair, told, f"sounds the same as {{}}: correlation {correlation:.2f}")


def _tell(utterances: Sequence[Utterance], pair: Pair, told: set[int], message: str) -> Iterator[Problem]:
    for other, index in (pair, pair[::-1]):
        if index not in told:
            told.add(index)
            one = utterances[other]
            where = f"{one.utterance_id}, of speaker {one.speaker_id}"
            yield error("same_audio", utterances[index].utterance_id, message.format(where))


def _same_bytes(utterances: Sequence[Utterance], digests: NDArray[np.int64]) -> Iterator[Pair]:
    values, counts = np.unique(digests[digests != 0], return_counts=True)
    repeated = values[counts > 1]
    (candidates,) = np.nonzero(np.isin(digests, repeated))
    first: dict[bytes, int] = {}
    for index in map(int, candidates):
        content = _digest_of_all(utterances[index].source)
        if content is None:
            continue
        other = first.setdefault(content, index)
        if _are_two(utterances[other], utterances[index]) and not _is_silent(utterances[index].source):
            yield other, index


def _are_two(one: Utterance, other: Utterance) -> bool:
    """Return whether two utterances are of two speakers and not of two channels of one recording."""
    return one.speaker_id != other.speaker_id and (one.source.path is None or one.source.path != other.source.path)


def _is_silent(source: AudioSource) -> bool:
    try:
        return hear(source).levels.is_silent
    except DataError:
        return True


def _digest_of_all(source: AudioSource) -> bytes | None:
    digest = hashlib.sha256()
    try:
        with source.open() as file:
            while content := file.read(CHUNK_BYTES):
                digest.update(content)
    except OSError:  # it was readable a moment ago; reading its header has told what is wrong
        return None
    return digest.digest()


def _near_prints(utterances: Sequence[Utterance], traces: Traces) -> Iterator[Pair]:
    """Yield pairs of two speakers' files with nearly equal fingerprints and lengths."""
    from scipy.spatial import cKDTree  # takes a moment to import

    (known,) = np.nonzero(np.isfinite(traces.prints).all(axis=1))
    if len(known) < 2:
        return
    lengths = traces.seconds[known, None] * (NEAR / LENGTH_SECONDS)
    points = np.concatenate([traces.prints[known], lengths], axis=1)
    pairs = known[cKDTree(points).query_pairs(NEAR * 2**0.5, output_type="ndarray")]
    one, two = pairs[:, 0], pairs[:, 1]  # nearly all of these are near in one of the two only
    is_near = np.linalg.norm(traces.prints[one] - traces.prints[two], axis=1) <= NEAR
    pairs = pairs[is_near & (np.abs(traces.seconds[one] - traces.seconds[two]) <= LENGTH_SECONDS)]
    for first, other in np.sort(pairs, axis=1):
        if utterances[int(first)].speaker_id != utterances[int(other)].speaker_id:
            yield int(first), int(other)


def _correlations(
    utterances: Sequence[Utterance], pairs: Sequence[Pair], *, jobs: int, on_progress: OnProgress | None
) -> NDArray[np.float64]:
    """Return the correlation of each pair."""
    found = np.zeros(len(pairs))
    sources = ((place, utterances[one].source, utterances[two].source) for place, (one, two) in enumerate(pairs))
    done, jobs = 0, min(jobs, 1 + len(pairs) // PAIRS_PER_JOB)
    for some in in_processes(_correlate_some, batched(sources, PAIRS_PER_TASK), jobs=jobs):
        for place, correlation in some:
            found[place] = correlation
        done += len(some)
        if on_progress:
            on_progress(done, len(pairs))
    return found


def _correlate_some(task: Task) -> list[tuple[int, float]]:
    return [(place, _correlation(one, two)) for place, one, two in task]


def _correlation(one: AudioSource, other: AudioSource) -> float:
    """Return the highest correlation of two waveforms over all delays."""
    try:
        first, second = _waveform(one), _waveform(other)
    except DataError:
        return 0.0
    n = 1 << (len(first) + len(second) - 1).bit_length()
    product = np.fft.irfft(np.fft.rfft(first, n) * np.fft.rfft(second, n).conj(), n)
    norm = float(np.linalg.norm(first) * np.linalg.norm(second))
    return float(np.abs(product).max()) / norm if norm else 0.0


def _waveform(source: AudioSource) -> NDArray[np.float32]:
    with open_audio(source) as reader:
        waveform = np.concatenate(list(reader.blocks(seconds=COMPARED_SECONDS)))
    waveform -= waveform.mean()
    return waveform
