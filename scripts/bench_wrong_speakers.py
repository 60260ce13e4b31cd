"""Measure time and memory of the search for wrong speakers at the size of VoxCeleb2, on made-up embeddings.

    scripts/bench_wrong_speakers.py --speakers 6000 --utterances 1100000

The embeddings lie in a temporary file, as `mrlspk data check --model` keeps them. A tenth of the size comes first.
"""

import argparse
import resource
import tempfile
import time

import numpy as np

from mrlspk.evaluation.wrong_speakers.search import search_voices
from mrlspk.evaluation.wrong_speakers.voices import Voices

MOVED, SPLIT = 20, 20


def main() -> None:
    """Print time, growth of memory and what was found, at a tenth of the size and at the size."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--speakers", type=int, default=6000)
    parser.add_argument("--utterances", type=int, default=1_100_000)
    parser.add_argument("--dim", type=int, default=256)
    given = parser.parse_args()
    for share in (10, 1):
        n_speakers, n_utterances = given.speakers // share, given.utterances // share
        with tempfile.TemporaryFile() as file:
            vectors = np.memmap(file, np.float32, "w+", shape=(n_utterances, given.dim))
            speaker_index, moved = _write(vectors, n_speakers)
            before, start = _mebibytes(), time.perf_counter()
            found = search_voices(Voices(vectors, speaker_index, n_speakers + SPLIT), np.arange(n_utterances) // 10)
            seconds = time.perf_counter() - start
            reported = {row for each in found.other_voices for row in each.rows.tolist()}
            groups, split = {each.speakers for each in found.same_voices}, {(n, n_speakers + n) for n in range(SPLIT)}
            n_others = len(reported - moved) + len(groups - split)
            print(
                f"{n_speakers:,} speakers, {n_utterances:,} utterances: {seconds:.0f} s, memory grew by "
                f"{_mebibytes() - before:.0f} MiB; {len(reported & moved)} of {MOVED} moved utterances, "
                f"{len(groups & split)} of {SPLIT} split speakers, {n_others} others",
                flush=True,
            )


def _write(vectors: np.ndarray, n_speakers: int) -> tuple[np.ndarray, set[int]]:
    """Fill in embeddings around a direction for each speaker; return their speakers, and which have a wrong one."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(n_speakers, vectors.shape[1])).astype(np.float32)
    index = np.sort(rng.integers(0, n_speakers, len(vectors)))
    for start in range(0, len(vectors), 10_000):
        part = index[start : start + 10_000]
        vectors[start : start + len(part)] = centres[part] + 0.7 * rng.normal(size=(len(part), vectors.shape[1]))
    for number in range(SPLIT):
        rows = np.flatnonzero(index == number)
        index[rows[: len(rows) // 2]] = n_speakers + number
    moved = rng.choice(np.flatnonzero((index >= SPLIT) & (index < n_speakers)), MOVED, replace=False)
    index[moved] = SPLIT + (index[moved] - SPLIT + 1) % (n_speakers - SPLIT)
    return index, set(moved.tolist())


def _mebibytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
