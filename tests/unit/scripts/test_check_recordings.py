import importlib.util
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "check_recordings.py"


@pytest.fixture(scope="module")
def script():
    spec = importlib.util.spec_from_file_location("check_recordings", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pairs_are_of_one_language(script, shared):
    same, different = script.trials(script.chosen_files(shared / "speech"))
    assert len(same) == 10
    assert len(different) == len(set(different)) == 20
    speakers = [tuple(path.parent.parent.name for path in pair) for pair in different]
    assert all(a != b and a[:2] == b[:2] for a, b in speakers)
    assert {a[:2] for a, _ in speakers} == {"ar", "ls"}


@pytest.mark.parametrize(("kind", "db"), [("noise", -70), ("hum", -54)])
def test_padding_has_its_level(script, kind, db):
    samples = script.padding(kind, 160_000, 0).astype(np.float64)
    assert 10 * np.log10(np.mean(samples**2)) == pytest.approx(db, abs=0.05)


def test_noise_has_its_ratio_to_speech_without_padding(script):
    rng = np.random.default_rng(0)
    waveform = np.concatenate((np.zeros(10_000), rng.standard_normal(10_000))).astype(np.float32)
    noise = script.with_noise(waveform, rng.standard_normal(5_000).astype(np.float32), 10) - waveform
    assert 10 * np.log10(np.mean(noise**2)) == pytest.approx(-10, abs=0.2)


def test_a_telephone_keeps_its_band_and_nothing_above(script):
    time = np.arange(16_000) / 16_000
    kept, lost = (
        script.over_telephone((0.3 * np.sin(2 * np.pi * hz * time)).astype(np.float32)) for hz in (1000, 5000)
    )
    assert np.std(kept) == pytest.approx(0.3 / np.sqrt(2), rel=0.02)
    assert np.std(lost) < 0.003
