import numpy as np
import pytest
import soxr

from mrlspk.data.audio import load_audio
from mrlspk.data.checks.band import Band, is_cut_by_codec

RATE = 16_000


def is_narrow(samples, rate=RATE):
    band = Band(rate)
    band.add(samples.astype(np.float32))
    return band.is_narrow


@pytest.fixture(scope="module")
def speech(shared):
    return load_audio(shared / "speech/train/ls08975/270782/00001.m4a").numpy()


def test_speech_of_8_khz_at_a_higher_rate_is_narrow(speech):
    telephone = soxr.resample(speech, RATE, 8_000)
    assert [is_narrow(soxr.resample(telephone, 8_000, rate), rate) for rate in (RATE, 44_100)] == [True, True]


def test_speech_cut_at_6_khz_quiet_speech_and_noise_are_wide(speech):
    cut = soxr.resample(soxr.resample(speech, RATE, 12_000), 12_000, RATE)
    quiet = np.round(speech * 0.03 * 32_768) / 32_768
    noise = np.random.default_rng(0).normal(0, 0.1, RATE * 4)
    assert [is_narrow(each) for each in (speech, cut, quiet, noise, noise[:400])] == [False] * 5


def test_codec_of_low_rate_may_cut_the_band_itself():
    assert [is_cut_by_codec(*each) for each in (("aac", 16_000), ("aac", 48_000), ("pcm_s16", 9_000))] == [
        True, False, False,
    ]  # fmt: skip
