import numpy as np
import pytest
from tests.encoded_audio import write_lossy

from mrlspk.data.audio.ffmpeg import open_ffmpeg
from mrlspk.data.audio.source import as_source
from mrlspk.errors import DataError

NOISE = np.random.default_rng(1).normal(0, 0.1, 59_397).astype(np.float32)


def read(path, start=0):
    stream = open_ffmpeg(as_source(path))
    try:
        return np.concatenate([np.zeros((0, stream.channels), np.float32), *stream.blocks(start)])
    finally:
        stream.close()


@pytest.mark.parametrize("suffix", ["m4a", "aac", "mp3"])
def test_a_range_is_a_slice_of_the_whole(tmp_path, suffix):
    path = write_lossy(tmp_path / f"a.{suffix}", NOISE)
    whole = read(path)
    for start in (1, 20_000, 40_000, len(whole) - 10):
        part = read(path, start)
        assert part.shape == whole[start:].shape
        np.testing.assert_allclose(part, whole[start:], atol=1e-4)


@pytest.mark.parametrize("suffix", ["m4a", "aac", "mp3"])
def test_frames_are_counted_as_they_are_decoded(tmp_path, suffix):
    path = write_lossy(tmp_path / f"a.{suffix}", NOISE)
    assert open_ffmpeg(as_source(path)).count_frames() == len(read(path))


@pytest.mark.parametrize("name", ["10:30:00.m4a", "concat:a.m4a", "http:a.m4a", "a%d.m4a"])
def test_a_name_is_never_a_url(tmp_path, monkeypatch, name):
    content = write_lossy(tmp_path / "a.m4a", NOISE).read_bytes()
    (tmp_path / name).write_bytes(content)
    monkeypatch.chdir(tmp_path)
    assert len(read(name)) == len(NOISE)


@pytest.mark.parametrize(
    "content",
    [
        "ffconcat version 1.0\nfile a.m4a\n",
        "#EXTM3U\n#EXTINF:3,\na.m4a\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
    ],
)
@pytest.mark.parametrize("name", ["list.m4a", "list.txt"])
def test_playlists_are_refused(tmp_path, content, name):
    write_lossy(tmp_path / "a.m4a", NOISE)
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match="cannot be decoded"):
        open_ffmpeg(as_source(tmp_path / name))
