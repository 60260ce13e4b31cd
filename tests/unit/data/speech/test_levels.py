import numpy as np
import pytest

from mrlspk.data.speech.levels import SAMPLE_RATE, SILENCE_DB, LevelMeter, recording_level


def sine(hz, amplitude, seconds=1.0):
    return (amplitude * np.sin(2 * np.pi * hz * np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE)).astype("f4")


def measure(waveform, *cuts):
    meter = LevelMeter()
    for block in np.split(waveform, cuts):
        meter.add(block)
    return meter.energies()


@pytest.mark.parametrize("hz", [300, 1000, 3900])
def test_energy_of_a_sine_in_the_band_is_its_mean_square(hz):
    energies = measure(sine(hz, 0.1))[2:-2]  # the outermost frames look beyond the recording
    np.testing.assert_allclose(energies, -23.01, atol=0.1)  # 20 log10(0.1) - 3.01


@pytest.mark.parametrize("hz", [50, 100, 5000])
def test_a_sine_outside_the_band_is_50_db_lower(hz):
    assert measure(sine(hz, 0.1))[2:-2].max() < -73


def test_silence_has_the_lowest_energy():
    np.testing.assert_array_equal(measure(np.zeros(1600, np.float32)), np.full(10, SILENCE_DB))


@pytest.mark.parametrize(("n_samples", "n_frames"), [(0, 0), (1, 1), (160, 1), (161, 2), (16_000, 100), (16_001, 101)])
def test_there_is_a_frame_for_every_10_ms_begun(n_samples, n_frames):
    assert len(measure(np.zeros(n_samples, np.float32))) == n_frames


def test_an_impulse_is_loudest_in_the_frame_that_holds_it():
    waveform = np.zeros(8000, np.float32)
    waveform[3_000] = 1.0  # sample 120 of frame 18
    assert measure(waveform).argmax() == 18


def test_energies_do_not_depend_on_blocks():
    waveform = np.random.default_rng(0).standard_normal(5 * SAMPLE_RATE + 77).astype("f4")
    whole = measure(waveform)
    for cuts in ([16_000, 32_000], [1, 2, 170, 40_001], list(range(333, len(waveform), 333))):
        np.testing.assert_array_equal(measure(waveform, *cuts), whole)


def test_energies_so_far_can_be_read_on_the_way():
    waveform = np.random.default_rng(0).standard_normal(SAMPLE_RATE).astype("f4")
    meter = LevelMeter()
    meter.add(waveform[:8000])
    np.testing.assert_array_equal(meter.energies(), measure(waveform[:8000]))
    meter.add(waveform[8000:])
    np.testing.assert_array_equal(meter.energies(), measure(waveform))


@pytest.mark.parametrize(
    ("energies", "level"),
    [
        ([], -np.inf),
        ([-30.0], -30.0),
        ([*[-60.0] * 88, *[-20.0] * 11, -5.0], -20.0),  # the 11th of 100
        ([*[-60.0] * 2000, *[-20.0] * 100], -20.0),  # the 100th
        ([*[-60.0] * 2000, *[-20.0] * 99], -60.0),
    ],
)
def test_recording_level_matches_hand_count(energies, level):
    assert recording_level(np.array(energies, np.float32)) == level
