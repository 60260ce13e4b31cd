import numpy as np
import soxr

from mrlspk.data.audio.joined_parts import JoinedParts


def tone(rate: int, seconds: float, channels: int = 1) -> np.ndarray:
    samples = np.sin(2 * np.pi * 440 * np.arange(round(rate * seconds)) / rate)
    return np.repeat(samples[:, None], channels, axis=1).astype(np.float32)


def test_the_first_part_is_left_as_it_is():
    block = tone(16_000, 0.1)
    joined = JoinedParts(16_000, 1)
    assert joined.add(block, 16_000)[0] is block
    assert joined.finish() == []


def test_a_later_part_lasts_as_long_as_before():
    joined = JoinedParts(16_000, 1)
    parts = joined.add(tone(16_000, 0.5), 16_000)
    for start in range(0, 44_100, 1000):
        parts += joined.add(tone(44_100, 1.0)[start : start + 1000], 44_100)
    parts += joined.add(tone(16_000, 0.25), 16_000)
    result = np.concatenate(parts)
    assert result.shape == (8000 + 16_000 + 4000, 1)
    np.testing.assert_allclose(result[8200:23_800], tone(16_000, 1.0)[200:15_800], atol=2e-3)
    expected = soxr.resample(tone(44_100, 1.0)[:, 0], 44_100, 16_000)
    np.testing.assert_allclose(result[8000:24_000, 0], expected, atol=1e-4)


def test_channels_are_averaged_and_copied():
    stereo = np.array([[0.5, -0.25], [1.0, 0.0]], np.float32)
    assert JoinedParts(16_000, 1).add(stereo, 16_000)[0].tolist() == [[0.125], [0.5]]
    assert JoinedParts(16_000, 3).add(stereo, 16_000)[0].tolist() == [[0.125] * 3, [0.5] * 3]
