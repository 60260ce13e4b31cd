"""Find speech by energy: frames well above the local noise and not far below the recording's own level."""

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import minimum_filter1d, uniform_filter1d

from mrlspk.config.evaluation import SpeechMode
from mrlspk.data.speech.runs import drop_short_runs, find_runs, join_runs, widen_runs

SAMPLE_RATE = 16_000  # Hz
HOP = 160  # samples from one frame to the next: 10 ms
FRAME = 512  # samples that a frame looks at, around its own hop
BATCH = 100  # frames transformed together

LOWEST_HZ, HIGHEST_HZ = 250, 4000  # mains hum and rumble lie below, hiss above; telephones transmit this band
SILENCE_DB = -100.0  # of full scale: digital silence
FAINTEST_DB = -85.0  # of full scale; recordings below have no speech

LEVEL_FRAMES = 100  # the level of a recording is what so many frames reach: a click or a cough does not set it
LEVEL_SHARE = 0.1  # … or this share of the frames, in a short recording
REACH_DB = 35.0  # below the level: speech of the quieter of two talkers
NOISE_SECONDS = 3.0  # the noise at a frame is the lowest energy so near to it
NOISE_FRAMES = 20  # … averaged over so many frames
ABOVE_NOISE_DB = 6.0
ALWAYS_DB = 10.0  # below the level: speech, however even
LEAST_SPREAD_DB = 6.0  # between level and noise; a more even recording has no speech that energy can tell

SHORTEST_SPEECH_SECONDS = 0.05
SHORTEST_PAUSE_SECONDS = 0.5
BEFORE_SECONDS = 0.15  # of speech begins softly
AFTER_SECONDS = 0.2  # hangover


class EnergyDetector:
    """Energy of frames against the level of the recording itself."""

    name: SpeechMode = "auto"
    version = "energy-1"

    def search(self) -> "EnergySearch":
        """Begin with a recording."""
        return EnergySearch()


class EnergySearch:
    """The search in one recording; keeps one energy per frame of 10 ms."""

    def __init__(self) -> None:
        self._rest = np.zeros((FRAME - HOP) // 2, np.float32)  # the first frame is centred on the first hop
        self._n_samples = 0
        self._energies: list[NDArray[np.float32]] = []

    def add(self, block: NDArray[np.float32]) -> None:
        """Take the next samples (samples,) of the recording."""
        self._n_samples += len(block)
        samples = np.concatenate((self._rest, block))
        first, step = 0, BATCH * HOP
        while first + step + FRAME - HOP <= len(samples):  # the same batches, however the blocks are cut
            self._energies.append(band_energies(samples[first : first + step + FRAME - HOP]))
            first += step
        self._rest = samples[first:].copy()

    def energies(self) -> NDArray[np.float32]:
        """Return the energy of each frame in dB of full scale (frames,); beyond the end there is silence."""
        n_frames = -(-self._n_samples // HOP) - BATCH * len(self._energies)
        last = []
        if n_frames > 0:
            missing = (n_frames - 1) * HOP + FRAME - len(self._rest)
            last = [band_energies(np.pad(self._rest, (0, missing)))]
        return np.concatenate([np.zeros(0, np.float32), *self._energies, *last])

    def intervals(self) -> NDArray[np.int64]:
        """Return the speech so far as (n, 2) samples."""
        runs = find_speech(self.energies())
        return (runs * HOP).clip(0, self._n_samples)


def band_energies(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the energy of each whole frame of the samples within the band, in dB of full scale (frames,)."""
    window = np.hanning(FRAME + 1)[:-1].astype(np.float32)
    frames = np.lib.stride_tricks.sliding_window_view(samples, FRAME)[::HOP] * window
    spectrum = np.fft.rfft(frames, axis=1)
    low, high = (round(hz * FRAME / SAMPLE_RATE) for hz in (LOWEST_HZ, HIGHEST_HZ))
    band = spectrum[:, low : high + 1]
    power = 2 * (band.real**2 + band.imag**2).sum(axis=1) / (FRAME * (window**2).sum())
    floor = 10 ** (SILENCE_DB / 10)
    decibels: NDArray[np.float32] = (10 * np.log10(np.maximum(power, floor))).astype(np.float32)
    return decibels


def find_speech(energies: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the speech in the energies (frames,) as (n, 2) frames."""
    none = np.zeros((0, 2), np.int64)
    heard = energies[energies > SILENCE_DB]
    if not len(heard):
        return none
    rank = max(1, min(LEVEL_FRAMES, round(LEVEL_SHARE * len(heard))))
    level = np.partition(heard, -rank)[-rank]
    if level < FAINTEST_DB:
        return none
    noise = local_noise(energies)
    if level - np.percentile(heard, 5) < LEAST_SPREAD_DB:
        return none
    threshold = np.clip(noise + ABOVE_NOISE_DB, level - REACH_DB, level - ALWAYS_DB)
    per_second = SAMPLE_RATE // HOP
    runs = find_runs(energies > threshold)
    runs = join_runs(runs, gap=round(0.1 * per_second))
    runs = drop_short_runs(runs, shortest=round(SHORTEST_SPEECH_SECONDS * per_second))
    runs = join_runs(runs, gap=round(SHORTEST_PAUSE_SECONDS * per_second))
    before, after = (round(seconds * per_second) for seconds in (BEFORE_SECONDS, AFTER_SECONDS))
    return widen_runs(runs, before=before, after=after, length=len(energies))


def local_noise(energies: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the lowest of the smoothed energies near each frame (frames,)."""
    smooth = uniform_filter1d(energies.astype(np.float64), NOISE_FRAMES, mode="nearest")
    width = 2 * round(NOISE_SECONDS * SAMPLE_RATE / HOP) + 1
    lowest: NDArray[np.float64] = minimum_filter1d(smooth, width, mode="nearest")
    return lowest
