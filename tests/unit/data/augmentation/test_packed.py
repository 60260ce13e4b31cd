import pickle

import numpy as np
import pytest
from safetensors.numpy import load_file

from mrlspk.data.augmentation.packed import PackedRecordings, PackedWriter
from mrlspk.data.augmentation.recordings import FolderRecordings
from mrlspk.errors import DataError
from noise_recordings import noise, tone, write_tree


@pytest.fixture
def channels():
    """Channels of four recordings: 16 bits, two channels, quieter than 16 bits can tell, beyond full scale."""
    whole = np.round(noise(5_000).numpy() * 32_768) / 32_768
    return [[whole], [tone(440, 300), tone(880, 300)], [noise(700).numpy() * 1e-6], [noise(100).numpy() * 30]]


@pytest.fixture
def packed(tmp_path, channels):
    path = tmp_path / "noise.bin"
    path.touch()
    writer = PackedWriter(path, [f"noise/{number}é.wav" for number in range(4)])
    for each in channels:
        writer.add(each)
    assert writer.finish() == 6_400
    return path


def test_packed_recordings_are_those_that_were_written(packed, channels):
    recordings, rng = PackedRecordings(packed), np.random.default_rng(0)
    assert recordings.names == tuple(f"noise/{number}é.wav" for number in range(4))
    assert np.array_equal(recordings.channel(0, rng), channels[0][0])
    for index in (2, 3):
        peak = np.abs(channels[index][0]).max()
        np.testing.assert_allclose(recordings.channel(index, rng), channels[index][0], atol=peak / 65_000)
    drawn = [recordings.channel(1, rng) for _ in range(20)]
    assert {int(np.abs(np.fft.rfft(each)).argmax()) for each in drawn} == {8, 16}  # 440 and 880 Hz in 300 samples


def test_crop_is_a_part_or_repeats_a_short_recording(packed, channels):
    recordings, whole = PackedRecordings(packed), channels[0][0]
    starts = set()
    for seed in range(50):
        crop = recordings.crop(0, 4_998, np.random.default_rng(seed))
        starts.add(next(start for start in range(3) if np.array_equal(crop, whole[start : start + 4_998])))
    assert starts == {0, 1, 2}
    mixed = np.mean(channels[1], axis=0)
    np.testing.assert_allclose(recordings.crop(1, 700, np.random.default_rng(0)), np.resize(mixed, 700), atol=1e-4)


def test_packed_recordings_are_pickled_without_their_samples(packed, channels):
    sent = pickle.dumps(PackedRecordings(packed))
    assert len(sent) < 1_500
    assert np.array_equal(pickle.loads(sent).channel(0, np.random.default_rng(0)), channels[0][0])


def test_packed_crop_equals_the_crop_of_the_folder(tmp_path):
    samples = np.round(noise(50_000).numpy() * 32_768) / 32_768
    write_tree(tmp_path / "noise", {"1.wav": samples})
    path = tmp_path / "noise.bin"
    path.touch()
    writer = PackedWriter(path, ["noise/1.wav"])
    writer.add([samples])
    writer.finish()
    folder, packed = FolderRecordings(tmp_path / "noise", ["1.wav"]), PackedRecordings(path)
    assert packed.names == folder.names

    def start_of(recordings, seed):
        crop = recordings.crop(0, 48_000, np.random.default_rng(seed))
        return next(start for start in range(2_001) if np.array_equal(samples[start : start + 48_000], crop))

    for seed in range(8):
        assert abs(start_of(folder, seed) - start_of(packed, seed)) <= 1  # a place in seconds is rounded


def test_packed_file_is_one_of_safetensors(packed, channels):
    tensors = load_file(packed)
    assert tensors["lengths"].tolist() == [5_000, 300, 700, 100]
    assert tensors["channels"].tolist() == [1, 2, 1, 1]
    assert np.array_equal(tensors["samples"][:5_000] * tensors["scales"][0], channels[0][0])
    assert bytes(tensors["names"]).decode().split("\n")[3] == "noise/3é.wav"


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda content: content[:-1], "cut short"),
        (lambda content: content[:3], "got another file"),
        (lambda content: b"RIFF" + content, "got another file"),
        (lambda content: content.replace(b"recordings 1", b"recordings 2"), "another format"),
    ],
)
def test_other_or_cut_file_is_an_error_that_says_so(packed, damage, told):
    packed.write_bytes(damage(packed.read_bytes()))
    with pytest.raises(DataError, match=told) as caught:
        PackedRecordings(packed)
    assert "pack-noise" in caught.value.fix
