import tarfile

import av
import numpy as np
import pytest
from tests.encoded_audio import write_by_ffmpeg
from tests.unit.data.audio.conftest import N_SAMPLES
from tests.unit.data.audio.test_ffmpeg import open_ffmpeg, read

from mrlspk.data.audio.ffmpeg_container import DEMUXERS, open_container
from mrlspk.data.audio.source import as_source, list_tar
from mrlspk.errors import DataError

VIDEO = "-f lavfi -i testsrc=s=64x64:d=1:r=5"
LATIN_1 = b"Caf\xe9"


@pytest.mark.parametrize(
    "name", ["10:30:00.m4a", "concat:a.m4a", "http:a.m4a", "a%d.m4a", "subfile,,start,9,end,99,,:a.m4a"]
)
def test_a_name_is_never_a_url(encoded, tmp_path, monkeypatch, name):
    (tmp_path / name).write_bytes(encoded("m4a").read_bytes())
    (tmp_path / "a.m4a").write_bytes(b"another file")
    monkeypatch.chdir(tmp_path)
    assert len(read(name)) == N_SAMPLES


@pytest.mark.parametrize("name", ["list.m4a", "list.ffconcat", "list.m3u8"])
@pytest.mark.parametrize(
    "content",
    [
        "ffconcat version 1.0\nfile a.m4a\n",
        "#EXTM3U\n#EXTINF:3,\na.m4a\n",
        "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=audio 5004 RTP/AVP 0\n",
    ],
)
def test_playlists_are_refused(encoded, tmp_path, content, name):
    (tmp_path / "a.m4a").write_bytes(encoded("m4a").read_bytes())
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=f"cannot be decoded as .{name.split('.')[1]} audio"):
        open_ffmpeg(as_source(tmp_path / name))


def test_every_allowed_demuxer_exists():
    known = {name for each in av.formats_available for name in each.split(",")}
    assert set(DEMUXERS) <= known


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.mp4", "-c:v mpeg4 -c:a aac"),
        ("a.webm", "-c:v libvpx -c:a libopus"),
        ("a.mkv", "-c:v mpeg4 -c:a flac"),
        ("a.mp3", "-map 0 -map 1 -frames:v 1 -c:v png -id3v2_version 3"),
        ("a.m4a", "-map 0 -map 1 -frames:v 1 -c:v png -disposition:v attached_pic -c:a aac"),
    ],
)
def test_video_and_cover_art_are_left_out(tmp_path, noise, name, options):
    path = write_by_ffmpeg(tmp_path / name, noise, options, inputs=VIDEO)
    with open_container(str(path), as_source(path)).container as container:
        assert [each.discard.name for each in container.streams if each.type == "video"] == ["all"]
    stream = open_ffmpeg(as_source(path))
    seconds = sum(map(len, stream.blocks())) / stream.sample_rate
    assert seconds == pytest.approx(N_SAMPLES / 16_000, abs=0.01)
    stream.close()


def test_of_two_streams_the_default_one_is_read(tmp_path, noise, encoded):
    second, both = f"-i {encoded('wav of half a second')}", "-map 0 -map 1"
    is_default = "-disposition:a:0 0 -disposition:a:1 default"
    path = write_by_ffmpeg(tmp_path / "a.m4a", noise, f"{both} {is_default}", inputs=second)
    assert len(read(path)) == 8000
    path = write_by_ffmpeg(tmp_path / "b.m4a", noise, both, inputs=second)
    assert len(read(path)) == N_SAMPLES


def test_tags_in_latin_1_and_chapters_fail_nothing(tmp_path, noise):
    (tmp_path / "tags.txt").write_bytes(
        b";FFMETADATA1\ntitle=" + LATIN_1 + b"\n[CHAPTER]\nTIMEBASE=1/1000\nSTART=0\nEND=2000\ntitle=" + LATIN_1 + b"\n"
    )
    for name in ("a.m4a", "a.mp3"):
        path = write_by_ffmpeg(tmp_path / name, noise, "-map_metadata 1", inputs=f"-i {tmp_path / 'tags.txt'}")
        assert LATIN_1 in path.read_bytes()
        assert len(read(path)) == N_SAMPLES


@pytest.mark.parametrize("tag", [b"TAG" + LATIN_1.ljust(125, b"\0"), b"APETAGEX\xd0\x07\0\0" + b"\0" * 20])
def test_a_tag_at_the_end_of_an_mp3_is_no_audio(encoded, tmp_path, tag):
    path = tmp_path / "a.mp3"
    path.write_bytes(encoded("mp3 without header").read_bytes() + tag)
    stream = open_ffmpeg(as_source(path))
    np.testing.assert_array_equal(np.concatenate(list(stream.blocks())), read(encoded("mp3 without header")))
    assert stream.damage is None
    stream.close()


@pytest.mark.parametrize("name", ["m4a", "mp3", "opus"])
def test_a_member_of_a_tar_archive_is_read_like_a_file(encoded, tmp_path, name):
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        file.add(encoded(name), encoded(name).name)
    (member,) = list_tar(tmp_path / "a.tar")
    np.testing.assert_array_equal(read(member), read(encoded(name)))
    np.testing.assert_allclose(read(member, 30_000), read(encoded(name), 30_000), atol=1e-6)


def test_files_without_audio_are_refused(tmp_path, noise):
    path = write_by_ffmpeg(tmp_path / "a.mp4", noise, "-map 1 -c:v mpeg4", inputs=VIDEO)
    with pytest.raises(DataError, match="no audio that it knows"):
        open_ffmpeg(as_source(path))
