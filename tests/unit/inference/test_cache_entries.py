"""The bytes of entries and hashes in the embedding cache."""

import hashlib

import numpy as np
import pytest

from mrlspk.inference.audio_content import FileState
from mrlspk.inference.cache_entries import pack_entry, pack_file, unpack_entry, unpack_file
from mrlspk.inference.recording import EmbeddedRecording, TooShort

VECTOR = np.array([1.5, -0.1, 1e-38], np.float32)


def test_packed_entry_unpacks_to_the_same():
    entry = EmbeddedRecording(VECTOR, 0.1 + 0.2, ("silent", "upsampled from 8000 Hz"), 0.1)
    again = unpack_entry(b"key", pack_entry(b"key", entry))
    assert (again.seconds, again.warnings) == (entry.seconds, entry.warnings)
    assert again.speech_seconds == entry.speech_seconds
    assert np.array_equal(again.vector, entry.vector)
    assert unpack_entry(b"key", pack_entry(b"key", TooShort(1.0))) == TooShort(1.0)


def test_bytes_of_entries_are_as_described():
    line = b'{"seconds": 1.5, "warnings": ["silent"], "speech_seconds": null}\n'
    packed = pack_entry(b"key", EmbeddedRecording(np.array([1.0, -2.0], np.float32), 1.5, ("silent",)))
    assert packed[16:] == line + bytes.fromhex("0000803f000000c0")
    assert packed[:16] == hashlib.blake2b(b"key" + packed[16:], digest_size=16).digest()
    assert pack_entry(b"key", TooShort(2.0))[16:] == b'{"seconds": 2.0}\n'


def test_unpacked_vector_is_writable():
    assert unpack_entry(b"key", pack_entry(b"key", EmbeddedRecording(VECTOR, 1.0))).vector.flags.writeable


KNOWN = FileState(1, 2**70, -3), b"s" * 32  # times before 1970, and beyond 64 bits


def test_packed_file_unpacks_to_the_same():
    assert unpack_file(b"/a", pack_file(b"/a", KNOWN)) == KNOWN


@pytest.mark.parametrize(
    ("packed", "unpack"),
    [(pack_entry(b"key", EmbeddedRecording(VECTOR, 1.0)), unpack_entry), (pack_file(b"key", KNOWN), unpack_file)],
)
def test_changed_byte_or_other_key_is_detected(packed, unpack):
    assert unpack(b"key", packed) is not None
    assert unpack(b"other", packed) is None
    for place in range(len(packed)):
        changed = bytearray(packed)
        changed[place] ^= 1
        assert unpack(b"key", bytes(changed)) is None
        assert unpack(b"key", packed[:place]) is None
