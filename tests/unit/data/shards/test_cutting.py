import io

import numpy as np
import pytest
import soundfile

from mrlspk.data.audio import load_audio
from mrlspk.data.audio.source import ChannelSource, RangeSource, as_source
from mrlspk.data.shards.cutting import cut_segment, is_part, read_encoded
from mrlspk.errors import DataError


@pytest.fixture
def recording(tmp_path):
    """Four seconds of two channels at 8 kHz with 16 bits."""
    samples = np.random.default_rng(0).integers(-(2**15), 2**15, (32_000, 2)).astype(np.int16)
    soundfile.write(tmp_path / "call.wav", samples, 8_000)
    return as_source(tmp_path / "call.wav"), samples


def test_segment_has_the_samples_of_its_range_bit_for_bit(recording):
    source, samples = recording
    cut = cut_segment(RangeSource(source, 1.25, 0.5))
    found, rate = soundfile.read(io.BytesIO(cut.content), dtype="int16")
    assert rate == 8_000
    assert np.array_equal(found, samples[10_000:14_000])
    assert soundfile.info(io.BytesIO(cut.content)).subtype == "PCM_16"


def test_segment_to_the_end_of_one_channel(recording):
    source, samples = recording
    cut = cut_segment(ChannelSource(RangeSource(source, 3.0), 1))
    found, _ = soundfile.read(io.BytesIO(cut.content), dtype="int16")
    assert np.array_equal(found, samples[24_000:, 1])


def test_segment_of_finer_samples_has_24_bits(tmp_path):
    samples = np.random.default_rng(0).uniform(-1, 1, 16_000).astype(np.float32)
    soundfile.write(tmp_path / "float.wav", samples, 16_000, "FLOAT")
    cut = cut_segment(RangeSource(as_source(tmp_path / "float.wav"), 0.0, 0.5))
    assert soundfile.info(io.BytesIO(cut.content)).subtype == "PCM_24"
    assert np.abs(load_audio(cut).numpy() - samples[:8_000]).max() <= 2**-24


def test_whole_recording_keeps_its_bytes_and_a_part_is_cut(recording):
    source, _ = recording
    assert read_encoded(source).content == source.path.read_bytes()
    assert not is_part(source)
    assert all(map(is_part, (RangeSource(source, 1.0), RangeSource(source, 0.0, 4.0), ChannelSource(source, 0))))


def test_segment_beyond_the_end_or_of_no_channel_is_an_error(recording):
    source, _ = recording
    with pytest.raises(DataError, match="expected audio at 9.00 s, got none"):
        cut_segment(RangeSource(source, 9.0, 1.0))
    with pytest.raises(DataError, match="expected a channel 2"):
        cut_segment(ChannelSource(source, 2))
