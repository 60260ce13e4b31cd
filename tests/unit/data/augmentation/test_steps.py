import numpy as np
import pytest
import soundfile
import torch

from mrlspk.data.augmentation.steps import (
    Augmentation,
    GaussianNoise,
    RecordedNoise,
    RoomResponse,
    Volume,
    change_speed,
    list_recordings,
    mix_at_snr,
    reverberate,
    samples_before_speed,
)
from mrlspk.errors import DataError


def noise(n_samples: int, seed: int = 0) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(seed).normal(0, 0.1, n_samples).astype(np.float32))


def measured_snr_db(clean: torch.Tensor, noisy: torch.Tensor) -> float:
    difference = (noisy - clean).double()
    return 10 * np.log10((clean.double() ** 2).sum().item() / (difference**2).sum().item())


@pytest.mark.parametrize("snr_db", [-5.0, 0.0, 10.0, 30.0])
def test_gaussian_noise_has_the_signal_to_noise_ratio_asked_for(snr_db):
    clean = noise(48_000)
    noisy = GaussianNoise(1.0, (snr_db, snr_db)).apply(clean, np.random.default_rng(1))
    assert measured_snr_db(clean, noisy) == pytest.approx(snr_db, abs=0.1)


@pytest.mark.parametrize("n_recorded", [1_000, 100_000])
def test_recorded_noise_has_the_signal_to_noise_ratio_asked_for(tmp_path, n_recorded):
    soundfile.write(tmp_path / "noise.wav", noise(n_recorded, seed=2).numpy(), 16_000)
    clean = noise(48_000)
    step = RecordedNoise(list_recordings(tmp_path), 1.0, (12.0, 12.0))
    noisy = step.apply(clean, np.random.default_rng(1))
    assert measured_snr_db(clean, noisy) == pytest.approx(12.0, abs=0.1)


def test_silence_has_no_ratio_and_stays():
    assert torch.equal(mix_at_snr(torch.zeros(100), noise(100), 10.0), torch.zeros(100))
    assert torch.equal(mix_at_snr(noise(100), torch.zeros(100), 10.0), noise(100))


def test_volume_changes_by_decibels():
    louder = Volume(1.0, (6.0, 6.0)).apply(noise(100), np.random.default_rng(0))
    assert torch.allclose(louder, noise(100) * 1.9952623)


def test_room_response_keeps_length_energy_and_direct_sound_in_place():
    response = torch.zeros(500)
    response[100], response[300] = 0.5, 0.25
    clean = torch.zeros(2_000)
    clean[700] = 1.0
    wet = reverberate(clean, response)
    assert wet.shape == clean.shape
    assert wet.square().sum().item() == pytest.approx(1.0, abs=1e-5)
    assert int(wet.argmax()) == 700
    assert (wet[900] / wet[700]).item() == pytest.approx(0.5, abs=1e-4)


def test_room_response_equals_direct_convolution(tmp_path):
    response = np.random.default_rng(3).normal(0, 0.01, 400)
    response[50] = 0.9
    soundfile.write(tmp_path / "room.wav", response, 16_000, subtype="FLOAT")
    wet = RoomResponse(list_recordings(tmp_path), 1.0).apply(noise(3_000), np.random.default_rng(0)).numpy()
    expected = np.convolve(noise(3_000).numpy(), response)[50:3_050]
    expected *= np.sqrt((noise(3_000).numpy() ** 2).sum() / (expected**2).sum())
    np.testing.assert_allclose(wet, expected, atol=1e-4)


@pytest.mark.parametrize("speed", [0.9, 1.1, 0.95, 4 / 3])
def test_speed_gives_the_length_and_the_pitch(speed):
    n_samples = 16_000
    n_read = samples_before_speed(n_samples, speed)
    assert n_read / n_samples == pytest.approx(speed, rel=1e-3)
    tone = torch.sin(2 * torch.pi * 440 * torch.arange(n_read) / 16_000)
    changed = change_speed(tone, speed)
    assert n_samples <= len(changed) <= n_samples + 2
    spectrum = torch.fft.rfft(changed[:n_samples]).abs()
    assert int(spectrum.argmax()) == pytest.approx(440 * speed, abs=1)


def test_each_step_augments_its_share_of_crops():
    augmentation = Augmentation((Volume(0.25, (6.0, 6.0)),))
    rng = np.random.default_rng(0)
    louder = sum(augmentation(torch.ones(1), rng).item() > 1 for _ in range(2_000))
    assert louder / 2_000 == pytest.approx(0.25, abs=0.04)  # four standard deviations


def test_equal_generators_augment_equally():
    augmentation = Augmentation((GaussianNoise(0.5, (0.0, 20.0)), Volume(0.5, (-6.0, 6.0))))
    results = [augmentation(noise(100), np.random.default_rng(7)) for _ in range(2)]
    assert torch.equal(*results)


def test_folder_without_recordings_is_an_error(tmp_path):
    with pytest.raises(DataError, match="got no audio at all"):
        list_recordings(tmp_path)
