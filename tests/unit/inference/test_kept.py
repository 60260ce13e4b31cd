import numpy as np
import pytest

from mrlspk.inference.kept import Kept, pack, unpack

VECTOR = np.array([1.5, -0.1, 1e-38], np.float32)


@pytest.mark.parametrize("kept", [Kept(VECTOR, 0.1 + 0.2, ("silent", "upsampled from 8000 Hz")), Kept(None, 1.0)])
def test_what_is_unpacked_is_what_was_packed(kept):
    again = unpack(b"key", pack(b"key", kept))
    assert (again.seconds, again.warnings) == (kept.seconds, kept.warnings)
    assert np.array_equal(again.vector, kept.vector) if kept.vector is not None else again.vector is None


def test_an_unpacked_vector_can_be_written_to():
    assert unpack(b"key", pack(b"key", Kept(VECTOR, 1.0))).vector.flags.writeable


def test_any_changed_byte_and_any_other_key_is_seen():
    packed = pack(b"key", Kept(VECTOR, 1.0))
    assert unpack(b"other", packed) is None
    for place in range(len(packed)):
        changed = bytearray(packed)
        changed[place] ^= 1
        assert unpack(b"key", bytes(changed)) is None
        assert unpack(b"key", packed[:place]) is None
