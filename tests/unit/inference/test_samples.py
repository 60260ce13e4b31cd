import numpy as np
import pytest
import soxr
import torch

from mrlspk.errors import DataError
from mrlspk.inference.samples import check_samples, decode_samples

SAMPLES = (0.1 * np.random.default_rng(0).normal(size=8000)).astype(np.float32)


def decoded(samples, rate=16_000):
    return decode_samples(samples, "audio", rate=rate, model_rate=16_000, speech=None)


def read(samples, rate=16_000):
    return np.concatenate(list(decoded(samples, rate).blocks()))


@pytest.mark.parametrize(
    "samples",
    [
        SAMPLES,
        SAMPLES[::-1].copy()[::-1],
        np.frombuffer(SAMPLES.tobytes(), np.float32),
        np.repeat(SAMPLES, 2)[::2],
        SAMPLES.astype(">f4"),
        SAMPLES.astype(np.float64),
        SAMPLES.tolist(),
        torch.from_numpy(SAMPLES).double().requires_grad_(),
    ],
    ids=["plain", "reversed", "read-only", "strided", "big-endian", "float64", "list", "tensor"],
)
def test_every_layout_and_type_gives_its_samples(samples):
    assert np.array_equal(check_samples(samples, "audio"), SAMPLES)


@pytest.mark.parametrize("samples", [SAMPLES.astype(np.float16), torch.from_numpy(SAMPLES).bfloat16()])
def test_half_precision_gives_its_samples(samples):
    assert check_samples(samples, "audio") == pytest.approx(SAMPLES, abs=0.002)


def test_given_array_is_not_kept():
    given = SAMPLES.copy()
    checked = check_samples(given, "audio")
    given[:] = 0
    assert np.array_equal(checked, SAMPLES)


@pytest.mark.parametrize(
    ("samples", "message"),
    [
        (None, "got NoneType"),
        (b"audio", "got bytes"),
        (["a", "b"], "got list, which holds no numbers"),
        ([[0.1], [0.2, 0.3]], "got a list that is no array"),
        (np.zeros(8000, np.int16), r"got ndarray of int16 and shape \(8000,\)"),
        (np.zeros(8000, np.complex64), "complex64"),
        (np.zeros((2, 8000)), r"shape \(2, 8000\)"),
        (np.zeros((8000, 1)), r"shape \(8000, 1\)"),
        (torch.zeros(1, 8000), r"got Tensor of float32 and shape \(1, 8000\)"),
        (np.float64(0.5), r"shape \(\)"),
        (np.array([0.1, np.nan]), "not finite"),
        (np.array([0.1, -np.inf]), "not finite"),
        (np.array([0.1, 1e300]), "not finite"),
    ],
)
def test_anything_but_samples_of_one_channel_is_a_data_error(samples, message):
    with pytest.raises(DataError, match=message) as caught:
        check_samples(samples, "audio[3]")
    assert caught.value.where == "audio[3]"


@pytest.mark.parametrize(
    ("samples", "remedy"),
    [
        (np.zeros(9, np.int16), "samples / 32_768."),
        (torch.zeros(9, dtype=torch.int32), "samples / 2_147_483_648."),
        (np.zeros(9, np.uint8), "(samples - 128.0) / 128."),
        (np.zeros((2, 9)), "such as samples[0] or samples.mean(0); several recordings go to `embed_many`."),
        (np.zeros((9, 2)), "such as samples[:, 0] or samples.mean(1); several recordings go to `embed_many`."),
        ((np.zeros(9), 16_000), "Give samples and rate apart: `embed(samples, sample_rate=rate)`."),
        (["a.wav", "b.wav"], "with their `sample_rate`; several recordings go to `embed_many`."),
        (None, "Give a path, or floats (samples,) in [-1, 1] with their `sample_rate`."),
    ],
)
def test_remedy_fits_what_was_given(samples, remedy):
    with pytest.raises(DataError) as caught:
        check_samples(samples, "audio")
    assert caught.value.fix.endswith(remedy)


@pytest.mark.parametrize("rate", [8000, 11_127, 44_100, 48_000])
def test_other_rates_are_resampled_as_soxr_does(rate):
    assert read(SAMPLES, rate) == pytest.approx(soxr.resample(SAMPLES, rate, 16_000, "HQ"), abs=1e-6)


@pytest.mark.parametrize("rate", [-16_000, 0, 1, 10_000_000])
def test_rates_that_no_speech_has_are_data_errors(rate):
    with pytest.raises(DataError, match="audio: expected a sample rate of 1000 to 1000000 Hz.*\n.*`sample_rate`"):
        decoded(SAMPLES, rate)


@pytest.mark.parametrize(
    ("samples", "rate", "warnings"),
    [
        (SAMPLES, 16_000, ()),
        (SAMPLES, 48_000, ()),
        (SAMPLES, 8000, ("upsampled from 8000 Hz",)),
        (32_768 * SAMPLES, 16_000, ("out of range",)),
        (-32_768 * np.abs(SAMPLES), 8000, ("upsampled from 8000 Hz", "out of range")),
    ],
)
def test_samples_have_the_warnings_of_a_file(samples, rate, warnings):
    assert decoded(samples, rate).warnings == warnings
