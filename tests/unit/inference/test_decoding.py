import tracemalloc

import numpy as np
import pytest

from fake_audio import FakeAudio, FakeDetector
from mrlspk.data.audio.source import FileSource
from mrlspk.errors import DataError
from mrlspk.inference import decoding
from mrlspk.inference.decoding import decode, decoded_samples
from mrlspk.inference.spans import whole_span

RATE = 16_000
SOURCE = FileSource("a")
WINDOWS = [np.array([[1, 9]]), np.array([[9, 10], [15, 22]]), np.array([[30, 38]])]  # blocks have 7 samples
SAMPLES = [[*range(1, 9)], [9, *range(15, 22)], [*range(30, 38)]]


@pytest.fixture
def audio(monkeypatch):
    fake = FakeAudio().install(monkeypatch)
    fake.add("a", np.arange(40), warnings=("channels differ",))
    return fake


@pytest.fixture
def is_long(monkeypatch):
    monkeypatch.setattr(decoding, "HELD_SECONDS", 39 / RATE)


def test_short_recording_is_decoded_once(audio):
    decoded = decode(SOURCE, sample_rate=RATE, speech=None)
    assert [window.tolist() for window in decoded.read(WINDOWS)] == SAMPLES
    assert [window.tolist() for window in decoded.read(WINDOWS[1:])] == SAMPLES[1:]
    assert (decoded.n_samples, decoded.speech, decoded.warnings) == (40, None, ("channels differ",))
    assert audio.opened == ["a"]


@pytest.mark.usefixtures("is_long")
def test_long_recording_is_decoded_again_to_the_same_windows(audio):
    decoded = decode(SOURCE, sample_rate=RATE, speech=None)
    assert audio.opened == ["a"]
    assert [window.tolist() for window in decoded.read(WINDOWS)] == SAMPLES
    assert [window.tolist() for window in decoded.read(WINDOWS[1:])] == SAMPLES[1:]
    assert (decoded.n_samples, decoded.warnings) == (40, ("channels differ",))
    assert audio.opened == ["a", "a", "a"]


@pytest.mark.usefixtures("audio")
def test_detector_hears_every_sample():
    detector = FakeDetector((2, 9))
    decoded = decode(SOURCE, sample_rate=RATE, speech=detector)
    assert detector.heard == [list(range(40))]
    assert decoded.speech.tolist() == [[2, 9]]
    array = decoded_samples(np.arange(5, dtype=np.float32), "array", sample_rate=RATE, speech=detector)
    assert detector.heard[1:] == [list(range(5))]
    assert array.speech.tolist() == [[2, 9]]
    assert [window.tolist() for window in array.read([np.array([[1, 3]])])] == [[1, 2]]


def test_speech_of_another_rate_is_searched_at_16_khz(audio):
    time = np.arange(8000) / 8000
    audio.add("a", np.sin(2 * np.pi * 100 * time))
    detector = FakeDetector((3201, 6400), (15_000, 16_004))
    decoded = decode(SOURCE, sample_rate=8000, speech=detector)
    assert decoded.speech.tolist() == [[1600, 3200], [7500, 8000]]
    expected = np.sin(2 * np.pi * 100 * np.arange(16_000) / 16_000)
    assert np.allclose(detector.heard[0][500:-500], expected[500:-500], atol=1e-3)


@pytest.mark.usefixtures("is_long")
def test_recording_that_shrinks_meanwhile_is_an_error(audio):
    decoded = decode(SOURCE, sample_rate=RATE, speech=None)
    audio.samples["a"] = np.zeros(20, np.float32)
    windows = decoded.read(WINDOWS)
    assert len(next(windows)) == 8
    with pytest.raises(DataError, match="changed while it was read"):
        list(windows)


@pytest.mark.usefixtures("is_long")
def test_file_that_is_replaced_meanwhile_is_an_error(audio, tmp_path):
    source = FileSource(str(tmp_path / "a.wav"))
    source.path.write_bytes(b"first")
    audio.add(str(source), np.arange(40))
    decoded = decode(source, sample_rate=RATE, speech=None)
    assert len(list(decoded.read(WINDOWS))) == 3
    source.path.write_bytes(b"second")
    with pytest.raises(DataError, match="changed while it was read"):
        next(decoded.read(WINDOWS))


@pytest.mark.usefixtures("is_long")
def test_progress_rises_while_a_long_recording_is_decoded(audio):
    parts = []
    decode(SOURCE, sample_rate=RATE, speech=None, on_part=parts.append)
    assert parts == [pytest.approx(1 - 39 / 40)]  # from the block that was too much to hold
    parts.clear()
    audio.add("a", np.arange(78))
    decode(SOURCE, sample_rate=RATE, speech=None, on_part=parts.append)
    assert parts == [pytest.approx(1 - 39 / each) for each in (42, 49, 56, 63, 70, 77, 78)]


def test_memory_does_not_grow_with_the_length(monkeypatch):
    def peak(seconds):
        fake.add("a", np.zeros(seconds * RATE))
        tracemalloc.start()
        decoded = decode(SOURCE, sample_rate=RATE, speech=None)
        for _ in decoded.read([whole_span(RATE) + number * RATE for number in range(seconds)]):
            pass
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    fake = FakeAudio(block=RATE).install(monkeypatch)
    monkeypatch.setattr(decoding, "HELD_SECONDS", 5)
    assert peak(200) < 1.1 * peak(20)
