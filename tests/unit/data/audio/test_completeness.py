import io
import struct
import subprocess

import numpy as np
import pytest
import soundfile

from mrlspk.data.audio.completeness import LAYOUTS, check_complete, find_samples
from mrlspk.errors import DataError

N_BYTES = 3_200
FORMATS = {"WAV": "WAV", "RF64": "RF64", "W64": "W64", "AIFF": "AIFF", "CAF": "CAF", "AU": "AU", "NIST": "SPHERE"}


def written(audio_format: str, n_samples: int = N_BYTES // 2) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.full(n_samples, 0.25), 16_000, format=audio_format, subtype="PCM_16")
    return file.getvalue()


def check(content: bytes, name: str):
    return check_complete(io.BytesIO(content), name, "a.wav", len(content))


def wav(stated: int, samples: bytes, behind: bytes = b"") -> bytes:
    header = b"RIFF\0\0\0\0WAVEfmt " + struct.pack("<IHHIIHH", 16, 1, 1, 16_000, 32_000, 2, 16)
    return header + b"data" + struct.pack("<I", stated) + samples + behind


@pytest.mark.parametrize(("audio_format", "name"), FORMATS.items())
def test_whole_file_passes(audio_format, name):
    content = written(audio_format)
    samples = check(content, name)
    begin = samples.begin + (8 if audio_format == "AIFF" else 4 if audio_format == "CAF" else 0)
    assert samples.stated - (begin - samples.begin) == N_BYTES
    assert content[begin : begin + 4] in {b"\x20\0\x20\0", b"\0\x20\0\x20"}


@pytest.mark.parametrize(("audio_format", "name"), FORMATS.items())
def test_file_without_its_last_byte_is_cut_short(audio_format, name):
    content = written(audio_format)
    end = check(content, name)
    with pytest.raises(DataError, match=f"cut short: expected {end.stated} bytes of audio, got {end.stated - 1}"):
        check(content[: end.begin + end.stated - 1], name)


@pytest.mark.parametrize("name", LAYOUTS)
def test_header_without_samples_is_cut_short(name):
    content = written(next(key for key, value in FORMATS.items() if value == name))
    with pytest.raises(DataError, match=f"cut short: a {name} header without samples"):
        check(content[: LAYOUTS[name].begin + 2], name)


@pytest.mark.parametrize("stated", [0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF])
def test_size_that_its_writer_did_not_know_is_unknown(stated):
    samples = check(wav(stated, b"\x20\0" * 800), "WAV")
    assert (samples.begin, samples.stated) == (44, None)


@pytest.mark.parametrize("n_channels", [1, 3])
def test_aiff_that_sox_pipes_is_of_unknown_length(n_channels):
    command = ["sox", "-n", "-r", "16000", "-b", "24", "-c", str(n_channels), "-t", "aiff", "-", "trim", "0", "0.1"]
    content = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    assert check(content, "AIFF").stated is None


@pytest.mark.parametrize("stated", [1_601, 0x7FFFE000, 0x80000001, 0x90000000])
def test_size_that_lies_is_cut_short(stated):
    with pytest.raises(DataError, match="got 1600"):
        check(wav(stated, b"\x20\0" * 800), "WAV")


@pytest.mark.parametrize("behind", [b"", b"LIST\x04\0\0\0INFO", b"LIST\x04\0\0\0INFOid3 \x03\0\0\0abc\0"])
def test_wav_of_no_samples_is_empty_whatever_chunks_follow(behind):
    assert check(wav(0, b"", behind), "WAV").stated == 0


def test_rf64_states_its_size_in_another_chunk():
    content = written("RF64")
    assert b"data\xff\xff\xff\xff" in content
    place = content.index(b"ds64") + 16
    unknown = content[:place] + bytes(8) + content[place + 8 :]
    assert check(unknown, "RF64").stated is None


def test_big_endian_wav_is_read_as_such():
    file = io.BytesIO()
    soundfile.write(file, np.zeros(N_BYTES // 2), 16_000, format="WAV", endian="BIG")
    assert check(file.getvalue(), "WAV").stated == N_BYTES


def test_wav_beyond_four_gib_is_told(tmp_path):
    path = tmp_path / "a.wav"
    with path.open("wb") as file:
        file.write(wav(100, b""))
        file.truncate((1 << 32) + 144)  # sparse: it takes no room
    with path.open("rb") as file, pytest.raises(DataError, match="states 100 bytes of audio, but 4294967396 follow"):
        check_complete(file, "WAV", "a.wav", path.stat().st_size)


def test_sphere_whose_samples_are_compressed_is_not_checked():
    content = written("NIST").replace(b"sample_coding -s3 pcm", b"sample_coding -s27 pcm,embedded-shorten-v2.00")
    assert find_samples(io.BytesIO(content), "SPHERE", len(content)) is None


@pytest.mark.parametrize("name", [None, "FLAC", "Ogg"])
def test_other_formats_are_left_to_their_decoder(name):
    assert check(b"fLaC", name) is None


def box(name: bytes, content: bytes = b"", size: int | None = None) -> bytes:
    return struct.pack(">I", len(content) + 8 if size is None else size) + name + content


@pytest.mark.parametrize(
    "content",
    [
        box(b"ftyp") + box(b"moov", b"x" * 20) + box(b"mdat", b"x" * 50),
        box(b"ftyp") + box(b"moov", b"x" * 20) + box(b"mdat", box(b"moof", b"x" * 50, size=999), size=0),  # to the end
        box(b"ftyp") + box(b"moov") + box(b"mdat", struct.pack(">Q", 66) + b"x" * 50, size=1),
        box(b"ftyp") + box(b"moov") + box(b"mdat", b"x" * 50) + b"TAG" + b"x" * 125,  # an ID3 tag of the first kind
    ],
)
def test_whole_mpeg_4_passes(content):
    assert check(content, "MPEG-4") is None


@pytest.mark.parametrize("size", [60, 0x7FFFFFFF])
def test_mpeg_4_box_beyond_the_end_is_cut_short(size):
    content = box(b"ftyp") + box(b"moov") + box(b"mdat", b"x" * 50, size=size)
    with pytest.raises(DataError, match=f"cut short: expected {size} bytes of audio, got 58"):
        check(content, "MPEG-4")


def test_mpeg_4_without_its_index_is_cut_short():
    with pytest.raises(DataError, match="without its index"):
        check(box(b"ftyp") + box(b"mdat", b"x" * 50), "MPEG-4")


@pytest.mark.parametrize("name", ["WAV", "W64", "CAF"])
def test_chunk_of_impossible_length_ends_the_search(name):
    layout = LAYOUTS[name]
    header = written(name)[: layout.begin]
    chunk = b"x" * layout.name_bytes + b"\xff" * layout.size_bytes
    with pytest.raises(DataError, match=f"cut short: a {name} header without samples"):
        check(header + chunk, name)
