import av
import numpy as np
import pytest
from tests.encoded_audio import write_by_ffmpeg
from tests.tar_members import write_tar

from mrlspk.data.audio import load_audio, random_crop
from mrlspk.data.audio.aac_ranges import AacRanges
from mrlspk.data.audio.ffmpeg import FFmpegStream
from mrlspk.data.audio.opening import open_stream
from mrlspk.data.audio.source import FileSource

RATE = 16_000


@pytest.fixture
def opened():
    """Open streams for ranges, and close them."""
    streams = []

    def open_one(source):
        streams.append(open_stream(source, ranges=True))
        return streams[-1]

    yield open_one
    for each in streams:
        each.close()


def whole(path):
    stream = FFmpegStream(FileSource(str(path)))
    try:
        return np.concatenate(list(stream.blocks()))
    finally:
        stream.close()


@pytest.mark.parametrize("channels", [1, 2])
def test_range_is_the_slice_that_ffmpeg_decodes_bit_for_bit(tmp_path, noise, opened, channels, monkeypatch):
    path = write_by_ffmpeg(tmp_path / "a.m4a", noise, f"-ac {channels}")
    expected, stream = whole(path), opened(path)
    assert isinstance(stream, AacRanges)
    assert stream.count_frames() == len(expected)
    monkeypatch.setattr(FFmpegStream, "blocks", None)
    for start, stop in ((0, None), (0, 1), (1023, 1025), (20_001, 36_000), (len(expected) - 9, None), (50_000, 10**6)):
        (block,) = stream.blocks(start, stop)
        assert np.array_equal(block, expected[start:stop])


@pytest.mark.parametrize("name", ["fragmented", "he-aac", "jittered m4a", "alac", "opus in mp4"])
def test_other_files_are_left_to_ffmpeg(encoded, opened, name):
    assert isinstance(opened(encoded(name)), FFmpegStream)


def test_member_of_a_tar_is_cut_as_the_file(encoded, tmp_path):
    member = write_tar(tmp_path / "a.tar", "a.m4a", encoded("m4a").read_bytes())
    crops = [random_crop(each, RATE, np.random.default_rng(1)) for each in (member, encoded("m4a"))]
    assert np.array_equal(*crops)


def test_damaged_packet_is_handled_as_in_the_whole_file(encoded, tmp_path, opened):
    content = bytearray(encoded("m4a").read_bytes())
    with av.open(str(encoded("m4a"))) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(audio=0) if packet.size]
    for place, size in places[20:21]:
        content[place : place + size] = bytes([0xFF]) * size
    path = tmp_path / "a.m4a"
    path.write_bytes(content)
    stream = opened(path)
    found = np.concatenate(list(stream.blocks(10_000, 40_000)))[:30_000]
    assert np.array_equal(found, whole(path)[10_000:40_000])
    assert np.array_equal(np.concatenate(list(stream.blocks(40_000, 50_000)))[:10_000], whole(path)[40_000:50_000])


def test_noise_substitution_does_not_depend_on_earlier_ranges(tmp_path, noise, opened):
    path = write_by_ffmpeg(tmp_path / "a.m4a", noise, "-b:a 24k -aac_pns 1")
    stream = opened(path)
    (first,) = stream.blocks(20_000, 30_000)
    list(stream.blocks(0, 9_000))
    (again,) = stream.blocks(20_000, 30_000)
    assert np.array_equal(first, again)
    assert not np.array_equal(first[:, 0], load_audio(path).numpy()[20_000:30_000])  # the draws differ
    assert np.array_equal(next(stream.blocks()), whole(path))
