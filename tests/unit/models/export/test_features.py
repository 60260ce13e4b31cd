"""The front end of exported graphs against log-mel features in float64."""

import numpy as np
import torch

from mrlspk.models.export.features import ConvolutionLogMel
from mrlspk.models.redimnet.features import LogMelFeatures

HOP, N_MELS = 160, 60


def log_mels(samples, spec):
    """Return (mels, frames) by NumPy's Fourier transform in float64."""
    spectrogram = spec.torchfbank[2]
    window, filters = spectrogram.spectrogram.window.double().numpy(), spectrogram.mel_scale.fb.double().numpy()
    before = np.concatenate((samples[1:2], samples[:-1])).astype(np.float64)
    padded = np.pad(samples - float(np.float32(0.97)) * before, 256, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, 512)[::HOP][:, 56:456] * window
    power = np.square(np.abs(np.fft.rfft(np.pad(frames, ((0, 0), (56, 56))))))
    mels = np.log(power @ filters + 1e-6).T
    return mels - mels.mean(1, keepdims=True)


def test_quiet_bands_beside_a_loud_tone_are_exact():
    time = np.arange(8_000) / 16_000
    samples = (0.9 * np.sin(2 * np.pi * 3_000 * time) * np.hanning(8_000)).astype(np.float32)
    spec = LogMelFeatures(N_MELS, HOP)
    with torch.inference_mode():
        found = ConvolutionLogMel(spec)(torch.from_numpy(samples)[None])[0].numpy()
    np.testing.assert_allclose(found, log_mels(samples, spec), atol=3e-4)
