"""Find speech by energy: frames well above the noise around them and not far below the recording's own level."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mrlspk.config.evaluation import SpeechMode
from mrlspk.data.speech.levels import LevelMeter, recording_level
from mrlspk.data.speech.runs import drop_short_runs, find_runs, join_runs, to_frames, to_intervals

NOISE_SECONDS = 2.0  # the noise before or after a frame is the lowest energy within this time
NOISE_FRAMES = 10  # of which the mean power counts as one energy
ABOVE_NOISE_DB = 6.0  # louder is no steady sound
REACH_DB = 35.0  # below the level: the quieter of two talkers is speech, the murmur of another room is not
FAINTEST_DB = -80.0  # of full scale: a lower level is no speech

LONGEST_GAP_SECONDS = 0.1  # within a syllable
SHORTEST_SPEECH_SECONDS = 0.05  # a click is shorter


class EnergyDetector:
    """The built-in detector ``auto``: energy in the band of speech, relative to the recording itself.

    A frame of 10 ms is speech if it is at least 6 dB louder than the noise before it or after it, whichever is
    louder, and at most 35 dB below the level that the loudest second of such frames reaches. So silence, hiss, hum and
    tones are left out at any level, and a talker 20 dB below another is kept. Like Kaldi's ``compute-vad`` and the
    detectors of telephony it looks at energy alone. It cannot tell speech from other sounds that come and go: music,
    keyboards, a dog, a crowd. It needs two seconds to recognise noise.
    """

    name: SpeechMode = "auto"
    version = "energy-1"

    def search(self) -> "EnergySearch":
        """Begin with a recording."""
        return EnergySearch()


class EnergySearch:
    """The search in one recording; keeps one energy per frame of 10 ms."""

    def __init__(self) -> None:
        self._meter = LevelMeter()

    def add(self, block: NDArray[np.float32]) -> None:
        """Take the next samples (samples,) of the recording."""
        self._meter.add(block)

    def intervals(self) -> NDArray[np.int64]:
        """Return the speech so far as (n, 2) samples."""
        energies = self._meter.energies()
        return to_intervals(find_speech(energies), energies, n_samples=self._meter.n_samples)


def find_speech(energies: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the runs of speech, (n, 2) frames, in the energies (frames,)."""
    loud = energies > local_noise(energies) + ABOVE_NOISE_DB
    level = recording_level(energies[loud])
    level = recording_level(energies[loud & (energies > level - REACH_DB)])  # pauses do not count
    if level < FAINTEST_DB or (_is_short(energies) and level < np.percentile(energies, 5) + ABOVE_NOISE_DB):
        return np.zeros((0, 2), np.int64)
    runs = find_runs(loud & (energies > level - REACH_DB))
    runs = join_runs(runs, gap=to_frames(LONGEST_GAP_SECONDS))
    return drop_short_runs(runs, shortest=to_frames(SHORTEST_SPEECH_SECONDS))


def local_noise(energies: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the noise at each frame (frames,): the lowest energy shortly before it or after it, whichever is higher.

    So a steady sound is noise from its first frame to its last, also beside a quieter one. Where a recording is too
    short to tell the noise, it is -inf.
    """
    noise = np.full(len(energies), -np.inf)
    size = to_frames(NOISE_SECONDS)
    if len(energies) >= size:
        power = np.convolve(10 ** (energies.astype(np.float64) / 10), np.full(NOISE_FRAMES, 1 / NOISE_FRAMES), "valid")
        lowest = sliding_window_view(10 * np.log10(power), size - NOISE_FRAMES + 1).min(axis=1)
        noise[: len(lowest)] = lowest
        noise[size - 1 :] = np.maximum(noise[size - 1 :], lowest)
    return noise


def _is_short(energies: NDArray[np.float32]) -> bool:
    """Return whether the noise is unknown at some frames."""
    return len(energies) < 2 * to_frames(NOISE_SECONDS)
