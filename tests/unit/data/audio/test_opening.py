import io
import subprocess

import numpy as np
import pytest
import soundfile
from tests.encoded_audio import write_lossy

from mrlspk.data.audio.ffmpeg import FFmpegStream
from mrlspk.data.audio.formats import HEADERLESS_SUFFIXES
from mrlspk.data.audio.opening import open_stream
from mrlspk.data.audio.pcm import PcmStream
from mrlspk.data.audio.sndfile import SndfileStream
from mrlspk.errors import DataError

NOISE = np.random.default_rng(0).normal(0, 0.1, 40_000).astype(np.float32)


def frames(path) -> np.ndarray:
    stream = open_stream(path)
    try:
        return np.concatenate(list(stream.blocks()))
    finally:
        stream.close()


def pcm(audio_format: str = "WAV", subtype: str = "PCM_16", rate: int = 16_000) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, NOISE, rate, format=audio_format, subtype=subtype)
    return file.getvalue()


@pytest.mark.parametrize("suffix", ["wav", "mp3", "xyz", ""])
@pytest.mark.parametrize(("subtype", "kind"), [("PCM_16", PcmStream), ("PCM_24", SndfileStream)])
def test_wav_of_any_name_is_read_as_wav(tmp_path, suffix, subtype, kind):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(pcm(subtype=subtype))
    stream = open_stream(path)
    assert isinstance(stream, kind)
    stream.close()
    np.testing.assert_allclose(frames(path)[:, 0], NOISE, atol=2**-15)


@pytest.mark.parametrize("content", ["m4a", "mp3", "aac"])
@pytest.mark.parametrize("suffix", ["wav", "flac", "xyz"])
def test_ffmpeg_reads_lossy_audio_of_any_name(tmp_path, content, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(write_lossy(tmp_path / f"b.{content}", NOISE).read_bytes())
    assert isinstance(open_stream(path), FFmpegStream)
    assert np.array_equal(frames(path), frames(tmp_path / f"b.{content}"))


@pytest.mark.parametrize("stated", [0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_wav_of_unknown_length_is_read_whole(tmp_path, stated):
    content = bytearray(pcm())
    content[40:44] = stated.to_bytes(4, "little")
    (tmp_path / "a.wav").write_bytes(content)
    np.testing.assert_allclose(frames(tmp_path / "a.wav")[:, 0], NOISE, atol=2**-15)


def test_flac_of_several_recordings_is_read_to_its_end(tmp_path):
    (tmp_path / "a.flac").write_bytes(pcm("FLAC"))
    (tmp_path / "b.flac").write_bytes(2 * pcm("FLAC"))
    twice = np.tile(frames(tmp_path / "a.flac"), (2, 1))
    stream = open_stream(tmp_path / "b.flac")
    assert stream.count_frames() == len(twice)
    for start in (0, 50_000):
        assert np.array_equal(np.concatenate(list(stream.blocks(start))), twice[start:])


def test_wav_without_samples_gives_none_of_the_chunks_behind(tmp_path):
    empty = pcm()[:40] + bytes(4) + b"LIST\x04\0\0\0INFO"
    (tmp_path / "a.wav").write_bytes(empty)
    assert not list(open_stream(tmp_path / "a.wav").blocks())


def test_flac_of_unknown_length_is_read_whole(tmp_path):
    content = bytearray(pcm("FLAC"))
    content[21] &= 0xF0
    content[22:26] = bytes(4)
    (tmp_path / "a.flac").write_bytes(content)
    stream = open_stream(tmp_path / "a.flac")
    assert isinstance(stream, FFmpegStream)
    assert stream.count_frames() == 40_000
    np.testing.assert_allclose(frames(tmp_path / "a.flac")[:, 0], NOISE, atol=2**-15)


def test_flac_behind_an_id3_tag_is_read(tmp_path):
    (tmp_path / "a.flac").write_bytes(b"ID3\x04\0\0\0\0\1\0" + bytes(128) + pcm("FLAC"))
    np.testing.assert_allclose(frames(tmp_path / "a.flac")[:, 0], NOISE, atol=2**-15)


def test_other_decoder_reads_what_the_first_cannot(tmp_path):
    command = ["ffmpeg", "-v", "error", "-f", "s16le", "-ar", "16000", "-i", "-", "-c:a", "alac", "-f", "caf"]
    samples = (NOISE * 32_767).round().astype("<i2")
    subprocess.run([*command, tmp_path / "a.caf"], input=samples.tobytes(), check=True)
    with pytest.raises(soundfile.LibsndfileError):
        soundfile.info(tmp_path / "a.caf")
    np.testing.assert_allclose(frames(tmp_path / "a.caf")[:, 0], samples / 32_768, atol=1e-6)


def test_libsndfile_reads_what_ffmpeg_does_not_know(tmp_path):
    (tmp_path / "a.pvf").write_bytes(pcm("PVF"))
    assert isinstance(open_stream(tmp_path / "a.pvf"), SndfileStream)


def test_mp3_in_wav_is_read_without_a_complaint(tmp_path):
    command = [
        "ffmpeg",
        "-v",
        "error",
        "-f",
        "f32le",
        "-ar",
        "16000",
        "-i",
        "-",
        "-c:a",
        "libmp3lame",
        tmp_path / "a.wav",
    ]
    subprocess.run(command, input=NOISE.tobytes(), check=True)
    assert len(frames(tmp_path / "a.wav")) >= 40_000


TEXT = b"This is a text file, not audio.\n" * 40


@pytest.mark.parametrize("suffix", ["wav", "mp3", "txt", "amr"])
@pytest.mark.parametrize("content", [TEXT, np.random.default_rng(5).bytes(30_000)], ids=["text", "random"])
def test_what_is_no_audio_is_one_error_with_both_reasons(tmp_path, capfd, suffix, content):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    with pytest.raises(
        DataError, match=f"cannot be decoded as .{suffix} audio .FFmpeg: .+; libsndfile: Format"
    ) as caught:
        open_stream(path)
    assert caught.value.where == str(path)
    assert capfd.readouterr() == ("", "")


def test_text_named_as_headerless_audio_that_ffmpeg_knows_is_an_error(tmp_path):
    (tmp_path / "a.gsm").write_bytes(TEXT)
    with pytest.raises(DataError, match="cannot be decoded as .gsm audio"):
        frames(tmp_path / "a.gsm")


@pytest.mark.parametrize("suffix", sorted(HEADERLESS_SUFFIXES))
def test_headerless_audio_is_refused_with_a_remedy(tmp_path, suffix):
    path = tmp_path / f"a{suffix}"
    path.write_bytes(pcm()[44:])
    with pytest.raises(DataError, match=f"headerless {suffix} audio") as caught:
        open_stream(path)
    assert "ffmpeg -f s16le" in caught.value.fix
    path.write_bytes(pcm())  # a WAV is one whatever its name
    assert len(frames(path)) == 40_000


@pytest.mark.parametrize("rate", [1, 999, 10_000_000])
def test_rate_out_of_bounds_is_an_error(tmp_path, rate):
    (tmp_path / "a.wav").write_bytes(pcm(rate=rate))
    with pytest.raises(DataError, match=f"1000 to 1000000 Hz, got {rate}") as caught:
        open_stream(tmp_path / "a.wav")
    assert caught.value.where == str(tmp_path / "a.wav")


@pytest.mark.parametrize("subtype", ["VORBIS", "OPUS"])
def test_chained_ogg_is_read_whole(tmp_path, subtype):
    content = pcm("OGG", subtype)
    (tmp_path / "a.ogg").write_bytes(content)
    once = len(frames(tmp_path / "a.ogg"))
    parts = [pcm("OGG", subtype) for _ in range(2)]
    (tmp_path / "b.ogg").write_bytes(b"".join(parts))
    assert len(frames(tmp_path / "b.ogg")) == pytest.approx(2 * once, abs=400)
    assert soundfile.info(tmp_path / "b.ogg").frames <= once * 1.01
