import io
import os
import struct

import numpy as np
import pytest
import soundfile
from tests.encoded_audio import write_by_ffmpeg
from tests.tar_members import write_tar

from mrlspk.data.audio import open_audio, probe_audio
from mrlspk.data.audio.headers import AudioHeader, read_header
from mrlspk.data.audio.mp4_header import parse_mp4
from mrlspk.data.audio.open_file import OpenFile
from mrlspk.data.audio.opening import open_stream
from mrlspk.data.audio.plain_headers import HEAD_BYTES, parse_flac, parse_wav
from mrlspk.data.audio.source import RangeSource, as_source
from mrlspk.errors import DataError

RATE = 16_000
PCM_16 = struct.pack("<HHIIHH", 1, 1, RATE, 2 * RATE, 2, 16)
SUBTYPES = {
    ("WAV", "PCM_U8"): "pcm_u8",
    ("WAV", "PCM_16"): "pcm_s16",
    ("WAV", "PCM_24"): "pcm_s24",
    ("WAV", "PCM_32"): "pcm_s32",
    ("WAV", "FLOAT"): "pcm_f32",
    ("WAV", "DOUBLE"): "pcm_f64",
    ("WAV", "ALAW"): "pcm_alaw",
    ("WAV", "ULAW"): "pcm_mulaw",
    ("WAVEX", "PCM_24"): "pcm_s24",
    ("FLAC", "PCM_16"): "flac",
    ("FLAC", "PCM_24"): "flac",
}
LEFT_TO_DECODERS = (
    *("fragmented", "alac", "opus in mp4", "he-aac", "jittered m4a", "adts", "mp3", "mp3 without header", "opus"),
    *("vorbis", "ogg flac", "speex", "webm", "mka", "flv", "wma", "mpegts", "adpcm"),
)


def parse(content):
    return parse_mp4(OpenFile(io.BytesIO(content), len(content)), content[:HEAD_BYTES])


def decoded(path):
    """What decoding gives: rate, channels, frames."""
    stream = open_stream(path)
    found = stream.sample_rate, stream.channels, sum(map(len, stream.blocks()))
    stream.close()
    return found


def patched(content, box, place, value):
    """Write four bytes into a box, counted from behind its name."""
    begin = content.index(box) + 4 + place
    return content[:begin] + struct.pack(">I", value) + content[begin + 4 :]


def boxed(name, content):
    return struct.pack(">I", len(content) + 8) + name + content


@pytest.mark.parametrize(("written", "codec"), SUBTYPES.items())
def test_headers_of_wav_and_flac_are_parsed(written, codec):
    file, (audio_format, subtype) = io.BytesIO(), written
    soundfile.write(file, np.full((777, 2), 0.25), 22_050, format=audio_format, subtype=subtype)
    content = file.getvalue()
    found = (parse_flac if audio_format == "FLAC" else parse_wav)(content[:HEAD_BYTES], len(content) + 1)
    if audio_format == "FLAC":  # a large file would hold more than its header counts
        assert parse_flac(content[:HEAD_BYTES], 10**6) is None
    assert (found.codec, found.sample_rate, found.channels, found.n_frames) == (codec, 22_050, 2, 777)


def wav(stated, samples, form=PCM_16):
    return b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<I", len(form)) + form + b"data" + struct.pack("<I", stated) + samples


@pytest.mark.parametrize(
    "content",
    [
        wav(0xFFFFFFFF, b"\0" * 100),  # of a pipe
        wav(0, b"\0" * 100),
        wav(102, b"\0" * 100),  # cut short
        wav(100, b"\0" * 100, form=struct.pack("<HHIIHH", 17, 1, RATE, RATE // 2, 256, 4)),  # ADPCM
        wav(100, b"\0" * 100, form=struct.pack("<HHIIHH", 1, 1, RATE, 3 * RATE, 3, 16)),  # three bytes for 16 bits
        wav(100, b"\0" * 100).replace(b"WAVE", b"AVI "),
    ],
)
def test_unusual_wav_is_left_to_a_decoder(content):
    assert parse_wav(wav(100, b"\0" * 100), 144).n_frames == 50
    assert parse_wav(content, len(content)) is None


@pytest.mark.parametrize(
    ("delay", "milliseconds"),
    [(1024, 3712), (1024, 3700), (0, 3750), (0, 3776), (500, 3712), (2048, 3640), (1024, 100_000), (1024, 3649)],
)
def test_edit_lists_of_m4a_are_applied_as_decoding_does(encoded, tmp_path, delay, milliseconds):
    content = patched(patched(encoded("m4a").read_bytes(), b"elst", 8, milliseconds), b"elst", 12, delay)
    path = tmp_path / "a.m4a"
    path.write_bytes(content)
    found = parse(content)
    assert (found.sample_rate, found.channels, found.n_frames) == decoded(path)


def test_m4a_of_other_rates_and_channels_is_exact(noise, tmp_path):
    for options in ("-ac 2 -ar 44100", "-use_editlist 0 -ar 22050", "-movflags faststart -movie_timescale 16000"):
        path = write_by_ffmpeg(tmp_path / "a.m4a", noise, options)
        found = parse(path.read_bytes())
        assert (found.sample_rate, found.channels, found.n_frames) == decoded(path), options


@pytest.mark.parametrize("name", LEFT_TO_DECODERS)
def test_other_files_are_counted_exactly_by_a_decoder(encoded, name):
    path, content = encoded(name), encoded(name).read_bytes()
    assert content[4:8] != b"ftyp" or parse(content) is None
    header = read_header(path, counts=True)
    assert (header.sample_rate, header.channels, header.n_frames) == decoded(path)
    assert header.is_exact
    stated = read_header(path)
    assert stated.is_exact == (stated.n_frames is not None)
    assert stated.n_frames in {None, header.n_frames}


def test_mp4_that_decoders_may_read_otherwise_is_not_parsed(encoded, noise, tmp_path):
    content = encoded("m4a").read_bytes()
    tracks = write_by_ffmpeg(tmp_path / "two.m4a", noise, "-map 0:a -map 0:a -c:a aac")
    gapless = boxed(b"udta", b"iTunSMPB")
    moov = content.index(b"moov")
    longer = struct.unpack(">I", content[moov - 4 : moov])[0] + len(gapless)
    begin, end = content[: moov - 4] + struct.pack(">I", longer) + b"moov" + gapless, content[moov + 4 :]
    bare = content.replace(bytes.fromhex("140856e500"), bytes.fromhex("1408000000"))  # 16 kHz: SBR may be there
    faults = {
        "two tracks": tracks.read_bytes(),
        "iTunes' delays": begin + end,
        "SBR is not excluded": bare,
        "cut": content[:-1],
        "two packets too many": patched(content, b"stsz", 8, 62),
        "packet beyond the file": patched(content, b"stsz", 12, len(content)),
        "another time scale": patched(content, b"mdhd", 12, 48_000),
        "half speed": patched(content, b"elst", 16, 1 << 15),
        "no index": content.replace(b"moov", b"free"),
        "an index of nothing": content[: moov - 4] + boxed(b"moov", b"\0\0"),
    }
    for what, changed in faults.items():
        assert changed != content
        try:
            assert parse(changed) is None, what
        except ValueError:  # what `read_header` takes for None
            assert what == "an index of nothing"


def test_header_describes_file_member_and_whole_of_a_range(encoded, tmp_path):
    path = encoded("m4a")
    expected = AudioHeader("MPEG-4", "aac", RATE, 1, decoded(path)[2], is_exact=True)
    sources = (
        as_source(path),
        write_tar(tmp_path / "a.tar", "a.m4a", path.read_bytes()),
        RangeSource(as_source(path), 1),
    )
    for source in sources:
        assert read_header(source) == expected
    assert read_header(path).seconds == probe_audio(path).seconds


def test_faults_are_told_as_when_opening(encoded, tmp_path):
    os.mkfifo(tmp_path / "pipe.wav")
    contents = {
        "empty.wav": b"",
        "text.wav": b"no audio\n" * 20,
        "cut.wav": wav(102, b"\0" * 100),
        "cut.m4a": encoded("m4a").read_bytes()[:-9],
        "rate.wav": wav(100, b"\0" * 100, form=struct.pack("<HHIIHH", 1, 1, 20, 40, 2, 16)),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    for name in (*contents, "absent.wav", "pipe.wav", "a\0.wav", "\udcff.wav"):
        with pytest.raises(DataError) as told:
            read_header(tmp_path / name)
        with pytest.raises(DataError) as opened, open_audio(tmp_path / name):
            pass
        assert str(told.value) == str(opened.value)
