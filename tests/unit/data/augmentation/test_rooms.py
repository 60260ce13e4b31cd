import numpy as np
import pytest

from mrlspk.data.augmentation.categories import choose_by_shares, room_category
from mrlspk.data.augmentation.effects import Effects, Response, reverberate
from mrlspk.data.augmentation.recordings import FolderRecordings
from mrlspk.data.augmentation.rooms import LEAD, TAIL, RoomResponse, cut_response
from noise_recordings import noise, write_tree


def room_of(root, paths):
    recordings = FolderRecordings(root, paths)
    return RoomResponse(recordings, choose_by_shares(recordings.names, room_category, None), 1.0)


def test_room_response_keeps_length_energy_and_direct_sound_in_place():
    taps, clean = np.zeros(500, np.float32), np.zeros(2_000, np.float32)
    taps[100], taps[300], clean[700] = 0.5, 0.25, 1.0
    wet = reverberate(clean, cut_response(taps))
    assert wet.shape == clean.shape
    assert wet.dtype == np.float32
    assert np.square(wet).sum() == pytest.approx(1.0, abs=1e-5)
    assert int(wet.argmax()) == 700
    assert wet[900] / wet[700] == pytest.approx(0.5, abs=1e-4)


def test_room_response_equals_direct_convolution(tmp_path):
    response = np.random.default_rng(3).normal(0, 0.01, 400)
    response[50] = 0.9
    response = np.round(response * 32_768) / 32_768
    write_tree(tmp_path, {"room.wav": response})
    room = room_of(tmp_path, ["room.wav"]).add(Effects(), 3_000, np.random.default_rng(0)).response
    clean = noise(3_000).numpy()
    expected = np.convolve(clean, response)[50:3_050]
    expected *= np.sqrt((clean**2).sum() / (expected**2).sum())
    np.testing.assert_allclose(reverberate(clean, room), expected, atol=1e-4)


def test_long_response_is_cut_around_its_direct_sound():
    taps = np.full(60_000, 0.1, np.float32)
    taps[30_000] = 1.0
    response = cut_response(taps)
    assert (len(response.taps), response.direct) == (LEAD + TAIL, LEAD)
    assert response.taps[LEAD] == 1.0


def test_one_channel_of_a_response_is_drawn_not_their_average(tmp_path):
    taps = np.zeros((200, 3))
    taps[[10, 20, 30], [0, 1, 2]] = 0.9
    write_tree(tmp_path, {"array.wav": taps})
    room = room_of(tmp_path, ["array.wav"])
    drawn = [room.add(Effects(), 100, np.random.default_rng(seed)).response for seed in range(20)]
    assert {response.direct for response in drawn} == {10, 20, 30}
    assert {round(float(response.taps.max()), 2) for response in drawn} == {0.9}


def test_silent_response_and_silent_speech_change_nothing(tmp_path):
    write_tree(tmp_path, {"silent.wav": np.zeros(100)})
    effects = room_of(tmp_path, ["silent.wav"]).add(Effects(), 100, np.random.default_rng(0))
    assert effects == Effects()
    silence = np.zeros(100, np.float32)
    assert np.array_equal(reverberate(silence, Response(np.ones(3, np.float32), 0)), silence)


@pytest.mark.parametrize(
    ("name", "category"),
    [
        ("RIRS_NOISES/simulated_rirs/smallroom/Room001/Room001-00001.wav", "simulated"),
        ("RIRS_NOISES/real_rirs_isotropic_noises/RVB2014_type1_rir_largeroom1_far_angla.wav", "real"),
        ("RIRS_NOISES/real_rirs_isotropic_noises/RVB2014_type1_noise_largeroom1_1.wav", None),
        ("RIRS_NOISES/pointsource_noises/noise-free-sound-0000.wav", None),
        ("rooms/my_noise_room.wav", "real"),
    ],
)
def test_noises_among_the_responses_of_rirs_noises_are_not_rooms(name, category):
    assert room_category(name) == category
