"""Voices enrolled from recordings, through the model, the speech detector and the folder on disk."""

import os

import numpy as np
import pytest
import soundfile
from typer.testing import CliRunner

import mrlspk
from factories import RATE, write_tiny_model, write_voices
from mrlspk.cli.app import app
from mrlspk.data.speech.energy import EnergyDetector
from mrlspk.errors import DataError, UsageError
from mrlspk.index.enrolment.refusals import shown_source


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A checkpoint of random weights with two widths."""
    return write_tiny_model(tmp_path_factory.mktemp("model") / "model.pt", (4, 8))


@pytest.fixture(scope="module")
def voices(tmp_path_factory):
    """A folder of four voices with four recordings of 1.5 s each."""
    return write_voices(tmp_path_factory.mktemp("voices"), seconds=1.5, syllables=True)


@pytest.fixture
def index(tmp_path, model):
    """An empty index."""
    with mrlspk.VoiceIndex.create(tmp_path / "index", model) as made:
        yield made


def silence(path, seconds=2.0):
    soundfile.write(path, np.zeros(round(seconds * RATE)), RATE)
    return path


def test_index_embeds_as_its_model_does(index, model, voices):
    path = voices / "speaker0" / "a" / "1.wav"
    index.add("ann", path, metadata={"site": "north"})
    encoder = mrlspk.load(model)
    assert index.settings.fingerprint == encoder.fingerprint
    assert index.settings.speech_detector == "energy-1"
    other = voices / "speaker1" / "a" / "1.wav"
    assert index.verify("ann", other).score == pytest.approx(encoder.similarity(path, other), abs=1e-6)
    assert index.search(other, dim=4).results[0].score == pytest.approx(
        encoder.similarity(path, other, dim=4), abs=1e-6
    )
    (recording,) = index.voice("ann").recordings
    (found,) = encoder.embed_many([path])
    assert (recording.source, recording.speech_seconds) == (str(path), found.speech_seconds)


def test_path_samples_and_vector_are_the_same_query(index, model, voices):
    index.add_folder(voices)
    path = voices / "speaker2" / "b" / "2.wav"
    samples, rate = soundfile.read(path)
    of_path = index.search(path)
    assert of_path.query.source == str(path)
    for query, sample_rate in ((samples, rate), (mrlspk.load(model).embed(path), None)):
        found = index.search(query, sample_rate=sample_rate)
        assert [each.name for each in found.results] == [each.name for each in of_path.results]
        np.testing.assert_allclose([m.score for m in found.results], [m.score for m in of_path.results], atol=1e-5)


def test_folder_refuses_what_says_too_little_and_enrols_the_rest(index, tmp_path):
    root = write_voices(tmp_path / "v", 2, files=("1",), seconds=1.5, syllables=True)
    silent = silence(root / "speaker1" / "b" / "silent.wav")
    soundfile.write(
        root / "speaker1" / "b" / "short.wav", soundfile.read(root / "speaker1" / "a" / "1.wav")[0][:8000], RATE
    )
    (root / "speaker0" / "broken.wav").write_bytes(b"RIFF")
    (root / "speaker0" / "a" / "1.wav").rename(root / "speaker0" / "a" / os.fsdecode(b"\xff.wav"))
    done = []
    enrolled = index.add_folder(root, on_done=lambda *counts: done.append(counts))
    assert enrolled.names == ("speaker0", "speaker1")
    assert enrolled.n_recordings == 3
    refused = {each.source.rpartition("/")[2] for each in enrolled.refused}
    assert refused == {"silent.wav", "short.wav", "broken.wav", "\\xff.wav"}
    assert str(silent) in [each.source for each in enrolled.refused if each.reason == "holds no speech"]
    assert done[-1] == (7, 7)


def test_addition_of_nothing_but_silence_is_an_error_that_names_it(index, tmp_path):
    with pytest.raises(DataError, match=r"silent\.wav \(ann\): holds no speech"):
        index.add("ann", silence(tmp_path / "silent.wav"))
    assert len(index) == 0


def test_table_enrols_names_with_metadata(index, voices, tmp_path):
    rows = [
        f"Ann,{voices}/speaker0/a/1.wav,north",
        f"Bob,{voices}/speaker1/a/1.wav,",
        f"Bob,{voices}/speaker1/b/1.wav,",
    ]
    (tmp_path / "v.csv").write_text("\n".join(["name,path,site", *rows]))
    assert index.add_table(tmp_path / "v.csv").names == ("Ann", "Bob")
    assert [each.name for each in index.voices('site = "north"')] == ["Ann"]
    assert len(index.voice("Bob").recordings) == 2


def test_silent_query_gets_scores_and_no_decision(index, voices, tmp_path):
    index.add_folder(voices)
    found = index.identify(silence(tmp_path / "silent.wav"))
    assert found.decision is None
    assert found.warnings == ("no speech was found",)
    assert found.query.warnings == ("silent",)
    assert found.candidates


def test_batch_keeps_its_errors_apart(index, voices, tmp_path):
    index.add_folder(voices)
    good, absent = voices / "speaker3" / "a" / "1.wav", tmp_path / "absent.wav"
    first, second, third = index.search_many([good, absent, good])
    alone = [each.score for each in index.search(good).results]
    for found in (first, third):
        np.testing.assert_allclose([each.score for each in found.results], alone, atol=1e-6)
    assert isinstance(second.error, DataError)
    assert second.results == ()
    with pytest.raises(DataError, match="absent"):
        index.search(absent)


def test_other_model_is_refused_and_the_moved_one_is_found_again(index, model, voices, tmp_path):
    index.add_folder(voices)
    folder, query = index.store.folder, voices / "speaker0" / "a" / "1.wav"
    other = write_tiny_model(tmp_path / "other.pt", (4, 8), seed=1)
    with (
        pytest.raises(DataError, match="whose vectors the index holds"),
        mrlspk.VoiceIndex.open(folder, other) as again,
    ):
        again.search(query)
    for named in (None, model, mrlspk.load(model)):
        with mrlspk.VoiceIndex.open(folder, named) as again:
            assert again.search(query).results == index.search(query).results


@pytest.mark.parametrize("suffix", ["npz", "parquet", "jsonl"])
def test_file_of_embed_enrols_what_its_recordings_would(index, model, tmp_path, suffix):
    root = write_voices(tmp_path / "v", 2, seconds=1.5, syllables=True)
    long = np.concatenate([soundfile.read(root / "speaker0" / "a" / f"{number}.wav")[0] for number in (1, 2)])
    soundfile.write(root / "speaker0" / "a" / "1.wav", long, RATE)  # weighs twice as much
    silence(root / "speaker1" / "b" / "silent.wav")
    file = tmp_path / f"v.{suffix}"
    done = CliRunner().invoke(app, ["embed", str(root), "--model", str(model), "-o", str(file), "--quiet"])
    assert done.exit_code == 0, done.stderr
    of_audio = index.add_folder(root)
    with mrlspk.VoiceIndex.create(tmp_path / "vectors", vectors=file) as other:
        of_vectors = other.add_vectors(file)
        assert (of_vectors.names, of_vectors.n_recordings) == (of_audio.names, of_audio.n_recordings)
        assert [(each.source, each.reason) for each in of_vectors.refused] == [
            ("speaker1/b/silent.wav", "holds no speech")
        ]
        assert other.settings.fingerprint == index.settings.fingerprint
        assert other.settings.speech == index.settings.speech == "auto"
        for name in of_audio.names:
            assert other.voice(name).speech_seconds == pytest.approx(index.voice(name).speech_seconds)
        with other.store.reading() as one, index.store.reading() as two:
            np.testing.assert_allclose(one.profiles, two.profiles, atol=1e-5)


def test_voice_of_several_recordings_is_their_mean_by_seconds_of_speech(index, model, voices, tmp_path):
    short, other = voices / "speaker0" / "a" / "1.wav", voices / "speaker1" / "a" / "1.wav"
    samples = np.tile(soundfile.read(other)[0], 3)
    soundfile.write(tmp_path / "long.wav", samples, RATE)
    index.add("ann", short, metadata={"site": "north", "age": 41})
    index.add("ann", samples, metadata={"site": "south"}, sample_rate=RATE)
    first, second = mrlspk.load(model).embed_many([short, tmp_path / "long.wav"])
    assert second.speech_seconds > 2.5 * first.speech_seconds
    mean = first.speech_seconds * first.unwrap() + second.speech_seconds * second.unwrap()
    with index.store.reading() as snapshot:
        np.testing.assert_allclose(snapshot.profiles[-1], mean / np.linalg.norm(mean), atol=1e-5)
    voice = index.voice("ann")
    assert voice.metadata == {"site": "south", "age": 41}
    assert [each.source for each in voice.recordings] == [str(short), "audio[0]"]


def test_narrow_index_embeds_prefixes(model, voices, tmp_path):
    path = voices / "speaker0" / "a" / "1.wav"
    with mrlspk.VoiceIndex.create(tmp_path / "narrow", model, dim=4) as index:
        index.add("ann", path)
        assert index.settings.dims == (4,)
        with index.store.reading() as snapshot:
            np.testing.assert_allclose(snapshot.profiles[0], mrlspk.load(model).embed(path, dim=4), atol=1e-6)
    with pytest.raises(UsageError, match="not trained for a width of 5"):
        mrlspk.VoiceIndex.create(tmp_path / "odd", model, dim=5)


def test_index_of_another_detector_refuses_recordings(index, voices, monkeypatch):
    monkeypatch.setattr(EnergyDetector, "version", "energy-2")
    with pytest.raises(DataError, match="embeddings of energy-1, and this version of mrlspk makes those of energy-2"):
        index.add("ann", voices / "speaker0" / "a" / "1.wav")
    assert len(index) == 0


@pytest.mark.slow
def test_wrong_speaker_among_real_recordings_is_told(shared, tmp_path):
    speech = shared / "speech" / "test"
    model = shared / "pretrained" / "redimnet-small-speech.pt"
    speakers = [sorted(folder.rglob("*.wav"))[::5][:4] for folder in sorted(speech.iterdir()) if folder.is_dir()]
    with mrlspk.VoiceIndex.create(tmp_path / "index", model) as index:
        for number, paths in enumerate(speakers[:5]):
            assert index.add(f"v{number}", *paths).outliers == ()
        wrong = speakers[6][0]
        (found,) = index.add("v0", wrong).outliers
        assert (found.name, found.source) == ("v0", str(wrong.resolve()))


def test_paths_are_kept_absolute_and_shown_near(index, voices, tmp_path, monkeypatch):
    monkeypatch.chdir(voices)
    index.add("ann", "speaker0/a/1.wav", "speaker1/../speaker0/b/1.wav")
    first, second = (voices / "speaker0" / session / "1.wav" for session in ("a", "b"))
    assert [each.source for each in index.voice("ann").recordings] == [str(first), str(second.resolve())]
    assert shown_source(str(first)) == "speaker0/a/1.wav"
    monkeypatch.chdir(tmp_path)
    (again,) = index.add("ann", first).repeated
    assert again.source == str(first)
    beside = str(tmp_path.with_name("beside") / "a.wav")
    assert shown_source(beside) == beside
    assert shown_source("speaker0/a/1.wav") == "speaker0/a/1.wav"
