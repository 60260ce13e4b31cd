import tracemalloc

import numpy as np
import pytest
import soundfile
from tests.encoded_audio import write_lossy

from mrlspk.data.audio.reader import open_audio
from mrlspk.data.audio.source import ChannelSource, FileSource, RangeSource
from mrlspk.errors import DataError

RNG = np.random.default_rng(3)
RATES = [8_000, 11_127, 16_000, 44_100, 44_101]


def write(path, samples, rate=16_000, **options):
    soundfile.write(path, samples, rate, **options)
    return FileSource(str(path))


def read(source, **part):
    with open_audio(source) as reader:
        blocks = list(reader.blocks(**part))
        return np.concatenate(blocks), reader.warnings


@pytest.fixture(params=RATES)
def recording(request, tmp_path):
    """Four seconds of noise in two channels."""
    samples = RNG.normal(0, 0.1, (4 * request.param, 2))
    return write(tmp_path / "a.wav", samples, request.param, subtype="FLOAT")


@pytest.mark.parametrize(("start", "seconds"), [(0.0, 0.5), (0.3, 1.0), (1.23456, 0.777), (2.5, None), (3.9, 5.0)])
def test_range_equals_the_slice_of_the_whole(recording, start, seconds):
    whole, _ = read(recording)
    part, _ = read(recording, start_seconds=start, seconds=seconds)
    first = round(start * 16_000)
    expected = whole[first:] if seconds is None else whole[first:][: round(seconds * 16_000)]
    np.testing.assert_allclose(part, expected, atol=1e-6)
    ranged, _ = read(RangeSource(recording, start, seconds))
    np.testing.assert_allclose(ranged, expected, atol=1e-6)


def test_whole_has_the_length_of_the_recording(recording):
    whole, _ = read(recording)
    assert (whole.dtype, whole.shape) == (np.float32, (64_000,))
    with open_audio(recording) as reader:
        assert (reader.seconds, reader.channels) == (4.0, 2)


def test_range_decodes_nothing_far_behind_it(tmp_path):
    samples = RNG.normal(0, 0.1, 160_000)
    path = tmp_path / "a.wav"
    source = write(path, samples, 44_100)
    content = bytearray(path.read_bytes())
    content[-80_000:] = bytes(80_000)
    path.write_bytes(content)
    decoded = []
    with open_audio(source) as reader:
        take = reader._stream.blocks
        reader._stream.blocks = lambda *span: (decoded.append(len(block)) or block for block in take(*span))
        list(reader.blocks(start_seconds=0.5, seconds=0.5))
    assert sum(decoded) < 2 * 44_100


def test_channel_is_chosen(tmp_path):
    left, right = RNG.normal(0, 0.1, (2, 20_000)).astype(np.float32)
    source = write(tmp_path / "a.wav", np.stack([left, right], axis=1), subtype="FLOAT")
    assert np.array_equal(read(ChannelSource(source, 0))[0], left)
    assert np.array_equal(read(ChannelSource(RangeSource(source, 0.5), 1))[0], right[8_000:])
    np.testing.assert_allclose(read(source)[0], (left + right) / 2, atol=1e-7)
    with pytest.raises(DataError, match="got a recording of 2 channels") as caught:
        open_audio(ChannelSource(source, 2))
    assert caught.value.where == f"{tmp_path}/a.wav#2"


def test_lower_rate_is_told(tmp_path):
    assert read(write(tmp_path / "a.wav", RNG.normal(0, 0.1, 8_000), 8_000))[1] == ("upsampled from 8000 Hz",)
    assert read(write(tmp_path / "b.wav", RNG.normal(0, 0.1, 48_000), 48_000))[1] == ()
    with open_audio(tmp_path / "b.wav", sample_rate=96_000) as reader:
        assert sum(map(len, reader.blocks())) == 96_000
        assert reader.warnings == ("upsampled from 48000 Hz",)


def test_channels_are_told_of_the_mix_alone(tmp_path):
    source = write(tmp_path / "a.wav", RNG.normal(0, 0.1, (64_000, 2)))
    assert read(source)[1] == ("channels differ",)
    assert read(ChannelSource(source, 0))[1] == ()
    one = RNG.normal(0, 0.1, 64_000)
    assert read(write(tmp_path / "b.wav", np.stack([one, -one], axis=1)))[1] == ("channels cancel",)


def test_channels_are_judged_by_the_range_alone(tmp_path):
    one, other = RNG.normal(0, 0.1, (2, 160_000))
    other[:64_000] = one[:64_000]
    source = write(tmp_path / "a.wav", np.stack([one, other], axis=1))
    assert read(RangeSource(source, 0.0, 4.0))[1] == ()
    assert read(RangeSource(source, 4.0, 4.0))[1] == ("channels differ",)


def test_warnings_are_of_the_blocks_read_last(tmp_path):
    one, other = RNG.normal(0, 0.1, (2, 160_000))
    one[70_000] = 100.0
    other[80_000:] = one[80_000:]
    with open_audio(write(tmp_path / "a.wav", np.stack([one, other], axis=1), subtype="FLOAT")) as reader:
        list(reader.blocks(seconds=5.0))
        assert reader.warnings == ("channels differ", "out of range")
        list(reader.blocks(start_seconds=5.0))
        assert reader.warnings == ()


@pytest.mark.parametrize(("peak", "expected"), [(1.2, ()), (12_000.0, ("out of range",))])
def test_samples_far_out_of_range_are_told(tmp_path, peak, expected):
    samples = np.zeros(100_000)
    samples[90_000] = -peak
    assert read(write(tmp_path / "a.wav", samples, subtype="FLOAT"))[1] == expected


@pytest.mark.parametrize("place", [0, 99_999])
@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_samples_that_are_no_numbers_are_an_error(tmp_path, place, value):
    samples = np.zeros(100_000)
    samples[place] = value
    with pytest.raises(DataError, match="not finite"):
        read(write(tmp_path / "a.wav", samples, subtype="FLOAT"))


@pytest.mark.parametrize("part", [{}, {"start_seconds": 9.0}, {"start_seconds": 9.0, "seconds": 1.0}])
def test_nothing_to_read_is_an_error(tmp_path, part):
    source = write(tmp_path / "a.wav", np.zeros(16_000 if part else 0))
    with pytest.raises(DataError, match=f"expected audio at {part.get('start_seconds', 0):.2f} s, got none"):
        read(source, **part)


@pytest.mark.parametrize("suffix", ["m4a", "mp3"])
def test_blocks_can_be_read_again(tmp_path, suffix):
    path = write_lossy(tmp_path / f"a.{suffix}", RNG.normal(0, 0.1, 48_000))
    with open_audio(path) as reader:
        first, again = (np.concatenate(list(reader.blocks())) for _ in range(2))
        part = np.concatenate(list(reader.blocks(start_seconds=1.5, seconds=0.5)))
        assert reader.seconds == len(first) / 16_000
    assert np.array_equal(first, again)
    np.testing.assert_allclose(part, first[24_000:32_000], atol=1e-5)


def test_memory_does_not_grow_with_the_length(tmp_path):
    path = tmp_path / "a.wav"
    with soundfile.SoundFile(path, "w", 44_100, 2, subtype="PCM_16") as file:
        for _ in range(5):
            file.write(np.zeros((60 * 44_100, 2), np.int16))
    tracemalloc.start()
    with open_audio(path) as reader:
        assert sum(map(len, reader.blocks())) == 5 * 960_000
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5e6  # bytes; five minutes are 19 MB, and 106 MB before they are mixed
