from dataclasses import replace

import numpy as np
import pytest
import soundfile

from factories import recording_of, tiny_encoder
from fake_audio import FakeAudio, FakeDetector, FirstAndLast
from mrlspk.inference import decoding
from mrlspk.inference.embedding import embed_recordings, unit_prefix
from mrlspk.inference.torch_backend import TorchBackend


@pytest.fixture(scope="module")
def encoder():
    return tiny_encoder((4, 8))


@pytest.fixture(scope="module")
def backend(encoder):
    return TorchBackend(encoder)


@pytest.fixture
def files(tmp_path):
    """Seven files of three lengths, in an order that mixes the lengths."""
    rng, found = np.random.default_rng(0), []
    for number, samples in enumerate((8000, 4000, 8000, 6000, 4000, 8000, 4000)):
        path = tmp_path / f"{number}.wav"
        soundfile.write(path, 0.1 * rng.normal(size=samples), 16000)
        found.append(recording_of(path))
    return found


def test_batched_embeddings_equal_single_ones_in_the_order_given(backend, files):
    together = embed_recordings(backend, files, batch_size=2, max_seconds=60)
    assert list(together.embeddings) == files
    for recording in files:
        alone = embed_recordings(backend, [recording], batch_size=1, max_seconds=60)
        assert together.embeddings[recording].vector == pytest.approx(alone.embeddings[recording].vector, abs=1e-5)


def test_unreadable_files_are_listed_and_the_others_embedded(backend, files, tmp_path):
    (tmp_path / "text.wav").write_text("not audio")
    bad = recording_of(tmp_path / "text.wav")
    found = embed_recordings(backend, [*files, bad], batch_size=4, max_seconds=60)
    assert list(found.embeddings) == files
    assert list(found.errors) == [bad]
    assert "text.wav" in found.errors[bad]


def test_progress_counts_up_to_all_recordings(backend, files):
    seen = []
    options = {"batch_size": 2, "max_seconds": 60, "on_progress": lambda *counts: seen.append(counts)}
    embed_recordings(backend, [*files, files[0]], **options)
    assert seen[-1] == (7, 7)
    assert seen == sorted(seen)


def test_pending_audio_beyond_the_limit_is_embedded_early(backend, files, monkeypatch):
    monkeypatch.setattr("mrlspk.inference.pipeline.MAX_WAITING_SECONDS", 0.5)
    found = embed_recordings(backend, files, batch_size=100, max_seconds=60)
    assert list(found.embeddings) == files


class Spoilt:
    """Embeds waveforms of 4,000 samples as a constant, others as ones."""

    min_samples, sample_rate, runtime, concurrency = 400, 16_000, {}, 1

    def __init__(self, value):
        self.value = value

    def embed(self, waveforms):
        value = self.value if waveforms.shape[-1] == 4000 else 1
        return np.full((len(waveforms), 8), value, np.float32)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 0.0])
def test_embeddings_without_a_direction_are_errors(files, value):
    seen = []
    options = {"batch_size": 4, "max_seconds": 60, "on_progress": lambda *counts: seen.append(counts)}
    found = embed_recordings(Spoilt(value), files, **options)
    assert list(found.embeddings) == [files[number] for number in (0, 2, 3, 5)]
    assert set(found.errors) == {files[number] for number in (1, 4, 6)}
    assert "1.wav" in found.errors[files[1]]
    assert seen[-1] == (7, 7)


class EightKilohertz(Spoilt):
    """A model of 8 kHz that embeds the number of samples."""

    min_samples, sample_rate = 2001, 8000

    def embed(self, waveforms):
        return np.full((len(waveforms), 2), waveforms.shape[-1], np.float64)


def test_audio_is_resampled_to_the_rate_of_the_backend(files):
    recordings = [*files[:4], recording_of(files[0].source.path, 0.375)]
    found = embed_recordings(EightKilohertz(0), recordings, batch_size=4, max_seconds=60)
    assert [each.vector.tolist() for each in found.embeddings.values()] == [[n, n] for n in (4000, 4000, 3000, 3000)]
    assert [each.seconds for each in found.embeddings.values()] == [0.5, 0.5, 0.375, 0.375]
    assert {each.vector.dtype for each in found.embeddings.values()} == {np.dtype(np.float32)}
    assert "too short: 2000 samples at 8 kHz, at least 2001" in found.errors[files[1]]


def test_crop_is_the_middle_of_the_file(backend, tmp_path):
    samples = (0.1 * np.random.default_rng(1).normal(size=24_001)).astype(np.float32)
    soundfile.write(tmp_path / "whole.wav", samples, 16000, subtype="FLOAT")
    soundfile.write(tmp_path / "middle.wav", samples[8000:16000], 16000, subtype="FLOAT")
    crop, middle, whole = recordings = [
        recording_of(tmp_path / "whole.wav", 0.5),
        recording_of(tmp_path / "middle.wav"),
        recording_of(tmp_path / "whole.wav"),
    ]
    found = embed_recordings(backend, recordings, batch_size=1, max_seconds=60).embeddings
    assert list(found) == recordings
    assert found[crop].vector == pytest.approx(found[middle].vector, abs=1e-6)
    assert [found[each].seconds for each in (crop, middle, whole)] == [0.5, 0.5, 24_001 / 16_000]


def test_file_shorter_than_its_crop_is_listed_as_too_short(backend, files):
    crops = [recording_of(each.source.path, 0.375) for each in files]  # 6,000 samples
    seen = []
    options = {"batch_size": 4, "max_seconds": 60, "on_progress": lambda *counts: seen.append(counts)}
    found = embed_recordings(backend, crops, **options)
    assert list(found.embeddings) == [crops[number] for number in (0, 2, 3, 5)]
    assert found.too_short == tuple(crops[number] for number in (1, 4, 6))
    assert not found.errors
    assert seen[-1] == (7, 7)


def test_crop_too_short_for_the_model_is_an_error(backend, files):
    crop = recording_of(files[0].source.path, 0.01)
    found = embed_recordings(backend, [crop], batch_size=4, max_seconds=60)
    assert "too short: 160 samples" in found.errors[crop]


def test_recordings_of_one_file_in_a_row_are_decoded_once(backend, files, monkeypatch):
    decoded = []
    open_audio = decoding.open_audio
    monkeypatch.setattr(
        decoding,
        "open_audio",
        lambda source, **options: decoded.append(source.path.name) or open_audio(source, **options),
    )
    crops = [recording_of(each.source.path, crop) for each in files[:2] for crop in (None, 0.2, 0.1)]
    found = embed_recordings(backend, crops, batch_size=4, max_seconds=60)
    assert decoded == ["0.wav", "1.wav"]
    assert list(found.embeddings) == crops


RATE = 16_000
UNIT = np.sqrt(0.5)  # of the vector (1, 1)


@pytest.fixture
def audio(monkeypatch):
    return FakeAudio(block=RATE // 4).install(monkeypatch)


def ramp(seconds, rate=RATE):
    """Samples that tell their own number."""
    return np.arange(round(seconds * rate), dtype=np.float32)


def test_speech_is_cropped_and_cut_into_windows(audio):
    model, detector = FirstAndLast(), FakeDetector((RATE, 3 * RATE), (5 * RATE, 7 * RATE))
    whole = audio.add("a", ramp(9), warnings=("channels differ",))
    crop = audio.add("a", ramp(9), warnings=("channels differ",), crop_seconds=3.0)
    found = embed_recordings(model, [whole, crop], batch_size=4, max_seconds=2.0, speech=detector).embeddings
    pairs = {
        whole: [(RATE, 3 * RATE - 1), (5 * RATE, 7 * RATE - 1)],
        crop: [(1.5 * RATE, 3 * RATE - 1), (5 * RATE, 6.5 * RATE - 1)],
    }
    for recording, seconds, speech_seconds in ((whole, 9, 4), (crop, 3, 3)):
        units = [np.array(pair) / np.hypot(*pair) for pair in pairs[recording]]
        assert found[recording].vector == pytest.approx((units[0] + units[1]) / 2, abs=1e-6)
        assert (found[recording].seconds, found[recording].speech_seconds) == (seconds, speech_seconds)
        assert found[recording].warnings == ("channels differ",)
    assert sorted(model.shapes) == [(1, 1.5 * RATE)] * 2 + [(1, 2 * RATE)] * 2
    assert audio.opened == ["a"]


def test_single_windows_of_equal_speech_share_a_batch(audio):
    model, detector = FirstAndLast(), FakeDetector((RATE, 3 * RATE))
    recordings = [audio.add(name, ramp(seconds)) for name, seconds in (("a", 3), ("b", 4), ("c", 5))]
    found = embed_recordings(model, recordings, batch_size=3, max_seconds=2.0, speech=detector).embeddings
    assert model.shapes == [(3, 2 * RATE)]
    assert [each.vector.tolist() for each in found.values()] == [[RATE, 3 * RATE - 1]] * 3


def test_recording_without_speech_is_embedded_whole_as_silent(audio):
    recording = audio.add("a", ramp(3))
    (embedded,) = embed_recordings(
        FirstAndLast(), [recording], batch_size=4, max_seconds=60, speech=FakeDetector()
    ).embeddings.values()
    assert embedded.vector.tolist() == [0, 3 * RATE - 1]
    assert (embedded.seconds, embedded.speech_seconds, embedded.warnings) == (3.0, 0.0, ("silent",))
    assert embedded.embedded_seconds == 3.0


def test_recording_with_less_speech_than_its_crop_is_too_short(audio):
    crop, relaxed = audio.add("a", ramp(3), crop_seconds=2.0), audio.add("b", ramp(3), crop_seconds=2.0)
    relaxed = replace(relaxed, short_is_whole=True)
    options = {"batch_size": 4, "max_seconds": 60, "speech": FakeDetector((0, RATE))}
    found = embed_recordings(FirstAndLast(), [crop, relaxed], **options)
    assert found.too_short == (crop,)
    assert found.embeddings[relaxed].vector.tolist() == [0, RATE - 1]


def test_long_recording_is_embedded_as_if_it_were_held(audio, monkeypatch):
    recording = audio.add("a", np.random.default_rng(0).normal(size=10 * RATE))
    options = {"batch_size": 4, "max_seconds": 1.5, "speech": FakeDetector((1000, 70_000), (90_001, 150_000))}
    (held,) = embed_recordings(FirstAndLast(), [recording], **options).embeddings.values()
    assert audio.opened == ["a"]
    monkeypatch.setattr(decoding, "HELD_SECONDS", 1)
    (streamed,) = embed_recordings(FirstAndLast(), [recording], **options).embeddings.values()
    assert audio.opened == ["a"] * 3
    assert held.vector.tolist() == streamed.vector.tolist()
    assert held.speech_seconds == streamed.speech_seconds


def test_recording_that_fails_in_its_second_reading_loses_no_other(audio, monkeypatch):
    monkeypatch.setattr(decoding, "HELD_SECONDS", 2)
    names = "a", "bad", "late", "b"
    recordings = [audio.add(name, ramp(seconds) + 1) for name, seconds in zip(names, (1, 5, 5, 5), strict=True)]
    audio.ends = {("bad", 1): 2 * RATE, ("late", 2): 3 * RATE}  # the first window of "late" can be read
    seen, model = [], FirstAndLast()
    options = {"batch_size": 4, "max_seconds": 2.0, "on_progress": lambda *counts: seen.append(counts)}
    found = embed_recordings(model, recordings, **options)
    assert list(found.embeddings) == [recordings[0], recordings[3]]
    assert found.errors == dict.fromkeys(recordings[1:3], "fake: cut short")
    assert seen[-1] == (4, 4)


def test_bar_moves_within_a_long_recording(audio, monkeypatch):
    monkeypatch.setattr(decoding, "HELD_SECONDS", 1)
    recordings = [audio.add("a", ramp(4)), audio.add("b", ramp(0.5))]
    seen = []
    options = {"batch_size": 1, "max_seconds": 1.0, "on_progress": lambda *counts: seen.append(counts)}
    embed_recordings(FirstAndLast(), recordings, **options)
    decoded = [0.1 * (1 - 4 / each) for each in range(5, 17)]  # blocks of a quarter second
    assert [done for done, _ in seen] == pytest.approx([*decoded, 0.1, 0.325, 0.55, 0.775, 1, 2])


@pytest.mark.parametrize("second", [0, -1], ids=["zero", "opposite"])
def test_windows_without_a_direction_are_an_error_of_their_recording(audio, second):
    samples = np.repeat(np.array([1, second], np.float32), RATE)
    recordings = [audio.add("a", samples), audio.add("b", [1] * 2 * RATE)]
    found = embed_recordings(FirstAndLast(), recordings, batch_size=1, max_seconds=1.0)
    assert list(found.errors) == recordings[:1]
    assert "a: its embedding is zero" in found.errors[recordings[0]]
    assert found.embeddings[recordings[1]].vector == pytest.approx(np.full(2, UNIT))


def test_prefix_is_cut_first_and_normalised_then():
    assert unit_prefix(np.array([3, 4, 12], np.float32), 2).tolist() == [pytest.approx(0.6), pytest.approx(0.8)]


@pytest.mark.parametrize("dim", [0, 4])
def test_prefix_wider_than_the_embedding_is_refused(dim):
    with pytest.raises(ValueError, match="cannot be cut from 3 values"):
        unit_prefix(np.zeros(3, np.float32), dim)
