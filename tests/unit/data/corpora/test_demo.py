import numpy as np
import pytest

from mrlspk.data.corpora.demo import SENTENCES, VARIANTS, Synthesiser, Voice, make_voices
from mrlspk.errors import MrlspkError


def test_voices_differ_and_are_a_function_of_the_seed():
    voices = make_voices(60, seed=0)
    assert len(set(voices)) == 60
    assert len({voice.name for voice in voices}) == 60
    assert voices == make_voices(60, seed=0)
    assert voices != make_voices(60, seed=1)


def test_synthesiser_knows_every_variant_and_language():
    pytest.importorskip("espeakng_loader", reason="needs the extra 'demo'")
    synthesiser = Synthesiser()
    voices = make_voices(len(VARIANTS), seed=0)
    for voice in voices:
        waveform = synthesiser.speak("Good morning.", voice)
        assert 0.2 < len(waveform) / synthesiser.sample_rate < 3
        assert 0.05 < np.abs(waveform).max() <= 1
    with pytest.raises(MrlspkError, match="no such voice"):
        synthesiser.speak("Good morning.", Voice("nowhere+m1", 50, 50, 160))


def test_pitch_and_rate_are_those_asked_for():
    pytest.importorskip("espeakng_loader", reason="needs the extra 'demo'")
    synthesiser, text = Synthesiser(), SENTENCES["en"][0]
    slow, fast = (synthesiser.speak(text, Voice("en-us+m3", 50, 50, rate)) for rate in (140, 200))
    assert len(slow) > 1.2 * len(fast)
    low, high = (synthesiser.speak(text, Voice("en-us+m3", pitch, 50, 160)) for pitch in (20, 80))
    assert _fundamental_hz(high, synthesiser.sample_rate) > 1.2 * _fundamental_hz(low, synthesiser.sample_rate)


def _fundamental_hz(waveform: np.ndarray, rate: int) -> float:
    """Return the lag of the highest autocorrelation between 60 and 400 Hz, as a frequency."""
    power = np.abs(np.fft.rfft(waveform, 2 * len(waveform))) ** 2
    lags = np.arange(rate // 400, rate // 60)
    return rate / lags[np.argmax(np.fft.irfft(power)[lags])]
