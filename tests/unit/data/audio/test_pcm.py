import numpy as np
import pytest
import soundfile
from tests.tar_members import write_tar

from mrlspk.data.audio import load_audio
from mrlspk.data.audio.opening import open_stream
from mrlspk.data.audio.pcm import PcmStream
from mrlspk.data.audio.sndfile import SndfileStream
from mrlspk.data.audio.stream import LARGEST_RANGE
from mrlspk.errors import DataError


@pytest.fixture
def write(tmp_path):
    def write_integers(n_frames=70_001, channels=1, **options):
        integers = np.random.default_rng(0).integers(-32_768, 32_768, (n_frames, channels), np.int16)
        soundfile.write(tmp_path / "a.wav", integers, 16_000, **options)
        return tmp_path / "a.wav"

    return write_integers


@pytest.mark.parametrize(
    ("channels", "options"), [(1, {}), (2, {}), (3, {"format": "WAVEX"})], ids=["mono", "stereo", "extensible"]
)
@pytest.mark.parametrize(("start", "stop"), [(0, None), (0, 70_001), (69_990, 80_000), (1_234, 50_001)])
def test_samples_are_those_of_libsndfile_bit_for_bit(write, channels, options, start, stop):
    path = write(channels=channels, **options)
    stream = open_stream(path)
    assert isinstance(stream, PcmStream)
    assert (stream.n_frames, stream.count_frames(), stream.channels) == (70_001, 70_001, channels)
    blocks = list(stream.blocks(start, stop))
    stream.close()
    expected, _ = soundfile.read(path, dtype="float32", always_2d=True)
    assert np.array_equal(np.concatenate(blocks), expected[start:stop])
    assert (len(blocks) == 1) == (stop is not None)


def test_long_range_comes_in_blocks(write):
    stream = open_stream(write(LARGEST_RANGE + 5))
    assert len(list(stream.blocks(0, LARGEST_RANGE))) == 1
    assert len(list(stream.blocks(0, LARGEST_RANGE + 1))) > 10
    stream.close()


@pytest.mark.parametrize("options", [{"subtype": "PCM_24"}, {"endian": "BIG"}, {"format": "RF64"}])
def test_other_samples_are_left_to_libsndfile(write, options):
    stream = open_stream(write(**options))
    assert isinstance(stream, SndfileStream)
    stream.close()


def test_member_of_a_tar_is_read_in_place(write, tmp_path):
    path = write()
    member = write_tar(tmp_path / "a.tar", "a.wav", path.read_bytes())
    part = load_audio(member, start_seconds=1, seconds=2).numpy()
    assert np.array_equal(part, soundfile.read(path, dtype="float32", start=16_000, stop=48_000)[0])


def test_file_that_shrinks_while_it_is_open_is_an_error(write):
    path = write()
    stream = open_stream(path)
    path.write_bytes(path.read_bytes()[: 44 + 2 * 60_000])
    with pytest.raises(DataError, match="cut short: expected 70001 samples, got 60000") as caught:
        list(stream.blocks(50_000, 70_000))
    assert caught.value.where == str(path)
    stream.close()
