"""Divide a corpus among shards: seeded, each a mixture of speakers, and the same for the same corpus."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.audio.source import AudioSource, TarMember
from mrlspk.data.manifest import Utterance
from mrlspk.data.manifest_files.facts import State, state_of, whole_of
from mrlspk.data.shards.cutting import is_part
from mrlspk.data.tar_header import BLOCK
from mrlspk.data.utterances.table import UtteranceTable
from mrlspk.errors import DataError
from mrlspk.reading import reading

FORMAT = 1  # raise it if the same corpus gives other bytes
OTHER_BYTES = 4 * BLOCK  # headers of audio and JSON, and the JSON
SEGMENT_BYTES_PER_SECOND = 32_000  # 16 kHz with 16 bits: FLAC takes less
MIX = -1  # in place of the number of a channel
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
    table = UtteranceTable.of(utterances)
    sizes, states, cuts = _columns(table)
    digest = hashlib.sha256(json.dumps([FORMAT, shard_bytes, seed, len(table)]).encode())
    for texts in table.ids, table.speaker_ids(), table.session_ids():
        digest.update(texts.lines())
    for column in states, cuts:
        digest.update(column.tobytes())
    order = np.random.default_rng(seed).permutation(len(table))
    bounds = _bounds(sizes[order], shard_bytes)
    return ShardPlan(order, bounds, np.add.reduceat(sizes[order], bounds[:-1]), digest.hexdigest())


def _columns(table: UtteranceTable) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Return bytes in a shard, (utterances,), size and time of change, and start, length and channel."""
    sizes, states = np.empty(len(table), np.int64), np.empty((len(table), 2), np.int64)
    cuts = np.tile([0.0, np.nan, MIX], (len(table), 1))
    changed: dict[str, int] = {}
    for place, source in enumerate(table.sources()):
        states[place] = n_bytes, _ = _state(source, changed)
        sizes[place] = _packed_bytes(source, n_bytes)
        if is_part(source):
            seconds = np.nan if source.seconds is None else source.seconds
            cuts[place] = source.start_seconds, seconds, MIX if source.channel == "mix" else source.channel
    return sizes, states, cuts


def _state(source: AudioSource, changed: dict[str, int]) -> State:
    """Return size and time of the last change of a recording, or of its archive; zeros if it is gone.

    Args:
        source: The recording.
        changed: Time of the last change of archives that were looked at, which are added.
    """
    whole = whole_of(source)
    if not isinstance(whole, TarMember):
        return _found_state(whole)
    if whole.archive not in changed:
        changed[whole.archive] = _found_state(whole)[1]
    return whole.length, changed[whole.archive]


def _found_state(whole: AudioSource) -> State:
    try:
        return state_of(whole)
    except FileNotFoundError:
        return 0, 0
    except OSError:
        with reading(str(whole), DataError, "Check the path."):
            raise


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
