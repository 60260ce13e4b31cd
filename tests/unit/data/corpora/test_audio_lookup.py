import os
import tarfile

import numpy as np
import pytest
import soundfile

from mrlspk.data.audio.source import as_source, list_tar
from mrlspk.data.corpora import recipe_registry
from mrlspk.data.corpora.audio_lookup import AudioLookup
from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.data.corpora.walk import list_audio
from mrlspk.data.manifest import CorpusListing, Utterance
from mrlspk.errors import DataError


@pytest.fixture
def root(tmp_path):
    for name in ("a/1.wav", "a/2.m4a", "a/3.flac", "a/3.wav", "a/v1.2.wav", "a/4.WAV", "a/x.au.wav"):
        (tmp_path / "audio" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "audio" / name).touch()
    return tmp_path / "audio"


@pytest.mark.parametrize(
    ("utterance_id", "found"),
    [
        ("a/1.wav", "a/1.wav"),
        ("a/1", "a/1.wav"),
        ("a/1.m4a", "a/1.wav"),
        ("a/2.wav", "a/2.m4a"),
        ("a/3.flac", "a/3.flac"),
        ("a/v1.2", "a/v1.2.wav"),
        ("a/4.wav", "a/4.WAV"),
        ("a/4", "a/4.WAV"),
        ("a/x.au", "a/x.au.wav"),
        ("a/9.wav", None),
        ("a", None),
        ("a/1.wav.txt", None),
    ],
)
def test_an_utterance_is_found_under_the_suffix_that_it_has(root, utterance_id, found):
    assert AudioLookup(root).find(utterance_id) == (as_source(root / found) if found else None)


@pytest.mark.parametrize("utterance_id", ["a/3", "a/3.m4a"])
def test_two_files_that_could_be_meant_are_an_error(root, utterance_id):
    with pytest.raises(DataError, match=r"3.flac and 3.wav are"):
        AudioLookup(root).find(utterance_id)


def test_each_folder_is_listed_once_for_all_that_it_lacks(root, monkeypatch):
    listed, listdir = [], os.listdir
    monkeypatch.setattr(os, "listdir", lambda folder: listed.append(folder) or listdir(folder))
    lookup = AudioLookup(root)
    assert [lookup.find(f"a/{number}.wav") for number in range(10, 20)] == [None] * 10
    assert lookup.find("a/2") == as_source(root / "a/2.m4a")
    assert listed == [root / "a"]


def test_an_absolute_path_is_used_as_it_is(root, tmp_path):
    (tmp_path / "elsewhere.wav").touch()
    assert AudioLookup(root).find(str(tmp_path / "elsewhere.wav")) == as_source(tmp_path / "elsewhere.wav")
    assert AudioLookup(root).find(str(root / "a/1.wav")) == as_source(root / "a/1.wav")


def test_a_wav_scp_says_where_audio_is(root, tmp_path, monkeypatch):
    scp = tmp_path / "wav.scp"
    scp.write_text(f"utt1 {root}/a/1.wav\r\n\nutt2\taudio/a/two words.wav \nutt3 gone.wav\n")
    (root / "a/two words.wav").touch()
    monkeypatch.chdir(tmp_path)
    folder = AudioLookup(scp)
    assert folder.find("utt1") == as_source(root / "a/1.wav")
    assert folder.find("utt2").path.resolve() == root / "a/two words.wav"
    assert folder.find("utt3") is None
    assert folder.find("a/1.wav") is None


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("utt2 sph2pipe -f wav x.sph |", "not a command, got 'utt2 sph2pipe -f wav x.sph |'"),
        ("utt2 raw.ark:1234", "not a place in an archive"),
        ("utt2", "expected '<utterance> <path>', got 'utt2'"),
        ("utt1 other.wav", "expected each utterance once"),
    ],
)
def test_a_wav_scp_that_names_no_files_is_refused(tmp_path, line, message):
    (tmp_path / "wav.scp").write_text(f"utt1 one.wav\n{line}\n")
    with pytest.raises(DataError) as caught:
        AudioLookup(tmp_path / "wav.scp").find("utt1")
    assert message in str(caught.value)
    assert caught.value.where == f"{tmp_path}/wav.scp:2"


def test_in_a_folder_that_is_not_there_is_nothing(tmp_path):
    assert AudioLookup(tmp_path / "gone").find("a/1.wav") is None


@pytest.mark.parametrize("name", ["x" * 1000, "a\0b", "\ud800"])
def test_no_file_has_an_impossible_name(root, name):
    assert AudioLookup(root).find(name) is None
    assert AudioLookup(root / name).find("a/1.wav") is None


def test_recipe_finds_members_of_an_archive_by_utterance_id(tmp_path, monkeypatch):
    soundfile.write(tmp_path / "a.wav", np.zeros(800), 16_000)
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        file.add(tmp_path / "a.wav", "s1/a.wav")

    class Tar:
        layout = "a tar archive"

        def recognises(self, path):
            return path.suffix == ".tar"

        def list_utterances(self, path):
            return CorpusListing(tuple(Utterance(each.name, "s1", "s1", each) for each in list_tar(path)))

    monkeypatch.setattr(recipe_registry, "_RECIPES", [Tar()])
    found = AudioLookup(tmp_path / "a.tar")
    assert found.find("s1/a.wav") == list_tar(tmp_path / "a.tar")[0]
    assert found.find("s1/b.wav") is None


@pytest.mark.parametrize("look", [scan_corpus, list_audio])
def test_folder_whose_name_is_too_long_is_a_data_error(tmp_path, look):
    with pytest.raises(DataError, match="File name too long"):
        look(tmp_path / ("n" * 300))
