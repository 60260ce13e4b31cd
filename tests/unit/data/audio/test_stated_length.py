import io

import pytest
from tests.encoded_audio import write_by

from mrlspk.data.audio.stated_length import count_mp3_frames


def test_frames_of_a_lame_header_are_those_of_the_file(tmp_path, noise):
    content = write_by("lame --quiet -V2 IN OUT", tmp_path / "a.mp3", noise).read_bytes()
    frames = count_mp3_frames(io.BytesIO(content))
    assert frames == -(-(len(noise) + 576 + 529) // 576)  # the delays of encoder and decoder; a frame is 576
    tag = b"ID3\x04\0\0" + bytes([0, 0, 0x50, 0x08]) + bytes(0x50 * 128 + 8)
    assert count_mp3_frames(io.BytesIO(tag + content)) == frames


def test_an_mp3_without_a_header_states_nothing(tmp_path, noise):
    content = write_by("lame --quiet -t IN OUT", tmp_path / "a.mp3", noise).read_bytes()
    assert count_mp3_frames(io.BytesIO(content)) is None


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (b"Xing" + b"\0\0\0\x01" + b"\0\0\x01\x02", 258),
        (b"Xing" + b"\0\0\0\x02" + b"\0\0\x01\x02", None),  # counts bytes alone
        (b"Info" + b"\0\0\0\x0f" + b"\0\0\0\0", None),
        (b"VBRI" + bytes(10) + b"\0\0\x01\x02", 258),
    ],
)
def test_headers_are_read_by_their_layout(header, expected):
    assert count_mp3_frames(io.BytesIO(b"\xff\xfb\x90\0" + bytes(32) + header + bytes(100))) == expected
