import importlib.util
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from mrlspk.data.speech import silero
from mrlspk.data.speech.silero import SileroDetector, load_silero

RATE = 16_000


@pytest.fixture(scope="module")
def detector():
    return load_silero()


@pytest.fixture
def utterance(shared):
    return soundfile.read(shared / "speech" / "test" / "ls01998" / "15444" / "00005.wav", dtype="float32")[0]


def search(detector, waveform, cuts=()):
    found = detector.search()
    for block in np.split(np.asarray(waveform, np.float32), cuts):
        found.add(block)
    return found


def test_probabilities_equal_those_of_the_package(detector, utterance):
    from silero_vad.utils_vad import OnnxWrapper

    (folder,) = importlib.util.find_spec("silero_vad").submodule_search_locations
    package = OnnxWrapper(str(Path(folder) / "data" / "silero_vad.onnx"), force_onnx_cpu=True)
    expected = package.audio_forward(torch.from_numpy(utterance.copy()), RATE)[0].numpy()
    np.testing.assert_array_equal(search(detector, utterance).probabilities(), expected)


def test_results_do_not_depend_on_blocks(detector, utterance):
    whole = search(detector, utterance)
    parts = search(detector, utterance, cuts=[1, 512, 513, 40_000, 40_001])
    np.testing.assert_array_equal(parts.probabilities(), whole.probabilities())
    np.testing.assert_array_equal(parts.intervals(), whole.intervals())


def test_speech_between_silence_is_found_as_alone(detector, utterance):
    pad = np.zeros(8 * RATE)
    alone = search(detector, utterance).intervals() / RATE
    padded = search(detector, np.concatenate((pad, utterance, pad))).intervals() / RATE
    assert np.sum(alone[:, 1] - alone[:, 0]) > 0.9 * len(utterance) / RATE
    np.testing.assert_allclose(padded - 8, alone, atol=0.1)


@pytest.mark.parametrize("kind", ["silence", "noise", "tone", "clicks"])
def test_other_sounds_are_no_speech(detector, kind):
    rng = np.random.default_rng(0)
    sounds = {
        "silence": np.zeros(4 * RATE),
        "noise": 0.05 * rng.standard_normal(4 * RATE),
        "tone": 0.1 * np.sin(2 * np.pi * 440 * np.arange(4 * RATE) / RATE),
        "clicks": 0.9 * (np.arange(4 * RATE) % 5000 == 0),
    }
    assert search(detector, sounds[kind]).intervals().shape == (0, 2)


def test_no_samples_have_no_speech(detector):
    assert search(detector, np.zeros(0)).intervals().shape == (0, 2)


def test_intervals_end_with_the_recording(detector, utterance):
    cut = utterance[: 3 * RATE + 77]
    assert search(detector, cut).intervals()[-1, 1] == len(cut)


@pytest.mark.parametrize(
    ("probabilities", "expected"),
    [
        ([], []),
        ([0.4, 0.4], [0, 0]),  # neither begins
        ([0.1, 0.5, 0.4, 0.34, 0.4], [0, 1, 1, 0, 0]),  # a middling one goes on with what was
        ([0.9, 0.4, 0.9, 0.1], [1, 1, 1, 0]),
    ],
)
def test_speech_begins_at_one_half_and_ends_below_035(probabilities, expected):
    found = silero._mark_speech(np.array(probabilities, np.float32))
    assert found.astype(int).tolist() == expected


class Scripted:
    """A session that returns given probabilities, one after the other."""

    def __init__(self, *probabilities):
        self._left = iter(probabilities)

    def run(self, _outputs, feeds):
        return np.array([[next(self._left)]], np.float32), feeds["state"]


@pytest.mark.parametrize(
    ("probabilities", "frames"),
    [
        ([0] * 50 + [1] * 50 + [0] * 50, [160, 320]),  # chunks of 3.2 frames
        ([0] * 50 + [1] * 45 + [0] * 2 + [1] * 3 + [0] * 50, [160, 320]),
        ([0] * 50 + [1] * 7 + [0] * 93, None),  # 0.22 s
    ],
    ids=["speech", "a gap of 64 ms", "a blip"],
)
def test_intervals_match_hand_count(probabilities, frames):
    noise = np.random.default_rng(0).standard_normal(150 * 512)
    found = search(SileroDetector(Scripted(*probabilities), "silero-scripted"), noise).intervals() // 160
    assert found.tolist() == ([] if frames is None else [[frames[0] - 30, frames[1] + 50]])


def test_version_names_the_package_and_its_file(detector):
    name, version, digest = detector.version.split("-")
    assert name == "silero"
    assert version.count(".") >= 1
    assert len(digest) == 8
