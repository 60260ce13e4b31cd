import numpy as np
import pytest
import soundfile

from mrlspk.data.audio.sndfile import GSM_BLOCK_FRAMES
from mrlspk.data.augmentation import codecs
from mrlspk.data.augmentation.codecs import BIT_RATES, CODECS, Codec, CodecStep
from mrlspk.data.augmentation.effects import Effects
from mrlspk.data.augmentation.telephone import TelephoneLine
from noise_recordings import level_db, noise, tone

N_SAMPLES = 16_001  # odd, and no multiple of a frame
CODES = [(name, kbps) for name in CODECS for kbps in BIT_RATES.get(name, (0,))]


@pytest.fixture(scope="module")
def speech(shared):
    path = min((shared / "speech/test").glob("ls*/*/*.wav"))
    samples, _ = soundfile.read(path, frames=N_SAMPLES, start=8_000, dtype="float32")
    return samples


def delay(before, after):
    """Return the samples by which ``after`` is later, where the cross-correlation is largest."""
    n_fft = 2 * len(before)
    lags = np.fft.irfft(np.fft.rfft(after, n_fft) * np.fft.rfft(before, n_fft).conj(), n_fft)
    found = int(lags.argmax())
    return found if found < n_fft // 2 else found - n_fft


@pytest.mark.parametrize(("name", "kbps"), CODES)
def test_codec_keeps_length_place_and_level_of_speech(speech, name, kbps):
    decoded = Codec(name, kbps).transmit(speech)
    assert decoded.shape == speech.shape
    assert decoded.dtype == np.float32
    assert not np.array_equal(decoded, speech)
    assert delay(speech, decoded) == 0
    assert level_db(TelephoneLine().transmit(decoded)) == pytest.approx(
        level_db(TelephoneLine().transmit(speech)), abs=1.0
    )


@pytest.mark.parametrize("name", CODECS)
def test_loud_samples_neither_wrap_nor_change_the_level(name):
    loud = 1.6 * tone(440, 8_000)
    loud *= 2  # 1.6 of full scale
    decoded = Codec(name, BIT_RATES.get(name, (0,))[-1]).transmit(loud)
    middle = slice(2_000, 6_000)  # some codecs take a while to begin
    assert np.abs(decoded[middle] - loud[middle]).max() < 0.5
    assert level_db(decoded[middle]) == pytest.approx(level_db(loud[middle]), abs=0.5)


@pytest.mark.parametrize("name", ["alaw", "mulaw", "gsm"])
def test_edges_that_swing_beyond_full_scale_at_8_khz_do_not_wrap(name):
    square = np.sign(tone(100, 16_000) + 1e-4).astype(np.float32)
    plateaus = np.abs(np.convolve(square, np.ones(33) / 33, "same")) > 0.999  # a millisecond away from the edges
    decoded = Codec(name).transmit(square)
    assert (np.sign(decoded) == square)[plateaus].all()
    assert np.abs(decoded).max() < 1.6


def test_silence_stays_silent_and_finite():
    for name in CODECS:
        decoded = Codec(name, BIT_RATES.get(name, (0,))[0]).transmit(np.zeros(400, np.float32))
        assert np.abs(decoded).max() < 1e-3, name


def test_telephone_line_passes_its_band_alone():
    def gain_db(hertz):
        return level_db(TelephoneLine().transmit(tone(hertz, 16_000))[2_000:14_000]) - level_db(tone(hertz, 12_000))

    assert [gain_db(hertz) for hertz in (400, 1_000, 3_000)] == pytest.approx([0, 0, 0], abs=0.1)
    assert max(gain_db(hertz) for hertz in (100, 200, 4_100, 6_000)) < -40
    assert delay(noise(8_000).numpy(), TelephoneLine().transmit(noise(8_000).numpy())) == 0


def test_codecs_and_their_bit_rates_are_drawn_evenly():
    step, rng = CodecStep(("gsm", "opus"), 1.0), np.random.default_rng(0)
    drawn = [step.add(Effects(), 100, rng).transmissions[0] for _ in range(2_000)]
    assert np.mean([codec.name == "gsm" for codec in drawn]) == pytest.approx(0.5, abs=0.05)
    assert {codec.kbps for codec in drawn if codec.name == "opus"} == {*BIT_RATES["opus"]}


@pytest.mark.parametrize("n_blocks", [24, 25])
def test_gsm_ends_where_what_was_written_ends(n_blocks):
    """libsndfile reads a block too many where their number is odd."""
    written = np.zeros(n_blocks * GSM_BLOCK_FRAMES, np.float32)
    assert len(codecs._through_file(written, 8_000, format="WAV", subtype="GSM610")) == len(written)
