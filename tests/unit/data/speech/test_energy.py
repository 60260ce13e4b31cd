import numpy as np
import pytest
import soundfile

from mrlspk.data.speech.energy import EnergyDetector, find_speech

RATE = 16_000
FRAME = 0.032  # seconds that a frame looks at: intervals of bursts are exact to one


def hiss(seconds, db, seed=0):
    """Return white noise of a level in the band of speech: 250 to 4,000 of 8,000 Hz."""
    noise = np.random.default_rng(seed).standard_normal(round(seconds * RATE))
    return (noise * 10 ** (db / 20) / np.sqrt(3750 / 8000)).astype(np.float32)


def hum(seconds, db, hz=50):
    time = np.arange(round(seconds * RATE)) / RATE
    return (10 ** (db / 20) * np.sqrt(2) * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def talk(seconds, db, floor_db=None, syllable=0.25, gap=0.15):
    """Return bursts of noise that come and go like syllables."""
    period = np.arange(round(seconds * RATE)) % round((syllable + gap) * RATE)
    waveform = hiss(seconds, db, seed=1) * (period < syllable * RATE)
    return waveform.astype(np.float32) if floor_db is None else waveform + hiss(seconds, floor_db, seed=2)


def find(*parts, cuts=()):
    search = EnergyDetector().search()
    for block in np.split(np.concatenate(parts).astype(np.float32), cuts):
        search.add(block)
    return search.intervals() / RATE


def is_near(intervals, *expected, tolerance=FRAME):
    return intervals.shape == (len(expected), 2) and bool(np.all(np.abs(intervals - np.array(expected)) <= tolerance))


@pytest.mark.parametrize("scale", [1.0, 0.01], ids=["usual level", "40 dB lower"])
@pytest.mark.parametrize("start", [3.0, 3.0071], ids=["at a frame", "between frames"])
def test_talk_over_a_floor_is_found_with_its_surroundings(start, scale):
    parts = hiss(start, -65), talk(3.85, -25, -65), hiss(5, -65, seed=3)
    assert is_near(find(*(part * scale for part in parts)), (start - 0.3, start + 3.85 + 0.5))


def test_talk_between_digital_silence_is_found_alone():
    assert is_near(find(np.zeros(40_000), talk(3.85, -25, -65), np.zeros(90_000)), (2.5, 6.35), tolerance=0.02)


def test_a_recording_that_is_all_talk_is_kept_whole():
    assert is_near(find(talk(20.25, -25)), (0, 20.25), tolerance=0.001)


@pytest.mark.parametrize(("pause", "n_intervals"), [(0.9, 1), (1.7, 2)])
def test_pauses_are_kept_until_they_are_long(pause, n_intervals):
    found = find(talk(3.85, -25, -65), hiss(pause, -65), talk(3.85, -25, -65))
    assert len(found) == n_intervals


@pytest.mark.parametrize("seconds", [0.5, 10.0])
@pytest.mark.parametrize(
    "sound",
    [
        lambda seconds: np.zeros(round(seconds * RATE)),
        lambda seconds: np.round(hiss(seconds, -96) * 32768) / 32768,
        lambda seconds: hiss(seconds, -30),
        lambda seconds: hum(seconds, -20),
        lambda seconds: hum(seconds, -20, hz=440),
        lambda seconds: sum(hum(seconds, -40 - 3 * k, hz=50 * k) for k in range(1, 12)),
    ],
    ids=["silence", "dither", "noise", "hum", "tone", "harmonics"],
)
def test_steady_sounds_have_no_speech(sound, seconds):
    assert find(sound(seconds)).shape == (0, 2)


def test_what_comes_and_goes_below_minus_80_db_is_no_speech():
    assert find(talk(10, -85)).shape == (0, 2)


def test_frames_far_below_the_speech_do_not_lower_its_level():
    parts = [-20.0] * 10, [-40.0] * 30, [-60.0] * 20, [-80.0] * 90
    energies = np.concatenate(parts).astype(np.float32)
    assert find_speech(energies).tolist() == [[0, 40]]  # the level is -20: the 7th of 60, not the 16th of 150


@pytest.mark.parametrize(("gap", "expected"), [(9, [[500, 517]]), (10, [])])
def test_blips_close_to_each_other_are_one_syllable(gap, expected):
    energies = np.full(1000, -60, np.float32)
    energies[500:504] = energies[504 + gap : 508 + gap] = -20
    assert find_speech(energies).tolist() == expected


def test_no_samples_have_no_speech():
    assert find(np.zeros(0)).shape == (0, 2)


@pytest.mark.parametrize(
    "sound",
    [hiss(20, -30, seed=5), hum(20, -20, hz=440), hum(20, -54)],
    ids=["loud hiss", "tone louder than the talk", "hum"],
)
def test_steady_sounds_around_talk_are_left_out(sound):
    found = find(sound, talk(3.85, -22, -65), sound)
    assert found[0, 0] >= 19.6
    assert found[-1, 1] <= 24.4
    assert np.sum(found[:, 1] - found[:, 0]) >= 3.6


def test_a_talker_20_db_below_another_is_kept():
    found = find(talk(10.25, -25, -70), hiss(10, -70), talk(10.25, -45, -70))
    assert is_near(found, (0, 10.75), (19.95, 30.5), tolerance=0.06)


def test_what_is_40_db_below_the_talk_is_left_out():
    found = find(talk(10.25, -20, -68), hiss(10, -68), talk(10.25, -60, -68))
    assert is_near(found, (0, 10.75))


def test_a_cough_does_not_hide_quiet_talk():
    found = find(hiss(1, -70), hiss(0.3, -10), hiss(5, -70), talk(10.25, -42, -70))
    assert found[-1, 0] <= 6.1
    assert found[-1, 1] == pytest.approx(16.55, abs=0.01)


def test_a_click_is_no_speech():
    click = np.zeros(3 * RATE)
    click[RATE] = 0.9
    assert find(click, talk(3.85, -25, -65))[0, 0] >= 2.6


def test_a_short_word_does_not_grow_to_a_second():
    found = find(hiss(5, -65), hiss(0.3, -25), hiss(5, -65))
    assert is_near(found, (4.85, 5.45))


def test_little_speech_in_a_long_recording_is_found():
    found = find(hiss(60, -60, seed=4), talk(3.05, -30, -60), hiss(60, -60, seed=5))
    assert is_near(found, (59.7, 63.55))


def test_intervals_do_not_depend_on_blocks():
    parts = hiss(3, -60), talk(4.1, -25, -60), hum(6, -30), talk(2.9, -30, -50)
    whole = find(*parts)
    for cuts in ([1, 16_000, 16_001], list(range(997, 256_000, 997))):
        np.testing.assert_array_equal(find(*parts, cuts=cuts), whole)


@pytest.fixture
def utterance(shared):
    return soundfile.read(shared / "speech" / "test" / "ls01998" / "15444" / "00005.wav", dtype="float32")[0]


@pytest.mark.parametrize("pad", [np.zeros(480_077), hiss(30, -70), hum(30, -54)], ids=["silence", "noise", "hum"])
def test_real_speech_is_found_as_without_padding(utterance, pad):
    alone, padded = find(utterance), find(pad, utterance, pad)
    assert np.sum(alone[:, 1] - alone[:, 0]) > 0.9 * len(utterance) / RATE
    np.testing.assert_allclose(padded - len(pad) / RATE, alone, atol=0.05)
