"""Real recordings with pauses, of two channels, and too long to hold."""

import numpy as np
import pytest
import soundfile
import torch

from factories import recording_of, tiny_encoder
from mrlspk.data.audio import load_audio, save_m4a
from mrlspk.data.speech.energy import EnergyDetector
from mrlspk.inference import decoding
from mrlspk.inference.embedding import embed_recordings
from mrlspk.inference.torch_backend import TorchBackend
from mrlspk.models.checkpoints import load_model

RATE = 16_000
OPTIONS = {"batch_size": 4, "max_seconds": 60.0}


@pytest.fixture(scope="module")
def voices(shared):
    """Twelve seconds each of two speakers."""
    speakers = sorted((shared / "speech" / "test").iterdir())[:2]
    return [np.concatenate([load_audio(path).numpy() for path in sorted(each.rglob("*.wav"))[:3]]) for each in speakers]


def write(path, samples, rate=RATE):
    soundfile.write(path, samples, rate, subtype="FLOAT" if path.suffix == ".wav" else None)
    return recording_of(path)


def embed(model, recordings, **options):
    found = embed_recordings(model, recordings, **OPTIONS | options)
    assert not found.errors
    return list(found.embeddings.values())


def cosine(first, second):
    return first.vector @ second.vector / np.linalg.norm(first.vector) / np.linalg.norm(second.vector)


def test_pauses_do_not_change_an_embedding(shared, voices, tmp_path):
    model = TorchBackend(load_model(shared / "pretrained" / "redimnet-small-speech.pt").encoder)
    speech, rng = voices[0], np.random.default_rng(0)
    around = {"silence": np.zeros(2 * 30 * RATE), "noise": 10 ** (-70 / 20) * rng.normal(size=2 * 30 * RATE)}
    plain = write(tmp_path / "plain.wav", speech)
    padded = [
        write(tmp_path / f"{name}.wav", np.concatenate((each[: 30 * RATE], speech, each[30 * RATE :])))
        for name, each in around.items()
    ]
    whole, *found = embed(model, [plain, *padded], speech=EnergyDetector())
    assert min(cosine(whole, each) for each in found) >= 0.98
    assert [each.seconds for each in found] == [72.0, 72.0]
    assert [each.speech_seconds for each in found] == pytest.approx([whole.speech_seconds] * 2, abs=0.7)  # its edges
    assert cosine(*embed(model, [plain, padded[0]])) < 0.9  # with all audio


@pytest.mark.parametrize("suffix", [".wav", ".flac", ".m4a"])
@pytest.mark.parametrize("detector", [None, EnergyDetector()], ids=["all", "auto"])
def test_long_recording_is_embedded_like_a_short_one(voices, tmp_path, monkeypatch, suffix, detector):
    path, pause = tmp_path / f"a{suffix}", np.zeros(2 * RATE, np.float32)
    samples = np.concatenate((voices[0], pause, voices[1]))
    if suffix == ".m4a":
        save_m4a(path, torch.from_numpy(samples))
    else:
        write(path, np.stack((samples, samples), axis=1), 44_100)
    model, options = TorchBackend(tiny_encoder((8,))), {"max_seconds": 3.0, "speech": detector}
    (held,) = embed(model, [recording_of(path)], **options)
    monkeypatch.setattr(decoding, "HELD_SECONDS", 1.0)
    (streamed,) = embed(model, [recording_of(path)], **options)
    assert streamed.vector == pytest.approx(held.vector, abs=1e-6)
    assert (streamed.seconds, streamed.speech_seconds) == (held.seconds, held.speech_seconds)


def test_warnings_of_a_call_are_told_once_and_damage_costs_one_file(run, voices, tmp_path, write_model):
    call = np.stack([each[: 4 * RATE] for each in voices], axis=1)
    write(tmp_path / "call.wav", call)
    write(tmp_path / "good.wav", voices[0][: 4 * RATE])
    (tmp_path / "cut.wav").write_bytes((tmp_path / "good.wav").read_bytes()[:50_000])
    outcome = run("embed", tmp_path, "--model", write_model(tmp_path / "model.pt"), "--json")
    assert outcome.exit_code == 3
    assert {each["id"]: each["warnings"] for each in outcome.json["embeddings"]} == {
        "call.wav": ["channels differ"],
        "good.wav": [],
    }
    assert [each["id"] for each in outcome.json["errors"]] == ["cut.wav"]
