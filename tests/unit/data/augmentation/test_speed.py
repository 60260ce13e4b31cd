import numpy as np
import pytest
import torch
import torchaudio

from mrlspk.data.augmentation.speed import change_speed, samples_before_speed
from noise_recordings import noise, tone


@pytest.mark.parametrize("speed", [0.9, 1.1, 0.95, 4 / 3])
def test_speed_gives_the_length_and_the_pitch(speed):
    n_samples = 16_000
    n_read = samples_before_speed(n_samples, speed)
    assert n_read / n_samples == pytest.approx(speed, rel=1e-3)
    changed = change_speed(torch.from_numpy(tone(440, n_read)), speed)
    assert n_samples <= len(changed) <= n_samples + 2
    spectrum = torch.fft.rfft(changed[:n_samples]).abs()
    assert int(spectrum.argmax()) == pytest.approx(440 * speed, abs=1)


@pytest.mark.parametrize("speed", [0.9, 1.1])
def test_speed_equals_that_of_torchaudio(speed):
    waveform = noise(8_001)
    expected, _ = torchaudio.functional.speed(waveform, 16_000, speed)
    np.testing.assert_allclose(change_speed(waveform, speed), expected, atol=1e-5)
