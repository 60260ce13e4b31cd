"""Divide a corpus among shards: seeded, each a mixture of speakers, and the same for the same corpus."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.audio.source import AudioSource
from mrlspk.data.manifest import Utterance
from mrlspk.data.manifest_files.facts import state_of
from mrlspk.data.shards.segments import is_part
from mrlspk.data.tar_header import BLOCK
from mrlspk.errors import DataError
from mrlspk.reading import reading

FORMAT = 1  # raise it if the same corpus gives other bytes
OTHER_BYTES = 4 * BLOCK  # headers of audio and JSON, and the JSON
SEGMENT_BYTES_PER_SECOND = 32_000  # 16 kHz with 16 bits: FLAC takes less
UNKNOWN_SECONDS = 30.0  # of a segment that reaches to the end of its recording


@dataclass(frozen=True, eq=False)
class ShardPlan:
    """The utterances of each shard.

    Attributes:
        order: Places of the utterances in the corpus, shard after shard, (utterances,).
        bounds: Where each shard begins in ``order``, and the end of the last, (shards + 1,).
        n_bytes: Of each shard, at most, unless it has many long names, (shards,).
        sha256: Of everything that the shards depend on, in hex.
    """

    order: NDArray[np.int64]
    bounds: NDArray[np.int64]
    n_bytes: NDArray[np.int64]
    sha256: str

    def __len__(self) -> int:
        return len(self.bounds) - 1

    def members(self, number: int) -> NDArray[np.int64]:
        """Return the places of the utterances of a shard."""
        return self.order[self.bounds[number] : self.bounds[number + 1]]


def plan_shards(
    utterances: Sequence[Utterance],
    *,
    shard_bytes: int,
    seed: int,
) -> ShardPlan:
    """Return the plan of a corpus; no audio is read.

    Args:
        utterances: In the order of their ids.
        shard_bytes: Size of a shard; only one with a single larger recording is larger.
        seed: Of the order.

    Raises:
        DataError: If a folder may not be entered.
    """
    digest = hashlib.sha256(json.dumps([FORMAT, shard_bytes, seed]).encode())
    sizes = np.empty(len(utterances), np.int64)
    for place, utterance in enumerate(utterances):
        n_bytes, changed_ns = _state(utterance.source)
        sizes[place] = _packed_bytes(utterance.source, n_bytes)
        facts = utterance.utterance_id, utterance.speaker_id, utterance.session_id, n_bytes, changed_ns
        digest.update(json.dumps([*facts, *_part(utterance.source)]).encode())
    order = np.random.default_rng(seed).permutation(len(utterances))
    bounds = _bounds(sizes[order], shard_bytes)
    return ShardPlan(order, bounds, np.add.reduceat(sizes[order], bounds[:-1]), digest.hexdigest())


def _state(source: AudioSource) -> tuple[int, int]:
    """Return size and time of the last change of a recording, or of its archive; zeros if it is gone."""
    with reading(str(source), DataError, "Check the path."):
        try:
            return state_of(source)
        except FileNotFoundError:
            return 0, 0


def _part(source: AudioSource) -> tuple[float, float | None, object]:
    return source.start_seconds, source.seconds, source.channel


def _packed_bytes(source: AudioSource, n_bytes: int) -> int:
    """Return how many bytes an utterance takes in a shard: an estimate, above the truth, of a segment."""
    if is_part(source):
        seconds = UNKNOWN_SECONDS if source.seconds is None else source.seconds
        n_bytes = round(seconds * SEGMENT_BYTES_PER_SECOND)
    return -(-n_bytes // BLOCK) * BLOCK + OTHER_BYTES


def _bounds(sizes: NDArray[np.int64], shard_bytes: int) -> NDArray[np.int64]:
    """Return where shards begin that hold sizes (utterances,) in order, and the end of the last."""
    ends, bounds = np.cumsum(sizes), [0]
    while bounds[-1] < len(sizes):
        before = ends[bounds[-1] - 1] if bounds[-1] else 0
        fitting = int(np.searchsorted(ends, before + shard_bytes, side="right"))
        bounds.append(max(fitting, bounds[-1] + 1))
    return np.array(bounds, np.int64)
