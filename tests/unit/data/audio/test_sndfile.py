import io

import av
import numpy as np
import pytest
import soundfile

from mrlspk.data.audio import load_audio, probe_audio
from mrlspk.data.audio.headers import read_header
from mrlspk.data.audio.sndfile import GSM_BLOCK_FRAMES, open_sndfile
from mrlspk.data.audio.source import FileSource, RangeSource
from mrlspk.data.audio.stream import UndecodableError
from mrlspk.errors import DataError

N_FRAMES = 50_000  # more than a block
GSM_RATE = 8_000


def write(path, samples, **options):
    soundfile.write(path, samples, options.pop("rate", 16_000), **options)
    return FileSource(str(path))


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(0).normal(0, 0.1, (N_FRAMES, 2)).astype(np.float32)


@pytest.mark.parametrize("start", [0, 1, 12_345, 32_768, 49_999, 50_000, 99_999])
def test_blocks_are_the_slice_from_any_frame_on(tmp_path, noise, start):
    stream = open_sndfile(write(tmp_path / "a.wav", noise, subtype="FLOAT"))
    assert (stream.sample_rate, stream.channels, stream.n_frames) == (16_000, 2, N_FRAMES)
    blocks = list(stream.blocks(start))
    assert np.array_equal(np.concatenate([np.empty((0, 2)), *blocks]), noise[start:])
    assert all(0 < len(block) <= 32_768 for block in blocks)
    assert sum(map(len, stream.blocks())) == N_FRAMES  # again, from the beginning
    assert stream.damage is None


@pytest.mark.parametrize("subtype", ["GSM610", "G721_32", "NMS_ADPCM_24"])
def test_coding_without_seek_is_read_and_dropped(tmp_path, noise, subtype):
    source = write(tmp_path / "a.wav", noise[:, 0], subtype=subtype, rate=8_000)
    with soundfile.SoundFile(source.location) as file:
        assert not file.seekable()
    stream = open_sndfile(source)
    whole = np.concatenate(list(stream.blocks()))
    assert len(whole) == stream.count_frames() >= N_FRAMES
    for start in (40_000, 5, 0):
        assert np.array_equal(np.concatenate(list(stream.blocks(start))), whole[start:])


def flac_of(total: int, n_samples: int, seed: int = 0) -> bytes:
    """Return a FLAC file whose header counts ``total`` samples."""
    file = io.BytesIO()
    soundfile.write(file, np.random.default_rng(seed).normal(0, 0.1, n_samples), 16_000, format="FLAC")
    content = bytearray(file.getvalue())
    content[21] = content[21] & 0xF0 | total >> 32
    content[22:26] = (total & 0xFFFFFFFF).to_bytes(4, "big")
    return bytes(content)


def test_count_that_a_header_does_not_know_is_none(tmp_path):
    path = tmp_path / "a.flac"
    path.write_bytes(flac_of(0, 8_000))
    assert soundfile.info(path).frames == 2**63 - 1
    assert open_sndfile(FileSource(str(path))).n_frames is None


@pytest.mark.parametrize("total", [50_001, 2**33])
def test_fewer_samples_than_counted_are_cut_short(tmp_path, total):
    path = tmp_path / "a.flac"
    path.write_bytes(flac_of(total, 50_000))
    stream = open_sndfile(FileSource(str(path)))
    assert stream.n_frames == total
    with pytest.raises(DataError, match=f"cut short: expected {total} samples, got ") as caught:
        list(stream.blocks())
    assert caught.value.where == str(path)


def test_file_that_shrinks_while_it_is_read_is_cut_short(tmp_path, noise):
    source = write(tmp_path / "a.wav", noise, subtype="FLOAT")
    blocks = open_sndfile(source).blocks()
    next(blocks)
    with source.path.open("r+b") as file:
        file.truncate(300_000)
    with pytest.raises(DataError, match=r"cut short: expected 50000 samples, got 3\d{4}\n"):
        list(blocks)


def test_damage_in_the_middle_is_an_error_of_the_decoder(tmp_path):
    content = bytearray(flac_of(64_000, 64_000))
    content[60_000:60_400] = bytes(400)
    (tmp_path / "a.flac").write_bytes(content)
    stream = open_sndfile(FileSource(str(tmp_path / "a.flac")))
    with pytest.raises(DataError, match=r"cut short: expected 64000 samples, got \d+ \(.+\)"):
        list(stream.blocks())


@pytest.mark.parametrize("suffix", ["wav", "gsm", "vox"])  # libsndfile takes the last two for headerless audio
def test_text_is_undecodable_whatever_its_name(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_text("This is a text file, not audio.\n" * 20)
    with pytest.raises(UndecodableError, match=f"cannot be decoded as .{suffix} audio") as caught:
        open_sndfile(FileSource(str(path)))
    assert caught.value.reason.startswith("libsndfile: ")
    assert str(path) not in caught.value.reason


def test_many_channels_come_in_short_blocks(tmp_path):
    source = write(tmp_path / "a.wav", np.zeros((3_000, 64)))
    assert max(map(len, open_sndfile(source).blocks())) == 512


def read_by_ffmpeg(path):
    with av.open(path) as container:
        return np.concatenate([frame.to_ndarray().ravel() for frame in container.decode(audio=0)]) / np.float32(32_768)


@pytest.mark.parametrize("n_blocks", [49, 50])
def test_gsm_has_the_samples_that_ffmpeg_decodes(tmp_path, n_blocks):
    path = tmp_path / "a.wav"
    speech = np.random.default_rng(0).normal(0, 0.05, n_blocks * GSM_BLOCK_FRAMES)
    soundfile.write(path, speech, GSM_RATE, subtype="GSM610")
    expected = read_by_ffmpeg(path)
    assert len(expected) == n_blocks * GSM_BLOCK_FRAMES
    assert probe_audio(path).seconds == read_header(path, counts=True).seconds == n_blocks * GSM_BLOCK_FRAMES / GSM_RATE
    np.testing.assert_array_equal(load_audio(path, sample_rate=GSM_RATE).numpy(), expected)
    end = RangeSource(FileSource(str(path)), 45 * GSM_BLOCK_FRAMES / GSM_RATE)
    np.testing.assert_array_equal(load_audio(end, sample_rate=GSM_RATE).numpy(), expected[45 * GSM_BLOCK_FRAMES :])
