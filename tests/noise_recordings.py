"""Noise and small trees of noise recordings, in the layouts of published corpora."""

import numpy as np
import soundfile
import torch

RATE = 16_000
MUSAN = "noise/free-sound/noise-free-sound-0000.wav", "music/fma/music-fma-0000.wav", "speech/librivox/speech-0000.wav"


def noise(n_samples: int, seed: int = 0) -> torch.Tensor:
    """Return white noise (n_samples,) of 0.1 of full scale."""
    return torch.from_numpy(np.random.default_rng(seed).normal(0, 0.1, n_samples).astype(np.float32))


def tone(hertz: float, n_samples: int) -> np.ndarray:
    """Return a sine (n_samples,) of half the full scale."""
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(n_samples) / RATE)).astype(np.float32)


def write_tree(root, contents):
    """Write recordings: samples, or (samples, channels), by path."""
    for path, samples in contents.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(root / path, samples, RATE, subtype="PCM_16")
    return root


def level_db(samples) -> float:
    """Return the mean power, dB."""
    return 10 * float(np.log10(np.mean(np.square(np.asarray(samples, np.float64)))))
