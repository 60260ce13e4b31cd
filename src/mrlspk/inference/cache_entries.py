"""Pack embeddings and hashes of files with a checksum, as the cache keeps them."""

import hashlib
import json
from dataclasses import astuple

import numpy as np

from mrlspk.inference.audio_content import FileState
from mrlspk.inference.recording import EmbeddedRecording, TooShort

CHECKSUM_BYTES = 16

type Entry = EmbeddedRecording | TooShort
type KnownFile = tuple[FileState, bytes]  # with the SHA-256 of the file in that state


def pack_entry(key: bytes, entry: Entry) -> bytes:
    """Return a checksum, a line of JSON, and the vector as little-endian float32."""
    embedded = entry if isinstance(entry, EmbeddedRecording) else None
    known: dict[str, object] = {"seconds": entry.seconds}
    if embedded:
        known |= {"warnings": embedded.warnings, "speech_seconds": embedded.speech_seconds}
    values = embedded.vector.astype("<f4").tobytes() if embedded else b""
    return _pack(key, json.dumps(known).encode() + b"\n" + values)


def unpack_entry(key: bytes, packed: bytes) -> Entry | None:
    """Return the entry that `pack_entry` packed; None if its bytes are damaged."""
    body = _unpack(key, packed)
    if body is None:
        return None
    line, _, values = body.partition(b"\n")
    known = json.loads(line)
    if not values:
        return TooShort(known["seconds"])
    vector = np.frombuffer(values, "<f4").astype(np.float32)
    return EmbeddedRecording(vector, known["seconds"], tuple(known["warnings"]), known["speech_seconds"])


def pack_file(path: bytes, known: KnownFile) -> bytes:
    """Return a checksum, and the state and SHA-256 of a file as JSON."""
    state, sha256 = known
    return _pack(path, json.dumps([*astuple(state), sha256.hex()]).encode())


def unpack_file(path: bytes, packed: bytes) -> KnownFile | None:
    """Return the file that `pack_file` packed; None if its bytes are damaged."""
    body = _unpack(path, packed)
    if body is None:
        return None
    *state, sha256 = json.loads(body)
    return FileState(*state), bytes.fromhex(sha256)


def _pack(key: bytes, body: bytes) -> bytes:
    """Return a checksum of ``key`` and ``body``, and ``body``."""
    return hashlib.blake2b(key + body, digest_size=CHECKSUM_BYTES).digest() + body


def _unpack(key: bytes, packed: bytes) -> bytes | None:
    body = packed[CHECKSUM_BYTES:]
    return body if packed == _pack(key, body) else None
