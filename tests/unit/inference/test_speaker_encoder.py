import logging
import pickle
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice

import numpy as np
import pytest
import soundfile
import torch

import mrlspk
from factories import RATE, recording_of, tiny_encoder
from mrlspk.data.speech.energy import EnergyDetector
from mrlspk.errors import DataError, MetricError, UsageError
from mrlspk.inference import embed_many
from mrlspk.inference.embedding import embed_recordings, unit_prefix
from mrlspk.inference.speaker_encoder import SpeakerEncoder
from mrlspk.inference.torch_backend import TorchBackend


@pytest.fixture(scope="module")
def encoder():
    return SpeakerEncoder(TorchBackend(tiny_encoder((4, 8))))


def noise(seconds=0.5, *, level=0.1, seed=0):
    return (level * np.random.default_rng(seed).normal(size=round(seconds * RATE))).astype(np.float32)


@pytest.fixture
def samples():
    return noise()


def talk(before=1.0, speech=1.5, after=2.0):
    """Return loud noise in faint noise, which the detector takes for speech."""
    return np.concatenate([noise(before, level=1e-4), noise(speech), noise(after, level=1e-4)])


class Constant:
    """Embeds everything as one vector whose float32 square at unit length is above 1."""

    min_samples, dims, embed_dim, sample_rate, runtime, concurrency = 400, (3,), 3, 16_000, {}, 1

    def __init__(self):
        rows = torch.randn(1000, 3, generator=torch.Generator().manual_seed(0))
        units = torch.nn.functional.normalize(rows, dim=-1).numpy()
        self.row = rows.numpy()[int(np.argmax([float(unit @ unit) for unit in units]))]

    def embed(self, waveforms):
        return np.broadcast_to(self.row, (len(waveforms), 3))


class Zero(Constant):
    def embed(self, waveforms):
        return np.zeros((len(waveforms), 3), np.float32)


def test_embedding_is_cut_before_it_is_normalised(encoder, samples):
    full, narrow = encoder.embed(samples), encoder.embed(samples, dim=4)
    assert (full.shape, full.dtype, narrow.shape) == ((8,), np.float32, (4,))
    assert narrow == pytest.approx(full[:4] / np.linalg.norm(full[:4]), abs=1e-6)
    assert np.linalg.norm(full) == pytest.approx(1, abs=1e-6)


def test_file_array_and_tensor_give_the_same_embedding(encoder, tmp_path):
    samples, path = talk(), tmp_path / "a.wav"
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    expected = encoder.embed(path)
    for audio in (str(path), samples, samples.astype(np.float64), samples.tolist(), torch.from_numpy(samples)):
        assert np.array_equal(encoder.embed(audio), expected)


def test_array_at_another_rate_is_resampled_like_a_file(encoder, tmp_path):
    samples, path = noise(2, seed=1), tmp_path / "a.wav"
    soundfile.write(path, samples, 44_100, subtype="FLOAT")
    assert encoder.embed(samples, sample_rate=44_100) == pytest.approx(encoder.embed(path), abs=1e-5)


def test_speech_alone_is_embedded_unless_all_is_wanted(encoder):
    search, padded = EnergyDetector().search(), talk()
    search.add(padded)
    ((start, end),) = search.intervals().tolist()
    assert 0 < start < end < len(padded)
    assert np.array_equal(encoder.embed(padded), encoder.embed(padded[start:end], speech="all"))
    assert not np.allclose(encoder.embed(padded), encoder.embed(padded, speech="all"), atol=1e-3)


@pytest.mark.parametrize("channel", [0, 1, "left", "right"])
def test_channel_of_a_file_is_that_channel_alone(encoder, tmp_path, channel):
    both, path = np.stack([noise(seed=1), noise(seed=2)], axis=1), tmp_path / "call.wav"
    soundfile.write(path, both, RATE, subtype="FLOAT")
    number = {"left": 0, "right": 1}.get(channel, channel)
    assert np.array_equal(encoder.embed(path, channel=channel), encoder.embed(both[:, number]))


def test_array_has_one_channel(encoder, samples):
    assert np.array_equal(encoder.embed(samples, channel=0), encoder.embed(samples))
    with pytest.raises(DataError, match="1 channel"):
        encoder.embed(samples, channel=1)


def test_long_array_is_embedded_in_windows(encoder, monkeypatch):
    monkeypatch.setattr(embed_many, "MAX_SECONDS", 1.0)
    long = noise(3.0)
    windows = np.stack([encoder.embed(part, speech="all") for part in np.split(long, 3)]).mean(0)
    assert encoder.embed(long, speech="all") == pytest.approx(windows / np.linalg.norm(windows), abs=1e-6)


def test_windows_and_speech_are_those_of_the_command_line(tmp_path, monkeypatch):
    monkeypatch.setattr(embed_many, "MAX_SECONDS", 1.0)
    backend, path = TorchBackend(tiny_encoder((4, 8))), tmp_path / "a.wav"
    soundfile.write(path, talk(speech=3.0), RATE, subtype="FLOAT")
    recording = recording_of(path)
    expected = embed_recordings(backend, [recording], batch_size=1, max_seconds=1.0, speech=EnergyDetector())
    found = list(SpeakerEncoder(backend).embed_many([path, talk(speech=3.0)]))
    for each in found:
        assert each.unwrap() == pytest.approx(unit_prefix(expected.embeddings[recording].vector, 8), abs=1e-6)
        assert each.speech_seconds == expected.embeddings[recording].speech_seconds > 1


def test_embed_logs_the_warnings(encoder, tmp_path, caplog):
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(2), 8000)
    with caplog.at_level(logging.WARNING, "mrlspk.encoding"):
        encoder.embed(path, speech="all")
        encoder.embed(40_000 * noise(2), speech="all")
    assert [each.getMessage() for each in caplog.records] == [f"{path}: upsampled from 8000 Hz", "audio: out of range"]


@pytest.mark.parametrize("audio", [None, b"audio", [[0.1], [0.2, 0.3]], np.zeros(8000, np.int16), np.zeros((2, 8000))])
def test_anything_but_audio_is_a_data_error(encoder, audio):
    with pytest.raises(DataError, match="expected floating-point samples"):
        encoder.embed(audio)


def test_embedding_without_direction_is_an_error_of_its_recording(samples):
    encoder = SpeakerEncoder(Zero())
    with pytest.raises(DataError, match="its embedding is zero"):
        encoder.embed(samples)
    assert [str(each.error).partition("\n")[0] for each in encoder.embed_many([samples, samples])] == [
        "audio[0]: its embedding is zero",
        "audio[1]: its embedding is zero",
    ]


@pytest.mark.parametrize(
    ("wrong", "expected"),
    [
        ({"dim": 6}, "4, 8"),
        ({"dim": 16}, "4, 8"),
        ({"dim": "4"}, "expected one of 4, 8, got '4'"),
        ({"sample_rate": "16k"}, "expected Hz, such as 16000, got '16k'"),
        ({"speech": "none"}, "expected auto, silero or all"),
        ({"channel": "middle"}, "expected mix, left, right or a number"),
        ({"channel": -1}, "expected mix, left, right or a number"),
    ],
)
def test_request_that_cannot_be_met_names_the_parameter_at_once(encoder, samples, wrong, expected):
    for call in (encoder.embed, lambda one, **rest: encoder.embed_many([one], **rest)):
        with pytest.raises(UsageError, match=expected) as caught:
            call(samples, **wrong)
        assert str(caught.value).startswith(f"{next(iter(wrong))}: ")
        assert "--" not in str(caught.value)


@pytest.mark.parametrize("model", [None, 3, ""])
def test_load_of_neither_path_nor_name_is_a_usage_error(model):
    with pytest.raises(UsageError, match="expected the path or the name of a model, got"):
        mrlspk.load(model)


def test_unknown_backend_is_a_usage_error(tmp_path):
    with pytest.raises(UsageError, match="backend: expected auto, torch, onnxruntime, openvino, got 'onnx'"):
        mrlspk.load(tmp_path / "model.pt", backend="onnx")


def test_printed_encoder_shows_its_widths(encoder):
    assert repr(encoder) == "SpeakerEncoder(dims=(4, 8))"


def test_unknown_device_is_a_usage_error(tmp_path):
    for name in ("gpu", "cuda:x", "xpu"):
        with pytest.raises(UsageError, match="expected auto, cpu, cuda, cuda:N or mps"):
            mrlspk.load(tmp_path / "model.pt", device=name)


@pytest.mark.parametrize("batch_size", [1, 3, 16])
def test_many_come_in_order_each_with_its_own_error(encoder, tmp_path, batch_size):
    path, absent = tmp_path / "a.wav", tmp_path / "absent.wav"
    soundfile.write(path, noise(seed=3), RATE, subtype="FLOAT")
    audio = [noise(seed=1), absent, str(path), np.zeros(8000, np.int16), noise(0.7, seed=2), path, noise(0.01)]
    found = list(encoder.embed_many(audio, dim=4, speech="all", batch_size=batch_size))
    assert [each.index for each in found] == list(range(7))
    assert [each.path for each in found] == [None, str(absent), str(path), None, None, str(path), None]
    failed = {each.index: str(each.error).partition("\n")[0] for each in found if each.error}
    assert failed == {
        1: f"{absent}: no such file",
        3: "audio[3]: expected floating-point samples (samples,), got ndarray of int16 and shape (8000,)",
        6: "audio[6]: too short: 160 samples at 16 kHz, at least 257 are needed",
    }
    for each in found:
        if each.error:
            assert (each.embedding, each.seconds, each.speech_seconds, each.warnings) == (None, None, None, ())
            with pytest.raises(DataError) as caught:
                each.unwrap()
            assert caught.value is each.error
        else:
            alone = encoder.embed(audio[each.index], dim=4, speech="all")
            assert each.unwrap() == pytest.approx(alone, abs=1e-6)
    assert [each.seconds for each in found if not each.error] == [0.5, 0.5, 0.7, 0.5]


def test_results_tell_speech_seconds_and_warnings(encoder):
    padded, short, silent = encoder.embed_many([talk(), talk(1, 0.3, 1), np.zeros(RATE, np.float32)])
    assert padded.seconds == 4.5
    assert padded.speech_seconds == pytest.approx(1.5, abs=0.5)
    assert (padded.warnings, short.warnings, silent.warnings) == ((), ("short",), ("silent",))
    assert silent.speech_seconds == 0
    (whole,) = encoder.embed_many([talk()], speech="all")
    assert (whole.seconds, whole.speech_seconds) == (4.5, None)


def test_endless_recordings_are_read_as_results_are_taken(encoder, samples):
    read = []

    def endless():
        for number in count():
            assert number < 100, "read too far"
            read.append(number)
            yield samples

    results = encoder.embed_many(endless(), batch_size=1)
    assert read == []
    assert [each.index for each in islice(results, 3)] == [0, 1, 2]
    assert read == [0, 1, 2]
    assert next(encoder.embed_many(endless(), batch_size=2)).index == 0
    assert len(read) <= 3 + 4 * 2


def test_rows_of_a_tensor_are_recordings(encoder):
    rows = torch.from_numpy(np.stack([noise(seed=seed) for seed in range(3)]))
    found = [each.unwrap() for each in encoder.embed_many(rows)]
    assert np.stack(found) == pytest.approx(np.stack([encoder.embed(row) for row in rows]), abs=1e-6)


@pytest.mark.parametrize(
    ("audio", "options", "message"),
    [
        ("a.wav", {}, "audio: expected several recordings, got one path"),
        (noise(), {}, "audio: expected several recordings, got one waveform"),
        (torch.zeros(8000), {}, "audio: expected several recordings, got one waveform"),
        ([], {"batch_size": 0}, "batch_size: expected 1 or more"),
    ],
)
def test_one_recording_in_place_of_many_is_a_usage_error(encoder, audio, options, message):
    with pytest.raises(UsageError, match=message):
        encoder.embed_many(audio, **options)


def test_no_recordings_give_no_results(encoder):
    assert list(encoder.embed_many([])) == []


def test_printed_result_leaves_out_the_values(encoder, samples):
    (found,) = encoder.embed_many([samples], speech="all")
    assert repr(found) == (
        "EmbeddedAudio(index=0, path=None, seconds=0.5, speech_seconds=None, warnings=('short',), error=None)"
    )


def test_similarity_takes_recordings_embeddings_and_results_alike(encoder, tmp_path):
    a, b, path = noise(seed=1), noise(seed=2), tmp_path / "a.wav"
    soundfile.write(path, a, RATE, subtype="FLOAT")
    for dim in (None, 4):
        expected = float(encoder.embed(a, dim=dim) @ encoder.embed(b, dim=dim))
        sides = a, path, encoder.embed(a), torch.from_numpy(encoder.embed(a)), next(encoder.embed_many([a]))
        for side in (*sides, encoder.embed(a, dim=dim).tolist()):
            assert encoder.similarity(side, b, dim=dim) == pytest.approx(expected, abs=1e-6)
            assert encoder.similarity(encoder.embed(b), side, dim=dim) == pytest.approx(expected, abs=1e-6)


def test_similarity_of_a_recording_with_itself_is_no_more_than_one(samples):
    assert SpeakerEncoder(Constant()).similarity(samples, samples) <= 1.0


def test_similarity_of_different_widths_is_an_error(encoder, samples):
    narrow = encoder.embed(samples, dim=4)
    with pytest.raises(MetricError, match="4 and 8 values"):
        encoder.similarity(narrow, samples)
    with pytest.raises(MetricError, match="no width 8"):
        encoder.similarity(narrow, samples, dim=8)
    assert encoder.similarity(narrow, samples, dim=4) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("values", [np.full(8, 0.5), np.full(6, 6**-0.5), np.full((1, 8), 8**-0.5)])
def test_array_that_is_no_embedding_of_the_model_is_taken_as_audio(encoder, samples, values):
    with pytest.raises(DataError, match=r"too short: \d samples|shape \(1, 8\)"):
        encoder.similarity(values, samples)


def test_similarity_with_a_result_that_has_an_error_raises_it(encoder, samples):
    (failed,) = encoder.embed_many(["absent.wav"])
    with pytest.raises(DataError, match="absent.wav: no such file"):
        encoder.similarity(samples, failed)


def test_speech_seconds_are_those_of_the_results(encoder, tmp_path):
    path = tmp_path / "call.wav"
    soundfile.write(path, np.stack([talk(), talk(2, 0.5, 2)], axis=1), RATE, subtype="FLOAT")
    for audio, options in [(talk(), {}), (noise(), {}), (path, {"channel": 1})]:
        (found,) = encoder.embed_many([audio], **options)
        assert encoder.speech_seconds(audio, **options) == found.speech_seconds
    assert encoder.speech_seconds(path, channel=1) < encoder.speech_seconds(path, channel=0)
    with pytest.raises(UsageError, match="speech: expected auto or silero, got all"):
        encoder.speech_seconds(path, speech="all")
    with pytest.raises(DataError, match="no such file"):
        encoder.speech_seconds("absent.wav")


def test_threads_share_an_encoder(encoder):
    audio = [noise(0.3 + 0.01 * (number % 7), seed=number) for number in range(40)]
    expected = [encoder.embed(each) for each in audio]
    with ThreadPoolExecutor(8) as pool:
        assert np.array_equal(list(pool.map(encoder.embed, audio)), expected)


def test_pickled_encoder_gives_the_same_embedding(encoder, samples):
    expected = encoder.embed(samples)  # also after its first use
    assert np.array_equal(pickle.loads(pickle.dumps(encoder)).embed(samples), expected)


def test_same_call_gives_the_same_bits(encoder, samples):
    assert np.array_equal(encoder.embed(samples), encoder.embed(samples))
