"""Name the samples of shards as WebDataset expects: files of one sample share everything before the first dot."""

import hashlib
import re
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np

from mrlspk.data.audio.formats import AUDIO_SUFFIXES

JSON = "json"
OTHER = "audio"  # suffix of audio whose own suffix says nothing

_META = re.compile(r"__([^/]*)__(?=/|$)")  # WebDataset skips such names: they are about the tar


def sample_keys(utterance_ids: Sequence[str]) -> "SampleKeys":
    """Return the keys of utterances; no two are equal."""
    hashes = np.fromiter((_hash(plain_key(each)) for each in utterance_ids), np.uint64, len(utterance_ids))
    hashes.sort()
    return SampleKeys(frozenset(np.unique(hashes[1:][hashes[1:] == hashes[:-1]]).tolist()))


class SampleKeys:
    """The key of each utterance of a corpus; its memory does not grow with their number.

    Args:
        shared: Hashes of the plain keys that several utterances have.
    """

    def __init__(self, shared: frozenset[int]) -> None:
        self._shared = shared

    def key(self, utterance_id: str) -> str:
        """Return the plain key, with a checksum of the id if another utterance has the same plain key."""
        plain = plain_key(utterance_id)
        if _hash(plain) not in self._shared:
            return plain
        return f"{plain}-{hashlib.sha256(utterance_id.encode()).hexdigest()[:12]}"


def plain_key(utterance_id: str) -> str:
    """Return an id without the suffix of its file, a leading slash, and dots in its last part."""
    path = PurePosixPath(utterance_id)
    has_suffix = path.suffix.lower() in AUDIO_SUFFIXES
    name = (utterance_id[: -len(path.suffix)] if has_suffix else utterance_id).lstrip("/")
    folder, slash, last = name.rpartition("/")
    return _META.sub(r"_\1_", f"{folder}{slash}{last.replace('.', '_') or '_'}")


def audio_suffix(suffix: str) -> str:
    """Return the suffix of the audio of a sample, without a dot."""
    return suffix[1:] if suffix in AUDIO_SUFFIXES else OTHER


def _hash(key: str) -> int:
    return int.from_bytes(hashlib.blake2b(key.encode(), digest_size=8).digest())
