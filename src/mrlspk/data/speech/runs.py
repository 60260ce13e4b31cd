"""Turn decisions about frames into intervals of speech: short pauses kept, beginnings and ends widened.

Pauses and soft ends belong to how a person speaks and to the room: embeddings of read speech are better with them.
"""

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.speech.levels import FRAMES_PER_SECOND, HOP, recording_level

SHORTEST_PAUSE_SECONDS = 1.0  # shorter ones are kept
BEFORE_SECONDS = 0.3  # kept before speech, and hangover after it: together less than a pause,
AFTER_SECONDS = 0.5  # and each at most half as long as the speech, so that a blip stays short
AUDIBLE_DB = 50.0  # below the level of the speech; nothing fainter is kept around speech


def find_runs(marked: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Return the runs of true values as (n, 2) indices: the first, and the one after the last."""
    edges = np.diff(marked.astype(np.int8), prepend=0, append=0)
    return np.stack((np.flatnonzero(edges == 1), np.flatnonzero(edges == -1)), axis=1)


def join_runs(runs: NDArray[np.int64], *, gap: int) -> NDArray[np.int64]:
    """Return the runs (n, 2) with those joined that are less than ``gap`` apart."""
    apart = runs[1:, 0] - runs[:-1, 1] >= gap
    starts = runs[np.append(True, apart)[: len(runs)], 0]
    ends = runs[np.append(apart, True)[: len(runs)], 1]
    return np.stack((starts, ends), axis=1)


def drop_short_runs(runs: NDArray[np.int64], *, shortest: int) -> NDArray[np.int64]:
    """Return the runs (n, 2) of at least ``shortest``."""
    return runs[runs[:, 1] - runs[:, 0] >= shortest]


def to_intervals(runs: NDArray[np.int64], energies: NDArray[np.float32], *, n_samples: int) -> NDArray[np.int64]:
    """Return the intervals (n, 2), in samples, of runs (n, 2) of speech.

    Args:
        runs: In frames.
        energies: Of every frame (frames,), dB.
        n_samples: Length of the recording.
    """
    n_frames = len(energies)
    level = recording_level(energies[_inside(runs, n_frames)])
    runs = join_runs(runs, gap=to_frames(SHORTEST_PAUSE_SECONDS))
    half = (runs[:, 1] - runs[:, 0]) // 2
    starts = (runs[:, 0] - np.minimum(half, to_frames(BEFORE_SECONDS))).clip(min=0)
    ends = (runs[:, 1] + np.minimum(half, to_frames(AFTER_SECONDS))).clip(max=n_frames)
    audible = np.concatenate(([-1], np.flatnonzero(energies > level - AUDIBLE_DB), [n_frames]))
    starts = np.minimum(audible[np.searchsorted(audible, starts)], runs[:, 0])
    ends = np.maximum(audible[np.searchsorted(audible, ends) - 1] + 1, runs[:, 1])
    return (np.stack((starts, ends), axis=1) * HOP).clip(0, n_samples)


def to_frames(seconds: float) -> int:
    """Return a number of frames."""
    return round(seconds * FRAMES_PER_SECOND)


def _inside(runs: NDArray[np.int64], n_frames: int) -> NDArray[np.bool_]:
    """Return which of the frames (frames,) are in a run."""
    steps = np.zeros(n_frames + 1, np.int64)
    np.add.at(steps, runs[:, 0], 1)
    np.add.at(steps, runs[:, 1], -1)
    return steps[:-1].cumsum() > 0
