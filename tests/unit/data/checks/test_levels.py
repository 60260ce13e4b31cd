import numpy as np
import pytest

from mrlspk.data.checks.clipping import clipped_samples
from mrlspk.data.checks.levels import Levels

RATE = 16_000
WHITE = np.random.default_rng(0).normal(0, 0.1, 4 * RATE)
NOISE = np.convolve(WHITE, np.ones(8) / 8**0.5, "same").astype(np.float32)  # below 1 kHz
CLICK = np.where(np.arange(4 * RATE) // 100 == 50, 0.5, 0).astype(np.float32)


def levels_of(*parts):
    levels = Levels(RATE)
    for part in parts:
        levels.add(part.astype(np.float32))
    return levels


def test_levels_of_parts_are_those_of_the_whole():
    one, other = levels_of(NOISE), levels_of(NOISE[:10_001], NOISE[10_001:])
    assert (one.mean, one.rms) == (pytest.approx(NOISE.mean(), abs=1e-6), pytest.approx(NOISE.std(), rel=1e-5))
    assert (other.mean, other.rms, other.peak) == (pytest.approx(one.mean), pytest.approx(one.rms), one.peak)


@pytest.mark.parametrize(
    ("samples", "is_silent"),
    [(0 * NOISE, True), (0 * NOISE + 0.2, True), (NOISE * 1e-4, True), (CLICK, True), (NOISE * 0.01, False)],
    ids=["zeros", "offset", "dither", "click", "quiet"],
)
def test_silence_is_told_by_its_frames(samples, is_silent):
    assert levels_of(samples).is_silent == is_silent


@pytest.mark.parametrize(("gain", "offset", "expected"), [(1, 0.01, False), (1, 0.03, True), (0.1, 0.006, True)])
def test_offset_counts_against_the_level(gain, offset, expected):
    assert levels_of(gain * NOISE + offset).has_offset == expected


@pytest.mark.parametrize(
    ("samples", "is_clipped"),
    [
        (NOISE, False),
        (NOISE.clip(-0.2, 0.2), True),
        (0.1 * NOISE.clip(-0.2, 0.2), True),
        (NOISE.clip(-0.2, 1), True),
        (np.where(np.arange(NOISE.size) < 4, 0.6, NOISE), False),
    ],
    ids=["noise", "clipped", "scaled down", "one side", "one run"],
)
def test_clipping_is_told_by_runs_at_a_limit(samples, is_clipped):
    samples = (np.round(samples * 32_768) / 32_768).astype(np.float32)
    found = clipped_samples(samples, float(samples.max()), float(samples.min()), float(samples.std()))
    assert bool(found) == is_clipped
