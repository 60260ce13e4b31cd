"""Formats that are written and read back to find out whether they can be read."""

import av
import numpy as np
import pytest

from mrlspk.errors import DataError
from mrlspk.workflows import decoder_checks
from mrlspk.workflows.decoder_checks import DECODES, FORMATS, try_decoders

WAV = FORMATS[0]


@pytest.fixture
def only_wav(monkeypatch):
    monkeypatch.setattr(decoder_checks, "FORMATS", (WAV,))


def test_formats_that_everybody_needs_are_read_here():
    found = {each.format.name: each.detail for each in try_decoders() if each.format.needed}
    assert found == dict.fromkeys(("WAV", "FLAC", "MP3", "M4A", "Opus", "Ogg Vorbis"), DECODES)


@pytest.mark.usefixtures("only_wav")
def test_decoder_that_refuses_a_file_is_reported(monkeypatch):
    def refuse(path):
        raise DataError("cannot be decoded", path)

    monkeypatch.setattr(decoder_checks, "_read", refuse)
    assert [(each.ok, each.detail) for each in try_decoders()] == [(False, "cannot be decoded")]


@pytest.mark.usefixtures("only_wav")
@pytest.mark.parametrize("samples", [np.zeros(48_000, np.float32), 0.5 * np.ones(4_800, np.float32)])
def test_decoder_that_loses_sound_is_reported(monkeypatch, samples):
    monkeypatch.setattr(decoder_checks, "_read", lambda _: samples)
    [found] = try_decoders()
    assert not found.ok
    assert found.detail.startswith("a second of sound is read as ")


@pytest.mark.parametrize(("decoder", "ok"), [("amrnb", True), ("no-such-decoder", False)])
def test_format_that_cannot_be_written_is_looked_up(monkeypatch, decoder, ok):
    unwritable = decoder_checks.Format("AMR", ".amr", "no-such-encoder", decoder)
    monkeypatch.setattr(decoder_checks, "FORMATS", (unwritable,))
    [found] = try_decoders()
    assert found.ok is ok
    assert "decoder" in found.detail


@pytest.mark.usefixtures("only_wav")
def test_package_that_does_not_load_is_reported(monkeypatch):
    def fail(*_):
        raise ImportError("libavcodec.so: cannot open shared object file")

    monkeypatch.setattr(av, "open", fail)
    [found] = try_decoders()
    assert (found.ok, found.detail) == (False, "FFmpeg does not load: libavcodec.so: cannot open shared object file")
