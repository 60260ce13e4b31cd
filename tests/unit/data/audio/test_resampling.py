import resource

import numpy as np
import pytest
from scipy.signal import resample_poly

from mrlspk.data.audio.resampling import check_rate, find_span, resample, resample_blocks
from mrlspk.errors import DataError

RATES = [8_000, 11_127, 22_050, 44_100, 44_101, 48_000]


def sine(hertz: float, rate: int, seconds: float = 1.0) -> np.ndarray:
    return np.sin(2 * np.pi * hertz * np.arange(round(seconds * rate)) / rate).astype(np.float32)


@pytest.mark.parametrize("rate", [1_000, *RATES, 1_000_000])
def test_a_tone_stays_where_it_was(rate):
    waveform = resample(sine(440, rate), rate, 16_000)
    assert waveform.dtype == np.float32
    assert waveform.shape == (16_000,)
    np.testing.assert_allclose(waveform[2_000:-2_000], sine(440, 16_000)[2_000:-2_000], atol=1e-4)


def test_agrees_with_another_resampler_below_its_cutoff():
    noise = np.random.default_rng(0).normal(0, 0.1, 48_000)
    smooth = np.convolve(noise, np.hanning(41) / np.hanning(41).sum(), "same")  # nothing above 3 kHz is left
    expected = resample_poly(smooth, 1, 3, window=("kaiser", 12.0))
    found = resample(smooth.astype(np.float32), 48_000, 16_000)
    np.testing.assert_allclose(found[500:-500], expected[500:-500], atol=2e-4)


@pytest.mark.parametrize("hertz", [8_300, 9_000, 12_000, 20_000])
def test_what_the_target_cannot_hold_is_gone(hertz):
    assert np.abs(resample(sine(hertz, 48_000), 48_000, 16_000)[1_000:-1_000]).max() < 1e-5


def test_the_same_rate_changes_nothing():
    waveform = sine(440, 16_000)
    assert np.array_equal(resample(waveform, 16_000, 16_000), waveform)


@pytest.mark.parametrize("rate", RATES)
def test_blocks_of_any_size_give_the_same_waveform(rate):
    waveform = np.random.default_rng(1).normal(0, 0.1, rate).astype(np.float32)
    places = [1, 2, 5, 1_000, 1_003, rate // 2]
    blocks = list(resample_blocks(np.split(waveform, places), rate, 16_000))
    np.testing.assert_allclose(np.concatenate(blocks), resample(waveform, rate, 16_000), atol=1e-6)
    assert all(map(len, blocks))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("start", [0, 1, 777, 16_001, 30_011])
def test_span_gives_the_slice_of_the_whole(rate, start):
    waveform = np.random.default_rng(1).normal(0, 0.1, 3 * rate).astype(np.float32)
    whole = resample(waveform, rate, 16_000)
    span = find_span(start, 4_000, rate, 16_000)
    part = resample(waveform[span.start : span.stop], rate, 16_000)[span.n_skipped :][: span.n_samples]
    np.testing.assert_allclose(part, whole[start : start + 4_000], atol=1e-6)
    assert span.start / rate <= start / 16_000
    assert (span.stop - span.start) / rate < 0.25 + 1.0 + 0.1


def test_span_without_a_length_reaches_to_the_end():
    assert find_span(100, None, 16_000, 16_000).stop is None
    span = find_span(32_000, None, 44_100, 16_000)
    assert (span.stop, span.n_samples) == (None, None)


def test_span_at_the_same_rate_is_the_range_itself():
    span = find_span(100, 50, 16_000, 16_000)
    assert (span.start, span.stop, span.n_skipped, span.n_samples) == (100, 150, 0, 50)


@pytest.mark.parametrize("rate", [-1, 0, 1, 999, 1_000_001, 10_000_000])
def test_rate_out_of_bounds_is_an_error(rate):
    with pytest.raises(DataError, match=f"1000 to 1000000 Hz, got {rate}") as caught:
        check_rate(rate, "a.wav")
    assert caught.value.where == "a.wav"
    with pytest.raises(DataError):
        resample(np.zeros(10, np.float32), rate, 16_000)
    with pytest.raises(DataError):
        resample(np.zeros(10, np.float32), 16_000, rate)


def peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def test_rates_without_common_factors_take_little_memory():
    before = peak_mib()
    for rate in (11_127, 44_101, 999_983):
        resample(np.zeros(rate, np.float32), rate, 16_000)
    assert peak_mib() - before < 64
