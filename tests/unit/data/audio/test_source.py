import io
import pickle
import tarfile

import numpy as np
import pytest
import soundfile
import torch
from tests.encoded_audio import write_lossy

from mrlspk.data.audio import load_audio, probe_audio, random_crop
from mrlspk.data.audio.source import FileSource, RangeSource, TarMember, as_source, list_tar
from mrlspk.errors import DataError

FORMATS = ["wav", "flac", "ogg", "m4a", "mp3"]


@pytest.fixture(params=FORMATS)
def recording(request, tmp_path):
    """Three seconds of noise in one format."""
    path = tmp_path / f"a.{request.param}"
    samples = np.random.default_rng(1).normal(0, 0.1, 48_000).astype(np.float32)
    if request.param in {"wav", "flac", "ogg"}:
        soundfile.write(path, samples, 16_000)
    else:
        write_lossy(path, samples)
    return path


def pack(archive, *paths, mode="w"):
    with tarfile.open(archive, mode) as file:
        for path in paths:
            file.add(path, f"speaker/session/{path.name}")
    return archive


def test_file_source_decodes_as_its_path(recording):
    source = FileSource(str(recording))
    assert torch.equal(load_audio(source), load_audio(recording))
    assert probe_audio(source) == probe_audio(recording)
    assert source == as_source(recording) == as_source(str(recording))
    assert (source.path, source.size()) == (recording, recording.stat().st_size)
    with source.open() as file:
        assert file.read() == recording.read_bytes()


def test_tar_member_decodes_as_the_packed_file(tmp_path, recording):
    (tmp_path / "notes.txt").write_text("first")
    first, source = list_tar(pack(tmp_path / "a.tar", tmp_path / "notes.txt", recording))
    assert (first.name, source.name, source.suffix) == (
        "speaker/session/notes.txt",
        f"speaker/session/{recording.name}",
        recording.suffix,
    )
    assert torch.equal(load_audio(source), load_audio(recording))
    assert probe_audio(source) == probe_audio(recording)
    assert (source.path, source.size()) == (None, recording.stat().st_size)
    part = {"start_seconds": 0.7, "seconds": 1.1}
    assert torch.allclose(load_audio(source, **part), load_audio(recording, **part), atol=1e-6)


@pytest.mark.parametrize("packed", [False, True])
def test_range_equals_the_slice_of_the_whole(tmp_path, recording, packed):
    whole = list_tar(pack(tmp_path / "a.tar", recording))[0] if packed else FileSource(str(recording))
    source, samples = RangeSource(whole, 0.75, 1.5), load_audio(recording)
    assert load_audio(source).shape == (24_000,)
    assert torch.allclose(load_audio(source), samples[12_000:36_000], atol=1e-5)
    inner = load_audio(source, start_seconds=0.5, seconds=0.25)
    assert torch.allclose(inner, samples[20_000:24_000], atol=1e-5)
    assert probe_audio(source).seconds == 1.5


def test_range_does_not_reach_beyond_its_end(recording):
    source = RangeSource(FileSource(str(recording)), 0.5, 1.0)
    assert load_audio(source, start_seconds=0.75, seconds=2.0).shape == (4_000,)
    with pytest.raises(DataError, match=r"expected audio at 1\.00 s, got none") as caught:
        load_audio(source, start_seconds=1.0, seconds=1.0)
    assert caught.value.where == f"{recording}[0.50:1.50]"


def test_range_without_a_length_reaches_to_the_end(tmp_path):
    samples = np.arange(32_000) / 32_768
    soundfile.write(tmp_path / "a.wav", samples, 16_000)
    source = RangeSource(FileSource(str(tmp_path / "a.wav")), 1.5)
    assert load_audio(source).tolist() == samples[24_000:].tolist()
    assert probe_audio(source).seconds == 0.5


def test_random_crop_stays_within_its_range(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.arange(32_000) / 32_768, 16_000)
    source = RangeSource(FileSource(str(tmp_path / "a.wav")), 0.5, 0.25)
    places = [(random_crop(source, 1_600, np.random.default_rng(n)) * 32_768).round() for n in range(50)]
    assert min(each.min() for each in places) >= 8_000
    assert max(each.max() for each in places) < 12_000
    repeated = random_crop(source, 6_000, np.random.default_rng(0)) * 32_768
    assert repeated.tolist() == [*range(8_000, 12_000), *range(8_000, 10_000)]


@pytest.mark.parametrize("suffix", ["wav", "flac", "m4a"])
def test_errors_name_the_member_of_the_archive(tmp_path, suffix):
    path = tmp_path / f"a.{suffix}"
    path.write_text("This is a text file, not audio.")
    (source,) = list_tar(pack(tmp_path / "a.tar", path))
    with pytest.raises(DataError, match=f"cannot be decoded as .{suffix} audio") as caught:
        load_audio(source)
    assert caught.value.where == f"{tmp_path}/a.tar:speaker/session/a.{suffix}"
    (tmp_path / "a.tar").unlink()
    with pytest.raises(DataError, match="cannot be read") as caught:
        load_audio(source)
    assert caught.value.where == f"{tmp_path}/a.tar:speaker/session/a.{suffix}"


def test_truncated_wav_in_an_archive_is_an_error(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(8_000), 16_000)
    content = (tmp_path / "a.wav").read_bytes()[:-100]
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        entry = tarfile.TarInfo("a.wav")
        entry.size = len(content)
        file.addfile(entry, io.BytesIO(content))
    with pytest.raises(DataError, match="cut short: expected 16000 bytes of audio, got 15900"):
        load_audio(list_tar(tmp_path / "a.tar")[0])


def test_compressed_or_absent_archive_is_an_error(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(800), 16_000)
    with pytest.raises(DataError, match="expected an uncompressed tar archive") as caught:
        list_tar(pack(tmp_path / "a.tar.gz", tmp_path / "a.wav", mode="w:gz"))
    assert caught.value.where == tmp_path / "a.tar.gz"
    assert caught.value.fix
    with pytest.raises(DataError, match="cannot be read"):
        list_tar(tmp_path / "absent.tar")


def test_sources_are_hashable_and_survive_pickling():
    file, member = FileSource("a/b.wav"), TarMember("c.tar", "d.flac", 512, 99)
    sources = [file, member, RangeSource(file, 1.0, 2.0), RangeSource(member, 3.0)]
    assert pickle.loads(pickle.dumps(sources)) == sources
    assert len({*sources, *sources}) == 4
    assert [str(each) for each in sources] == ["a/b.wav", "c.tar:d.flac", "a/b.wav[1.00:3.00]", "c.tar:d.flac[3.00:]"]
