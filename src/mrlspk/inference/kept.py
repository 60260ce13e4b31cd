"""One entry of the embedding cache, and its bytes."""

import hashlib
import json
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CHECKSUM_BYTES = 16


@dataclass(frozen=True, eq=False)
class Kept:
    """What is kept of one recording.

    Attributes:
        vector: (embed_dim,), not of unit length; None for a file that is shorter than its crop.
        seconds: Length of what was embedded; of the file, where it is shorter than its crop.
        warnings: Such as ``silent``.
    """

    vector: NDArray[np.float32] | None
    seconds: float
    warnings: tuple[str, ...] = ()


def pack(key: bytes, kept: Kept) -> bytes:
    """Return a checksum over all that follows and ``key``, a line of JSON, then the vector as little-endian float32."""
    line = json.dumps({"seconds": kept.seconds, "warnings": kept.warnings}).encode() + b"\n"
    values = b"" if kept.vector is None else kept.vector.astype("<f4").tobytes()
    return _checksum(key, line + values) + line + values


def unpack(key: bytes, packed: bytes) -> Kept | None:
    """Return what `pack` was given; None where the bytes are no longer those that it made."""
    checksum, body = packed[:CHECKSUM_BYTES], packed[CHECKSUM_BYTES:]
    if checksum != _checksum(key, body):
        return None
    line, _, values = body.partition(b"\n")
    known = json.loads(line)
    vector = np.frombuffer(values, "<f4").astype(np.float32) if values else None
    return Kept(vector, known["seconds"], tuple(known["warnings"]))


def _checksum(key: bytes, body: bytes) -> bytes:
    return hashlib.blake2b(key + body, digest_size=CHECKSUM_BYTES).digest()
