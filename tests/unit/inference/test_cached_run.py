"""What `embed_files` asks of a cache and leaves in it."""

import os
import shutil
import time

import numpy as np
import pytest
import soundfile
import torch

from mrlspk.config.architecture import ReDimNetConfig, describe_architecture
from mrlspk.inference import cached_run, content, embedding
from mrlspk.inference.cache import EmbeddingCache
from mrlspk.inference.embedding import Recording, embed_files
from mrlspk.models.encoder import build_encoder

TINY = ReDimNetConfig(F=8, C=4, stages_setup=((1, 1, 1, ((3, 3),), 4),))
OPTIONS = {"batch_size": 4, "max_seconds": 60}


def build(seed=0, dims=(4, 8)):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return build_encoder(describe_architecture(TINY, dims)).eval()


@pytest.fixture
def encoder():
    return build()


@pytest.fixture
def cache(tmp_path):
    return EmbeddingCache(tmp_path / "cache")


@pytest.fixture
def recordings(tmp_path):
    """Seven files of three lengths; the last is silent and of 8 kHz."""
    rng, found = np.random.default_rng(0), {}
    for number, samples in enumerate((8000, 4000, 8000, 6000, 4000, 8000)):
        soundfile.write(tmp_path / f"{number}.wav", 0.1 * rng.normal(size=samples), 16000)
        found[f"id{number}"] = Recording(tmp_path / f"{number}.wav")
    soundfile.write(tmp_path / "6.wav", np.full(4000, 1e-5), 8000, subtype="FLOAT")
    return found | {"id6": Recording(tmp_path / "6.wav")}


@pytest.fixture
def settle(monkeypatch):
    """Let five seconds go by, as far as files are concerned."""

    def later():
        now = time.time_ns() + 5_000_000_000
        monkeypatch.setattr(content.time, "time_ns", lambda: now)

    return later


@pytest.fixture
def work(encoder, monkeypatch):
    """Count the files decoded, the files hashed, and the waveforms that go through the network."""
    counts = {"decoded": 0, "hashed": 0, "embedded": 0}
    load, read = embedding.load_audio, cached_run.read_content

    def count(name, n, result):
        counts[name] += n
        return result

    monkeypatch.setattr(embedding, "load_audio", lambda path: count("decoded", 1, load(path)))
    monkeypatch.setattr(cached_run, "read_content", lambda path: count("hashed", 1, read(path)))
    encoder.register_forward_pre_hook(lambda _, inputs: count("embedded", len(inputs[0]), None))

    def during(action):
        counts.update(dict.fromkeys(counts, 0))
        result = action()
        return result, dict(counts)

    return during


def same(first, second):
    assert list(first.embeddings) == list(second.embeddings)
    assert all(np.array_equal(vector, second.embeddings[id]) for id, vector in first.embeddings.items())
    assert (first.seconds, first.warnings, first.too_short) == (second.seconds, second.warnings, second.too_short)


def test_a_warm_cache_decodes_embeds_and_hashes_nothing(encoder, recordings, cache, work, settle):
    settle()
    cold, done = work(lambda: embed_files(encoder, recordings, cache=cache, **OPTIONS))
    assert done == {"decoded": 7, "hashed": 7, "embedded": 7}
    assert cold.n_cached == 0
    warm, done = work(lambda: embed_files(encoder, recordings, cache=EmbeddingCache(cache.folder), **OPTIONS))
    assert done == {"decoded": 0, "hashed": 0, "embedded": 0}
    assert warm.n_cached == 7
    assert warm.warnings == {"id6": ["silent", "upsampled from 8000 Hz"]}
    same(cold, warm)
    same(cold, embed_files(encoder, recordings, **OPTIONS))


def test_files_younger_than_the_clock_can_tell_are_hashed_again_and_found(encoder, recordings, cache, work):
    embed_files(encoder, recordings, cache=cache, **OPTIONS)
    _, done = work(lambda: embed_files(encoder, recordings, cache=cache, **OPTIONS))
    assert done == {"decoded": 0, "hashed": 7, "embedded": 0}


def test_only_what_is_new_is_embedded_in_the_order_given(encoder, recordings, cache, work):
    some = {file_id: recordings[file_id] for file_id in ("id1", "id4", "id5")}
    first = embed_files(encoder, some, cache=cache, **OPTIONS)
    seen = []
    progress = {"on_progress": lambda *counts: seen.append(counts)}
    found, done = work(lambda: embed_files(encoder, recordings, cache=cache, **progress, **OPTIONS))
    assert done["decoded"] == done["embedded"] == 4
    assert found.n_cached == 3
    assert list(found.embeddings) == list(recordings)
    assert all(np.array_equal(found.embeddings[id], vector) for id, vector in first.embeddings.items())
    assert seen[-1] == (7, 7)
    assert seen == sorted(seen)


def test_a_file_changed_in_place_to_the_same_size_at_once_is_embedded_anew(encoder, tmp_path, cache):
    path = tmp_path / "a.wav"
    rng = np.random.default_rng(3)
    for _ in range(5):
        samples = 0.1 * rng.normal(size=6000)
        soundfile.write(path, samples, 16000)
        os.utime(path, (1e9, 1e9))
        found = embed_files(encoder, {"a": Recording(path)}, cache=cache, **OPTIONS)
        alone = embed_files(encoder, {"a": Recording(path)}, **OPTIONS)
        assert found.n_cached == 0
        assert np.array_equal(found.embeddings["a"], alone.embeddings["a"])


def test_a_file_changed_after_it_was_remembered_is_embedded_anew(encoder, recordings, cache, work, settle):
    settle()
    embed_files(encoder, recordings, cache=cache, **OPTIONS)
    time.sleep(0.02)  # more than the grain of the kernel's clock
    soundfile.write(recordings["id2"].path, 0.1 * np.random.default_rng(7).normal(size=8000), 16000)
    _, done = work(lambda: embed_files(encoder, recordings, cache=cache, **OPTIONS))
    assert done == {"decoded": 1, "hashed": 1, "embedded": 1}


def test_a_file_changed_between_hash_and_decoding_is_not_kept(encoder, recordings, cache, monkeypatch):
    one = {"id0": recordings["id0"]}
    path, load = one["id0"].path, embedding.load_audio

    def change_then_load(path):
        soundfile.write(path, 0.1 * np.random.default_rng(9).normal(size=8000), 16000)
        return load(path)

    original = path.read_bytes()
    monkeypatch.setattr(embedding, "load_audio", change_then_load)
    changed = embed_files(encoder, one, cache=cache, **OPTIONS)
    monkeypatch.setattr(embedding, "load_audio", load)
    path.write_bytes(original)
    found = embed_files(encoder, one, cache=cache, **OPTIONS)
    assert found.n_cached == 0
    assert not np.allclose(found.embeddings["id0"], changed.embeddings["id0"], atol=1e-4)


def test_a_file_moved_or_copied_is_found_by_its_content(encoder, recordings, cache, tmp_path, work):
    first = embed_files(encoder, recordings, cache=cache, **OPTIONS)
    (tmp_path / "elsewhere").mkdir()
    recordings["id0"].path.rename(tmp_path / "elsewhere" / "renamed.wav")
    shutil.copy(recordings["id1"].path, tmp_path / "elsewhere" / "copy.WAV")
    moved = {
        "a": Recording(tmp_path / "elsewhere" / "renamed.wav"),
        "b": Recording(tmp_path / "elsewhere" / "copy.WAV"),
    }
    found, done = work(lambda: embed_files(encoder, moved, cache=cache, **OPTIONS))
    assert done["embedded"] == done["decoded"] == 0
    assert np.array_equal(found.embeddings["a"], first.embeddings["id0"])
    assert np.array_equal(found.embeddings["b"], first.embeddings["id1"])


def test_files_of_one_content_are_embedded_once_and_alike(encoder, recordings, cache, tmp_path, work):
    copies = {f"copy of {file_id}": Recording(tmp_path / f"copy-{file_id}.wav") for file_id in recordings}
    for file_id, recording in recordings.items():
        shutil.copy(recording.path, copies[f"copy of {file_id}"].path)
    found, done = work(lambda: embed_files(encoder, recordings | copies, cache=cache, **OPTIONS))
    assert done["embedded"] == done["decoded"] == 7
    assert list(found.embeddings) == [*recordings, *copies]
    same(found, embed_files(encoder, recordings | copies, cache=cache, **OPTIONS))
    for file_id in recordings:
        assert np.array_equal(found.embeddings[file_id], found.embeddings[f"copy of {file_id}"])


def test_a_file_that_decoders_refuse_by_its_name_is_refused_with_a_warm_cache_too(encoder, recordings, cache, tmp_path):
    embed_files(encoder, recordings, cache=cache, **OPTIONS)
    shutil.copy(recordings["id0"].path, tmp_path / "audio.txt")
    shutil.copy(recordings["id0"].path, tmp_path / os.fsdecode(b"caf\xe9.wav"))
    named = {path.suffix: Recording(path) for path in tmp_path.glob("*") if path.name.startswith(("audio", "caf"))}
    found = embed_files(encoder, named, cache=cache, **OPTIONS)
    assert sorted(found.errors) == [".txt", ".wav"]


def test_errors_are_not_kept(encoder, tmp_path, cache):
    (tmp_path / "a.wav").write_text("not audio")
    shutil.copy(tmp_path / "a.wav", tmp_path / "b.wav")
    bad = {name: Recording(tmp_path / f"{name}.wav") for name in ("a", "b", "absent")}
    for _ in range(2):
        seen = []
        progress = {"on_progress": lambda *counts, seen=seen: seen.append(counts)}
        found = embed_files(encoder, bad, cache=cache, **progress, **OPTIONS)
        assert found.n_cached == 0
        assert all(f"{name}.wav" in found.errors[name] for name in bad)
        assert seen[-1] == (3, 3)


def test_crops_are_kept_each_by_its_length_and_so_is_that_a_file_is_too_short(encoder, recordings, cache, work):
    crops = {
        f"{file_id}/{seconds}": Recording(recording.path, seconds)
        for file_id, recording in recordings.items()
        for seconds in (None, 0.3, 0.375)
    }
    cold, done = work(lambda: embed_files(encoder, crops, cache=cache, **OPTIONS))
    assert done["decoded"] == 7
    assert cold.too_short == ["id1/0.3", "id1/0.375", "id4/0.3", "id4/0.375"]
    warm, done = work(lambda: embed_files(encoder, crops, cache=cache, **OPTIONS))
    assert done["decoded"] == done["embedded"] == 0
    assert warm.n_cached == len(crops)
    same(cold, warm)


@pytest.mark.parametrize("change", ["weights", "max_seconds", "torch", "mrlspk", "format"])
def test_what_changes_an_embedding_misses(encoder, recordings, cache, monkeypatch, change):
    embed_files(encoder, recordings, cache=cache, **OPTIONS)
    options = OPTIONS | ({"max_seconds": 30} if change == "max_seconds" else {})
    cached_run._settings_text.cache_clear()
    if change == "torch":
        monkeypatch.setattr(torch, "__version__", "99.0")
    if change == "mrlspk":
        monkeypatch.setattr(cached_run, "__version__", "99.0")
    if change == "format":
        monkeypatch.setattr(cached_run, "FORMAT", 99)
    other = build(seed=1) if change == "weights" else encoder
    assert embed_files(other, recordings, cache=cache, **options).n_cached == 0
    cached_run._settings_text.cache_clear()


def test_a_model_of_the_same_weights_hits_whatever_widths_it_was_trained_for(recordings, cache):
    embed_files(build(), recordings, cache=cache, **OPTIONS)
    assert embed_files(build(dims=(2, 4, 8)), recordings, cache=cache, **OPTIONS).n_cached == 7


def test_what_was_embedded_before_an_interruption_is_kept(encoder, recordings, cache, monkeypatch):
    load = embedding.load_audio

    def interrupted(path):
        if path.name == "5.wav":
            raise KeyboardInterrupt
        return load(path)

    monkeypatch.setattr(embedding, "load_audio", interrupted)
    with pytest.raises(KeyboardInterrupt):
        embed_files(encoder, recordings, cache=cache, batch_size=1, max_seconds=60)
    monkeypatch.setattr(embedding, "load_audio", load)
    assert embed_files(encoder, recordings, cache=cache, **OPTIONS).n_cached == 5


def test_entries_are_written_while_the_run_goes_on(encoder, recordings, cache, monkeypatch):
    monkeypatch.setattr(cached_run, "WRITE_EVERY_ENTRIES", 1)
    written = []
    write = EmbeddingCache.write
    monkeypatch.setattr(
        EmbeddingCache, "write", lambda self, kept, files: written.append(len(kept)) or write(self, kept, files)
    )
    embed_files(encoder, recordings, cache=cache, batch_size=1, max_seconds=60)
    assert sum(written) == 7
    assert max(written) <= 2
