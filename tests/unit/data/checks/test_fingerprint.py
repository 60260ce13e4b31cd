"""Fingerprints of loudness that rises and falls at one rate, and of what has none."""

import numpy as np
import pytest

from mrlspk.data.checks.fingerprint import MODULATIONS, N_VALUES, fingerprint

TIME = np.arange(1000) / 100  # seconds, at 10 ms a frame


def power(hertz, delay=0.0):
    """Loudness in dB that is a sine of 10 dB at one rate."""
    return (10 ** np.sin(2 * np.pi * hertz * (TIME - delay))).astype(np.float32)


@pytest.mark.parametrize("place", [0, 4, 15])
def test_largest_value_is_that_of_the_modulation(place):
    found = fingerprint(power(MODULATIONS[place]))
    assert found.shape == (N_VALUES,)
    assert found.argmax() == place
    assert found[place] == pytest.approx(1, abs=1e-3)  # ten seconds hold whole periods of all sixteen


def test_level_and_delay_leave_a_fingerprint_as_it_is():
    expected = fingerprint(power(2.0))
    for same in (power(2.0) * np.float32(1e-3), power(2.0, delay=0.13)):
        np.testing.assert_allclose(fingerprint(same), expected, atol=1e-3)
    assert np.linalg.norm(fingerprint(power(3.2)) - expected) == pytest.approx(2**0.5, abs=1e-2)  # at right angles


def test_frames_of_another_length_have_the_same_fingerprint():
    found = fingerprint(power(2.0)[::2], frame_seconds=0.02)
    np.testing.assert_allclose(found, fingerprint(power(2.0)), atol=2e-2)


@pytest.mark.parametrize(
    ("variances", "is_known"),
    [(power(2.0)[:49], False), (power(2.0)[:50], True), (np.zeros(100, np.float32), False)],
    ids=["0.49 s", "0.5 s", "silence"],
)
def test_too_little_audio_and_silence_have_no_fingerprint(variances, is_known):
    assert (fingerprint(variances) is not None) == is_known
