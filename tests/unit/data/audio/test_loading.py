import os
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from tests.encoded_audio import write_lossy

from mrlspk.data.audio import AudioReader, load_audio, probe_audio, random_crop
from mrlspk.errors import DataError


def tone(seconds: float, rate: int = 16_000) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def write(path: Path, samples: np.ndarray, rate: int = 16_000, **options: str) -> Path:
    soundfile.write(path, samples, rate, **options)
    return path


@pytest.mark.parametrize(("suffix", "tolerance"), [("wav", 2**-15), ("flac", 2**-15)])
def test_loads_what_was_written(tmp_path, suffix, tolerance):
    waveform = load_audio(write(tmp_path / f"a.{suffix}", tone(1.0)))
    assert waveform.dtype == torch.float32
    assert waveform.shape == (16_000,)
    np.testing.assert_allclose(waveform.numpy(), tone(1.0), atol=tolerance)


@pytest.mark.parametrize("suffix", ["m4a", "mp3", "aac"])
def test_loads_lossy_formats_with_all_of_their_samples(tmp_path, suffix):
    waveform = load_audio(write_lossy(tmp_path / f"a.{suffix}", tone(1.0)))
    assert waveform.numel() >= 16_000
    assert waveform.square().mean().item() == pytest.approx(0.125, rel=0.1)  # of a sine at 0.5


def test_channels_are_averaged(tmp_path):
    stereo = np.stack([np.full(800, 0.5), np.full(800, -0.25)], axis=1)
    assert torch.allclose(load_audio(write(tmp_path / "a.wav", stereo)), torch.full((800,), 0.125))


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000])
def test_other_rates_are_resampled(tmp_path, rate):
    waveform = load_audio(write(tmp_path / "a.wav", tone(1.0, rate), rate))
    assert waveform.shape == (16_000,)
    np.testing.assert_allclose(waveform[1000:-1000].numpy(), tone(1.0)[1000:-1000], atol=5e-3)


@pytest.mark.parametrize("suffix", ["wav", "flac", "m4a", "mp3"])
@pytest.mark.parametrize("start_seconds", [0.0, 0.61803, 2.0])
def test_range_equals_the_same_part_of_the_whole(tmp_path, suffix, start_seconds):
    path = tmp_path / f"a.{suffix}"
    samples = np.random.default_rng(1).normal(0, 0.1, 48_000).astype(np.float32)
    write(path, samples) if suffix in {"wav", "flac"} else write_lossy(path, samples)
    whole, first = load_audio(path), round(start_seconds * 16_000)
    part = load_audio(path, start_seconds=start_seconds, seconds=0.5)
    assert part.shape == (8_000,)
    assert torch.allclose(part, whole[first : first + 8_000], atol=1e-5)


def test_range_is_short_where_the_file_ends(tmp_path):
    path = write(tmp_path / "a.wav", tone(1.0))
    assert load_audio(path, start_seconds=0.75, seconds=1.0).shape == (4_000,)


@pytest.mark.parametrize("suffix", ["wav", "m4a"])
def test_range_behind_the_end_is_an_error(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    write(path, tone(1.0)) if suffix == "wav" else write_lossy(path, tone(1.0))
    with pytest.raises(DataError, match=r"expected audio at 5\.00 s, got none"):
        load_audio(path, start_seconds=5.0, seconds=1.0)


def test_probe_reads_the_header(tmp_path):
    info = probe_audio(write(tmp_path / "a.wav", tone(1.5, 8_000), 8_000))
    assert (info.sample_rate, info.channels, info.seconds) == (8_000, 1, 1.5)
    assert probe_audio(write_lossy(tmp_path / "a.m4a", tone(1.5))).seconds == pytest.approx(1.5, abs=0.1)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "m4a", "mp3", "aac"])
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "expected .{} audio, got an empty file"),
        (b"This is a text file, not audio.\n" * 20, "cannot be decoded as .{} audio"),
    ],
)
def test_what_is_not_audio_is_an_error_that_names_the_file(tmp_path, suffix, content, message):
    path = tmp_path / f"a.{suffix}"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message.format(suffix)) as caught:
        load_audio(path)
    assert caught.value.where == str(path)
    assert caught.value.fix


@pytest.mark.parametrize("suffix", ["wav", "flac", "m4a"])
@pytest.mark.parametrize("share", [0.5, 0.95])
def test_truncated_file_is_an_error(tmp_path, suffix, share):
    path = tmp_path / f"a.{suffix}"
    noise = np.random.default_rng(0).normal(0, 0.1, 64_000).astype(np.float32)
    write(path, noise) if suffix != "m4a" else write_lossy(path, noise)
    path.write_bytes(path.read_bytes()[: round(path.stat().st_size * share)])
    with pytest.raises(DataError):
        load_audio(path)


def test_truncated_m4a_with_its_index_in_front_is_an_error(tmp_path):
    content = write_lossy(tmp_path / "a.m4a", tone(2.0)).read_bytes()
    boxes, position = {}, 0
    while position < len(content):
        length = int.from_bytes(content[position : position + 4], "big")
        boxes[content[position + 4 : position + 8]] = content[position : position + length]
        position += length
    path = tmp_path / "b.m4a"
    path.write_bytes((boxes[b"ftyp"] + boxes[b"moov"] + boxes[b"mdat"])[:-500])
    with pytest.raises(DataError, match="cut short"):
        load_audio(path)


def test_wav_of_unknown_length_is_read_to_its_end(tmp_path):
    path = write(tmp_path / "a.wav", tone(1.0))
    content = bytearray(path.read_bytes())
    content[4:8] = content[40:44] = b"\xff\xff\xff\xff"  # as a program writes that pipes its output
    path.write_bytes(content)
    assert load_audio(path).shape == (16_000,)


def test_samples_that_are_not_numbers_are_an_error(tmp_path):
    samples = tone(0.5)
    samples[100] = np.nan
    with pytest.raises(DataError, match="not finite"):
        load_audio(write(tmp_path / "a.wav", samples, subtype="FLOAT"))


def test_header_without_samples_is_an_error(tmp_path):
    with pytest.raises(DataError, match="got none"):
        load_audio(write(tmp_path / "a.wav", tone(0.0)))


def test_folder_and_broken_link_are_named_as_such(tmp_path):
    with pytest.raises(DataError, match="expected an audio file, got a folder"):
        load_audio(tmp_path)
    (tmp_path / "a.wav").symlink_to("gone.wav")
    with pytest.raises(DataError, match="a link to a file that does not exist"):
        load_audio(tmp_path / "a.wav")


def test_absent_file_and_unknown_suffix_are_errors(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        load_audio(tmp_path / "a.wav")
    (tmp_path / "a.txt").write_text("x")
    with pytest.raises(DataError, match="cannot be decoded as .txt audio"):
        load_audio(tmp_path / "a.txt")


@pytest.mark.parametrize("suffix", ["wav", "m4a"])
@pytest.mark.parametrize("read", [load_audio, probe_audio])
def test_a_name_that_is_not_utf_8_is_an_error_that_shows_it(tmp_path, suffix, read):
    path = tmp_path / os.fsdecode(f"caf\xe9.{suffix}".encode("latin-1"))
    path.write_bytes(write(tmp_path / "a.wav", tone(0.5)).read_bytes())
    with pytest.raises(DataError, match="its name is not UTF-8") as caught:
        read(path)
    assert str(caught.value).startswith(f"{tmp_path}/caf\\xe9.{suffix}: ")


def test_crops_come_from_the_tail_of_an_mp3_that_does_not_know_its_length(tmp_path):
    steps = np.repeat(np.linspace(0.05, 0.5, 20), 16_000) * tone(20.0) / 0.5  # louder from second to second
    content = write_lossy(tmp_path / "a.mp3", steps.astype(np.float32)).read_bytes()
    (tmp_path / "b.mp3").write_bytes(content[content.index(b"\xff\xf3", 500) :])  # the frame of the Xing header is gone
    assert probe_audio(tmp_path / "b.mp3").seconds == pytest.approx(20, abs=0.3)
    crops = [random_crop(tmp_path / "b.mp3", 8_000, np.random.default_rng(seed)) for seed in range(60)]
    assert max(crop.abs().max() for crop in crops) > 0.45
    assert min(crop.abs().max() for crop in crops) < 0.12


@pytest.mark.parametrize("total", [30_000, 2**33])
def test_crop_of_a_flac_that_counts_too_many_samples_is_an_error(tmp_path, total):
    content = bytearray(write(tmp_path / "a.flac", tone(1.0)).read_bytes())
    content[21] = content[21] & 0xF0 | total >> 32
    content[22:26] = (total & 0xFFFFFFFF).to_bytes(4, "big")
    (tmp_path / "b.flac").write_bytes(content)
    with pytest.raises(DataError, match="cut short"):
        random_crop(tmp_path / "b.flac", 8_000, np.random.default_rng(0))


@pytest.mark.parametrize("seconds", [0.1, 1.0])
def test_crop_of_audio_that_is_just_long_enough_has_its_length(tmp_path, seconds):
    path = write(tmp_path / "a.wav", tone(1.0, 11_127), 11_127)
    for seed in range(5):
        assert random_crop(path, round(seconds * 16_000), np.random.default_rng(seed)).shape == (seconds * 16_000,)


def test_crop_of_audio_that_is_shorter_than_counted_has_its_length(tmp_path, monkeypatch):
    path = write(tmp_path / "a.wav", np.arange(16_000) / 32_768)
    monkeypatch.setattr(AudioReader, "seconds", 1.2)
    for seed in range(10):
        crop = random_crop(path, 12_000, np.random.default_rng(seed)) * 32_768
        assert (crop.diff() > 0).sum() >= 11_998  # unbroken, but for the place where it is repeated
        assert crop.shape == (12_000,)
