"""GSM 6.10 in WAV, of which libsndfile reads a block too many where their number is odd."""

import av
import numpy as np
import pytest
import soundfile

from mrlspk.data.audio import load_audio, probe_audio
from mrlspk.data.audio.headers import read_header
from mrlspk.data.audio.source import FileSource, RangeSource

BLOCK, RATE = 320, 8_000


def read_by_ffmpeg(path):
    with av.open(path) as container:
        return np.concatenate([frame.to_ndarray().ravel() for frame in container.decode(audio=0)]) / np.float32(32_768)


@pytest.mark.parametrize("n_blocks", [49, 50])
def test_gsm_has_the_samples_that_ffmpeg_decodes(tmp_path, n_blocks):
    path = tmp_path / "a.wav"
    speech = np.random.default_rng(0).normal(0, 0.05, n_blocks * BLOCK)
    soundfile.write(path, speech, RATE, subtype="GSM610")
    expected = read_by_ffmpeg(path)
    assert len(expected) == n_blocks * BLOCK
    assert probe_audio(path).seconds == read_header(path, counts=True).seconds == n_blocks * BLOCK / RATE
    np.testing.assert_array_equal(load_audio(path, sample_rate=RATE).numpy(), expected)
    end = RangeSource(FileSource(str(path)), 45 * BLOCK / RATE)
    np.testing.assert_array_equal(load_audio(end, sample_rate=RATE).numpy(), expected[45 * BLOCK :])
