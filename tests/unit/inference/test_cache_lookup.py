"""Entries that `embed_recordings` looks up in a cache and keeps in it."""

import hashlib
import os
import shutil
import sqlite3
import tarfile
import time
from contextlib import closing

import numpy as np
import pytest
import soundfile
import torch

from factories import recording_of, tiny_encoder
from fake_audio import FakeDetector
from mrlspk.data.audio.source import ChannelSource, RangeSource, list_tar
from mrlspk.inference import audio_content, cache_lookup, decoding
from mrlspk.inference.cache import FILE_NAME, EmbeddingCache
from mrlspk.inference.embedding import embed_recordings
from mrlspk.inference.recording import Recording
from mrlspk.inference.torch_backend import TorchBackend

OPTIONS = {"batch_size": 4, "max_seconds": 60}


@pytest.fixture
def encoder():
    return tiny_encoder((4, 8))


@pytest.fixture
def cache(tmp_path):
    return EmbeddingCache(tmp_path / "cache")


@pytest.fixture
def backend(encoder):
    return TorchBackend(encoder)


@pytest.fixture
def recordings(tmp_path):
    """Seven files of three lengths; the last is silent and of 8 kHz."""
    rng, found = np.random.default_rng(0), []
    for number, samples in enumerate((8000, 4000, 8000, 6000, 4000, 8000)):
        soundfile.write(tmp_path / f"{number}.wav", 0.1 * rng.normal(size=samples), 16000)
        found.append(recording_of(tmp_path / f"{number}.wav"))
    soundfile.write(tmp_path / "6.wav", np.full(4000, 1e-5), 8000, subtype="FLOAT")
    return [*found, recording_of(tmp_path / "6.wav")]


@pytest.fixture
def settle(monkeypatch):
    """Let five seconds go by, as far as files are concerned."""

    def later():
        now = time.time_ns() + 5_000_000_000
        monkeypatch.setattr(audio_content.time, "time_ns", lambda: now)

    return later


@pytest.fixture
def work(monkeypatch):
    """Count the files decoded, the files hashed, and the waveforms that go through the network."""
    counts = {"decoded": 0, "hashed": 0, "embedded": 0}
    open_audio, read, embed = decoding.open_audio, cache_lookup.read_content, TorchBackend.embed

    def count(name, n, result):
        counts[name] += n
        return result

    monkeypatch.setattr(
        decoding, "open_audio", lambda path, **options: count("decoded", 1, open_audio(path, **options))
    )
    monkeypatch.setattr(cache_lookup, "read_content", lambda path: count("hashed", 1, read(path)))
    monkeypatch.setattr(TorchBackend, "embed", lambda backend, x: count("embedded", len(x), embed(backend, x)))

    def during(action):
        counts.update(dict.fromkeys(counts, 0))
        result = action()
        return result, dict(counts)

    return during


def same(first, second):
    assert list(first.embeddings) == list(second.embeddings)
    for recording, embedded in first.embeddings.items():
        other = second.embeddings[recording]
        assert np.array_equal(embedded.vector, other.vector)
        assert (embedded.seconds, embedded.warnings) == (other.seconds, other.warnings)
        assert embedded.speech_seconds == other.speech_seconds
    assert first.too_short == second.too_short


def test_warm_cache_decodes_embeds_and_hashes_nothing(backend, recordings, cache, work, settle):
    settle()
    cold, done = work(lambda: embed_recordings(backend, recordings, cache=cache, **OPTIONS))
    assert done == {"decoded": 7, "hashed": 7, "embedded": 7}
    assert cold.n_cached == 0
    warm, done = work(lambda: embed_recordings(backend, recordings, cache=EmbeddingCache(cache.folder), **OPTIONS))
    assert done == {"decoded": 0, "hashed": 0, "embedded": 0}
    assert warm.n_cached == 7
    warnings = [each.warnings for each in warm.embeddings.values()]
    assert warnings == [("short",)] * 6 + [("silent", "short", "upsampled from 8000 Hz")]
    same(cold, warm)
    same(cold, embed_recordings(backend, recordings, **OPTIONS))


def test_swapped_hashes_of_files_give_no_wrong_embedding(backend, recordings, cache, work, settle, caplog):
    settle()
    cold = embed_recordings(backend, recordings, cache=cache, **OPTIONS)
    with closing(sqlite3.connect(cache.folder / FILE_NAME, isolation_level=None)) as other:
        rows = other.execute("SELECT key, packed FROM hashed_files").fetchall()
        swapped = [(packed, key) for (key, _), (_, packed) in zip(rows, reversed(rows), strict=True)]
        other.executemany("UPDATE hashed_files SET packed = ? WHERE key = ?", swapped)
    warm, done = work(lambda: embed_recordings(backend, recordings, cache=cache, **OPTIONS))
    assert done == {"decoded": 0, "hashed": 6, "embedded": 0}  # the middle one of seven is swapped with itself
    assert "6 damaged entries" in caplog.text
    same(cold, warm)


def test_cache_key_hashes_model_audio_and_settings(backend, recordings, cache):
    embed_recordings(backend, [recordings[0], recording_of(recordings[1].source.path, 0.2)], cache=cache, **OPTIONS)
    for recording, crop in ((recordings[0], "null"), (recordings[1], "0.2")):
        audio = hashlib.sha256(recording.source.path.read_bytes()).hexdigest()
        settings = (
            f'{{"format": 2, "mrlspk": "{cache_lookup.__version__}", "torch": "{torch.__version__}", '
            f'"device": "cpu", "network": "rewritten", "precision": "f32", "max_seconds": 60.0, '
            f'"crop_seconds": {crop}, '
            '"speech": null, "channel": "mix"}'
        )
        key = hashlib.sha256(f"{backend.fingerprint} {audio} {settings}".encode()).digest()
        assert list(cache.find([key])) == [key]


def test_recent_files_are_hashed_again_and_found(backend, recordings, cache, work):
    embed_recordings(backend, recordings, cache=cache, **OPTIONS)
    _, done = work(lambda: embed_recordings(backend, recordings, cache=cache, **OPTIONS))
    assert done == {"decoded": 0, "hashed": 7, "embedded": 0}


def test_only_new_recordings_are_embedded_in_the_order_given(backend, recordings, cache, work):
    first = embed_recordings(backend, [recordings[number] for number in (1, 4, 5)], cache=cache, **OPTIONS)
    seen = []
    progress = {"on_progress": lambda *counts: seen.append(counts)}
    found, done = work(lambda: embed_recordings(backend, recordings, cache=cache, **progress, **OPTIONS))
    assert done["decoded"] == done["embedded"] == 4
    assert found.n_cached == 3
    assert list(found.embeddings) == recordings
    for recording, embedded in first.embeddings.items():
        assert np.array_equal(found.embeddings[recording].vector, embedded.vector)
    assert seen[-1] == (7, 7)
    assert seen == sorted(seen)


def test_file_changed_at_once_to_the_same_size_is_embedded_again(backend, tmp_path, cache):
    recording = recording_of(tmp_path / "a.wav")
    rng = np.random.default_rng(3)
    for _ in range(5):
        samples = 0.1 * rng.normal(size=6000)
        soundfile.write(recording.source.path, samples, 16000)
        os.utime(recording.source.path, (1e9, 1e9))
        found = embed_recordings(backend, [recording], cache=cache, **OPTIONS)
        assert found.n_cached == 0
        same(found, embed_recordings(backend, [recording], **OPTIONS))


def test_file_changed_after_it_was_hashed_is_embedded_again(backend, recordings, cache, work, settle):
    settle()
    embed_recordings(backend, recordings, cache=cache, **OPTIONS)
    time.sleep(0.02)  # more than the grain of the kernel's clock
    soundfile.write(recordings[2].source.path, 0.1 * np.random.default_rng(7).normal(size=8000), 16000)
    _, done = work(lambda: embed_recordings(backend, recordings, cache=cache, **OPTIONS))
    assert done == {"decoded": 1, "hashed": 1, "embedded": 1}


def test_file_changed_between_hash_and_decoding_is_not_kept(backend, recordings, cache, monkeypatch):
    recording, open_audio = recordings[0], decoding.open_audio

    def change_then_open(source, **options):
        soundfile.write(source.path, 0.1 * np.random.default_rng(9).normal(size=8000), 16000)
        return open_audio(source, **options)

    original = recording.source.path.read_bytes()
    monkeypatch.setattr(decoding, "open_audio", change_then_open)
    changed = embed_recordings(backend, [recording], cache=cache, **OPTIONS)
    monkeypatch.setattr(decoding, "open_audio", open_audio)
    recording.source.path.write_bytes(original)
    found = embed_recordings(backend, [recording], cache=cache, **OPTIONS)
    assert found.n_cached == 0
    assert not np.allclose(found.embeddings[recording].vector, changed.embeddings[recording].vector, atol=1e-4)


def test_moved_or_copied_file_is_found_by_its_content(backend, recordings, cache, tmp_path, work):
    first = embed_recordings(backend, recordings, cache=cache, **OPTIONS).embeddings
    (tmp_path / "elsewhere").mkdir()
    recordings[0].source.path.rename(tmp_path / "elsewhere" / "renamed.wav")
    shutil.copy(recordings[1].source.path, tmp_path / "elsewhere" / "copy.WAV")
    moved = [recording_of(tmp_path / "elsewhere" / name) for name in ("renamed.wav", "copy.WAV")]
    found, done = work(lambda: embed_recordings(backend, moved, cache=cache, **OPTIONS))
    assert done["embedded"] == done["decoded"] == 0
    for recording, before in zip(moved, recordings, strict=False):
        assert np.array_equal(found.embeddings[recording].vector, first[before].vector)


def test_files_of_one_content_are_embedded_once_and_alike(backend, recordings, cache, tmp_path, work):
    copies = [recording_of(tmp_path / f"copy-{each.source.path.name}") for each in recordings]
    for recording, copy in zip(recordings, copies, strict=True):
        shutil.copy(recording.source.path, copy.source.path)
    found, done = work(lambda: embed_recordings(backend, [*recordings, *copies], cache=cache, **OPTIONS))
    assert done["embedded"] == done["decoded"] == 7
    assert list(found.embeddings) == [*recordings, *copies]
    same(found, embed_recordings(backend, [*recordings, *copies], cache=cache, **OPTIONS))
    for recording, copy in zip(recordings, copies, strict=True):
        assert np.array_equal(found.embeddings[recording].vector, found.embeddings[copy].vector)


def test_file_refused_by_its_name_is_refused_with_a_warm_cache_too(backend, recordings, cache, tmp_path):
    embed_recordings(backend, recordings, cache=cache, **OPTIONS)
    refused = [recording_of(tmp_path / os.fsdecode(b"caf\xe9.wav"))]
    for each in refused:
        shutil.copy(recordings[0].source.path, each.source.path)
    assert set(embed_recordings(backend, refused, cache=cache, **OPTIONS).errors) == set(refused)


def test_errors_are_not_kept(backend, tmp_path, cache):
    (tmp_path / "a.wav").write_text("not audio")
    shutil.copy(tmp_path / "a.wav", tmp_path / "b.wav")
    bad = [recording_of(tmp_path / f"{name}.wav") for name in ("a", "b", "absent")]
    for _ in range(2):
        seen = []
        progress = {"on_progress": lambda *counts, seen=seen: seen.append(counts)}
        found = embed_recordings(backend, bad, cache=cache, **progress, **OPTIONS)
        assert found.n_cached == 0
        assert all(each.source.path.name in found.errors[each] for each in bad)
        assert seen[-1] == (3, 3)


def test_crops_are_kept_by_length_and_too_short_files_too(backend, recordings, cache, work):
    crops = [recording_of(each.source.path, seconds) for each in recordings for seconds in (None, 0.3, 0.375)]
    cold, done = work(lambda: embed_recordings(backend, crops, cache=cache, **OPTIONS))
    assert done["decoded"] == 7
    assert cold.too_short == tuple(recording_of(recordings[n].source.path, s) for n in (1, 4) for s in (0.3, 0.375))
    warm, done = work(lambda: embed_recordings(backend, crops, cache=cache, **OPTIONS))
    assert done["decoded"] == done["embedded"] == 0
    assert warm.n_cached == len(crops)
    same(cold, warm)


@pytest.mark.parametrize("change", ["weights", "max_seconds", "speech", "torch", "mrlspk", "format", "runtime"])
def test_change_that_changes_an_embedding_misses(backend, recordings, cache, monkeypatch, change):
    embed_recordings(backend, recordings, cache=cache, **OPTIONS)
    changed = {"max_seconds": {"max_seconds": 30}, "speech": {"speech": FakeDetector((0, 4000))}}
    options = OPTIONS | changed.get(change, {})
    cache_lookup._settings_text.cache_clear()
    if change == "torch":
        monkeypatch.setattr(torch, "__version__", "99.0")
    if change == "mrlspk":
        monkeypatch.setattr(cache_lookup, "__version__", "99.0")
    if change == "format":
        monkeypatch.setattr(cache_lookup, "FORMAT", 99)
    if change == "runtime":
        monkeypatch.setattr(TorchBackend, "runtime", {"onnxruntime": "1.0"})
    other = TorchBackend(tiny_encoder((4, 8), seed=1)) if change == "weights" else backend
    assert embed_recordings(other, recordings, cache=cache, **options).n_cached == 0
    cache_lookup._settings_text.cache_clear()


def test_detector_of_another_version_misses(backend, recordings, cache):
    detector = FakeDetector((0, 4000))
    cold = embed_recordings(backend, recordings, cache=cache, speech=detector, **OPTIONS)
    warm = embed_recordings(backend, recordings, cache=cache, speech=FakeDetector(), **OPTIONS)
    assert warm.n_cached == 7
    assert [each.speech_seconds for each in warm.embeddings.values()] == [0.25] * 7
    same(cold, warm)
    detector.version = "fake-2"
    assert embed_recordings(backend, recordings, cache=cache, speech=detector, **OPTIONS).n_cached == 0


def test_channels_of_one_file_are_told_apart(backend, cache, tmp_path):
    soundfile.write(tmp_path / "a.wav", 0.1 * np.random.default_rng(0).normal(size=(8000, 2)), 16000)
    whole = recording_of(tmp_path / "a.wav").source
    parts = [Recording(each) for each in (whole, ChannelSource(whole, 0), ChannelSource(whole, 1))]
    for part in parts:
        assert embed_recordings(backend, [part], cache=cache, **OPTIONS).n_cached == 0
    assert embed_recordings(backend, parts, cache=cache, **OPTIONS).n_cached == 3


def test_equal_weights_hit_whatever_widths_were_trained(recordings, cache):
    embed_recordings(TorchBackend(tiny_encoder((4, 8))), recordings, cache=cache, **OPTIONS)
    found = embed_recordings(TorchBackend(tiny_encoder((2, 4, 8))), recordings, cache=cache, **OPTIONS)
    assert found.n_cached == 7


def test_embeddings_made_before_an_interruption_are_kept(backend, recordings, cache, monkeypatch):
    open_audio = decoding.open_audio

    def interrupted(source, **options):
        if source.path.name == "5.wav":
            raise KeyboardInterrupt
        return open_audio(source, **options)

    monkeypatch.setattr(decoding, "open_audio", interrupted)
    with pytest.raises(KeyboardInterrupt):
        embed_recordings(backend, recordings, cache=cache, batch_size=1, max_seconds=60)
    monkeypatch.setattr(decoding, "open_audio", open_audio)
    assert embed_recordings(backend, recordings, cache=cache, **OPTIONS).n_cached == 5


def test_entries_are_written_during_the_run(backend, recordings, cache, monkeypatch):
    monkeypatch.setattr(cache_lookup, "WRITE_EVERY_ENTRIES", 1)
    written = []
    write = EmbeddingCache.write

    def noted(cache, entries, files):
        written.append(len(entries))
        write(cache, entries, files)

    monkeypatch.setattr(EmbeddingCache, "write", noted)
    embed_recordings(backend, recordings, cache=cache, batch_size=1, max_seconds=60)
    assert sum(written) == 7
    assert max(written) <= 2


def test_ranges_of_one_recording_are_kept_apart(backend, recordings, cache):
    whole = recordings[0].source
    parts = [Recording(RangeSource(whole, start, 0.2)) for start in (0.0, 0.2)]
    cold = embed_recordings(backend, [recordings[0], *parts], cache=cache, **OPTIONS)
    assert cold.n_cached == 0
    assert [each.seconds for each in cold.embeddings.values()] == [0.5, 0.2, 0.2]
    warm = embed_recordings(backend, [recordings[0], *parts], cache=cache, **OPTIONS)
    assert warm.n_cached == 3
    same(cold, warm)
    first, second = (cold.embeddings[each].vector for each in parts)
    assert not np.array_equal(first, second)


def test_member_of_a_tar_hits_the_embedding_of_its_file(backend, recordings, cache, tmp_path):
    first = embed_recordings(backend, recordings[:1], cache=cache, **OPTIONS)
    with tarfile.open(tmp_path / "a.tar", "w") as archive:
        archive.add(recordings[0].source.path, "a.wav")
    member = Recording(list_tar(tmp_path / "a.tar")[0])
    found = embed_recordings(backend, [member], cache=cache, **OPTIONS)
    assert found.n_cached == 1
    assert np.array_equal(found.embeddings[member].vector, first.embeddings[recordings[0]].vector)


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit], ids=["Ctrl-C", "SIGTERM"])
def test_stopped_embedding_keeps_what_it_has_and_says_so(backend, cache, recordings, caplog, stop):
    def end(done, _):
        if done == 3:
            raise stop

    with pytest.raises(stop):
        embed_recordings(backend, recordings, cache=cache, on_progress=end, **OPTIONS)
    assert f"{cache.folder} keeps 3 of 7 embeddings: the same command goes on from there" in caplog.text
    assert embed_recordings(backend, recordings, cache=cache, **OPTIONS).n_cached == 3
