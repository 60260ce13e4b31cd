import io

import numpy as np
import pytest
import soundfile

from mrlspk.data.audio.formats import AUDIO_SUFFIXES, HEADERLESS_SUFFIXES, is_playlist, recognise

NAMES = {"WAV": "WAV", "WAVEX": "WAV", "RF64": "RF64", "W64": "W64", "AIFF": "AIFF", "CAF": "CAF", "AU": "AU"}
NAMES |= {"NIST": "SPHERE", "FLAC": "FLAC", "OGG": "Ogg"}


def written(audio_format: str, **options: str) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(1_600), 16_000, format=audio_format, **options)
    return file.getvalue()


@pytest.mark.parametrize(("audio_format", "name"), NAMES.items())
def test_recognises_what_libsndfile_writes(audio_format, name):
    assert recognise(io.BytesIO(written(audio_format))) == name


@pytest.mark.parametrize("audio_format", ["WAV", "AU"])
def test_recognises_the_other_byte_order(audio_format):
    content = written(audio_format, endian="BIG" if audio_format == "WAV" else "LITTLE")
    assert content[:4] in {b"RIFX", b"dns."}
    assert recognise(io.BytesIO(content)) == audio_format


@pytest.mark.parametrize("length", [0, 100, 5_000])
def test_looks_behind_an_id3_tag(length):
    tag = b"ID3\x04\0\0" + bytes([0, 0, length >> 7, length & 127]) + b"\xff" * length
    assert recognise(io.BytesIO(tag + written("FLAC"))) == "FLAC"
    assert recognise(io.BytesIO(tag + b"\xff\xfb\x90\x00")) is None


@pytest.mark.parametrize(
    "content",
    [b"", b"RIFF", b"RIFF\x10\0\0\0AVI LIST", b"FORM\0\0\0\x108SVX", b"This is a text file.", b"\0" * 100, b"ID3"],
)
def test_anything_else_is_left_to_ffmpeg(content):
    assert recognise(io.BytesIO(content)) is None


def test_recognises_mpeg_4_by_its_first_box():
    assert recognise(io.BytesIO(b"\0\0\0\x1cftypM4A \0\0\0\0")) == "MPEG-4"


def test_suffixes_are_lower_case_and_headerless_ones_apart():
    assert all(suffix.startswith(".") and suffix == suffix.lower() for suffix in AUDIO_SUFFIXES)
    assert {
        ".wav",
        ".flac",
        ".ogg",
        ".opus",
        ".m4a",
        ".mp3",
        ".wma",
        ".amr",
        ".sph",
        ".aiff",
        ".webm",
        ".mp4",
    } < AUDIO_SUFFIXES
    assert not AUDIO_SUFFIXES & HEADERLESS_SUFFIXES


@pytest.mark.parametrize("text", ["#EXTM3U\na.wav", "\ufeff#EXTM3U\n", "ffconcat version 1.0", "[playlist]\n", "<ASX>"])
def test_playlists_are_known_by_their_first_words(text):
    assert is_playlist(io.BytesIO(text.encode()))


def test_web_page_and_audio_are_no_playlists():
    assert not is_playlist(io.BytesIO(b"<html><body>"))
    assert not is_playlist(io.BytesIO(written("WAV")))
