"""Lengths that headers of FLAC and MP3 state, made byte by byte."""

import pytest

from mrlspk.data.audio.source import as_source
from mrlspk.data.checks.stated import stated_frames
from mrlspk.errors import DataError

FIELDS = (16_000 << 44 | 0 << 41 | 15 << 36 | 48_000).to_bytes(8, "big")  # rate, channels - 1, bits - 1, samples
FLAC = b"fLaC" + b"\x80\0\0\x22" + bytes(10) + FIELDS + bytes(16)
XING = b"\xff\xfb\x90\0" + bytes(32) + b"Xing\0\0\0\1" + (100).to_bytes(4, "big") + bytes(400)
UNCOUNTED = XING.replace(b"Xing\0\0\0\1", b"Xing\0\0\0\0")


@pytest.mark.parametrize(
    ("content", "codec", "rate", "expected"),
    [
        (FLAC, "flac", 16_000, 48_000),
        (FLAC.replace(b"\x80\0\0\x22", b"\0\0\0\x22"), "flac", 16_000, 48_000),  # other blocks follow
        (FLAC.replace(FIELDS, FIELDS[:4] + bytes(4)), "flac", 16_000, None),  # of a pipe
        (FLAC[:41], "flac", 16_000, None),
        (b"OggS" + FLAC[4:], "flac", 16_000, None),
        (XING, "mp3", 44_100, 100 * 1152),
        (XING, "mp3", 32_000, 100 * 1152),
        (XING, "mp3", 24_000, 100 * 576),  # MPEG-2
        (b"ID3\4\0\0\0\0\1\0" + bytes(128) + XING, "mp3", 44_100, 100 * 1152),
        (UNCOUNTED, "mp3", 44_100, None),
        (XING, "pcm_s16", 44_100, None),
    ],
)
def test_stated_length_is_that_of_the_header(tmp_path, content, codec, rate, expected):
    (tmp_path / "a").write_bytes(content)
    assert stated_frames(as_source(tmp_path / "a"), codec, rate) == expected


def test_absent_file_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match="cannot be read"):
        stated_frames(as_source(tmp_path / "a"), "flac", 16_000)
