"""Feature stores of random crops: reused, repaired, resumed, with the same bytes in the end."""

import json
import logging
import shutil
from collections import namedtuple

import pytest
import torch

from extraction_processes import (
    OPTIONS,
    ROWS_PER_SHARD,
    contents,
    every_row,
    pooled_alone,
    small_shards,
    tiny_dataset,
)
from factories import tiny_encoder
from mrlspk.data.crops.dataset import SampleKey
from mrlspk.errors import DataError, MrlspkError
from mrlspk.feature_store import shards
from mrlspk.feature_store.extraction import ensure_crops
from mrlspk.feature_store.shards import store_bytes
from mrlspk.feature_store.store import readable_size

pytestmark = pytest.mark.usefixtures("in_one_thread")


@pytest.fixture
def encoder(monkeypatch):
    """A tiny encoder, with shards of four of its vectors in float16."""
    encoder = tiny_encoder((4, 8))
    monkeypatch.setattr(shards, "SHARD_BYTES", small_shards(encoder))
    return encoder


@pytest.fixture
def dataset(tiny_corpus):
    return tiny_dataset(tiny_corpus.root)


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "features"


def extract(encoder, dataset, folder, **changed):
    return ensure_crops(encoder, dataset, folder=folder, **OPTIONS | changed)


def spoil_audio(root):
    """Make every file unreadable, with its size unchanged."""
    for path in root.rglob("*.wav"):
        path.write_bytes(bytes(path.stat().st_size))


def test_each_row_is_the_pooled_crop_of_its_index_and_number(encoder, dataset, folder):
    store = extract(encoder.train(), dataset, folder, dtype="float32")
    assert store.n_rows == 8 * len(dataset) == 128
    for row, vector in enumerate(every_row(store)):
        crop, _ = dataset[SampleKey(row % len(dataset), epoch=row // len(dataset), repeat=0)]
        assert torch.allclose(vector, pooled_alone(encoder, crop), rtol=1e-5, atol=1e-5)


def test_float16_store_is_float32_rounded_at_half_the_size(encoder, dataset, folder):
    whole, half = (extract(encoder, dataset, folder, dtype=dtype) for dtype in ("float32", "float16"))
    assert torch.equal(every_row(half), every_row(whole).half().float())
    assert (half.nbytes, whole.nbytes) == tuple(
        store_bytes(128, store.n_features, store.dtype) for store in (half, whole)
    )
    n_headers = {store.dtype: len(list(store.folder.glob("*.npy"))) for store in (half, whole)}
    assert 2 * (half.nbytes - 128 * n_headers["float16"]) == whole.nbytes - 128 * n_headers["float32"]


def test_complete_store_is_reused_without_audio(encoder, dataset, folder, tiny_corpus):
    before = every_row(extract(encoder, dataset, folder))
    kept = contents(folder)
    spoil_audio(tiny_corpus.root)
    seen = []
    again = extract(encoder, dataset, folder, on_progress=lambda *counts: seen.append(counts))
    assert torch.equal(every_row(again), before)
    assert seen == [(128, 128)]
    assert contents(folder) == kept
    with pytest.raises(DataError):
        extract(encoder, dataset, folder, crops_per_item=2)


def test_store_is_shared_by_heads_but_not_by_backbones(encoder, dataset, folder):
    first = extract(encoder, dataset, folder)
    encoder.head.linear.weight.data += 1
    assert extract(encoder, dataset, folder).folder == first.folder
    other = extract(tiny_encoder((4, 8), seed=1), dataset, folder)
    assert other.folder != first.folder
    assert not torch.equal(every_row(other), every_row(first))


def test_interrupted_extraction_resumes_where_it_stopped(encoder, dataset, folder):
    def stop(done, _):
        if done == 22:  # in the middle of the sixth shard
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        extract(encoder, dataset, folder, on_progress=stop)
    seen = []
    extract(encoder, dataset, folder, on_progress=lambda *counts: seen.append(counts))
    assert seen == [(done, 128) for done in range(20, 129, 2)]
    extract(encoder, dataset, folder.with_name("other"))
    assert contents(folder) == contents(folder.with_name("other"))


def flip_a_byte(path):
    content = bytearray(path.read_bytes())
    content[-7] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (flip_a_byte, "does not match its checksum"),
        (lambda path: path.write_bytes(path.read_bytes()[:-1]), "has the wrong size"),
        (lambda path: path.write_bytes(b""), "has the wrong size"),
        (lambda path: path.unlink(), "is gone"),
        (lambda path: path.with_suffix(".sha256").write_text("?"), "does not match its checksum"),
        (lambda path: path.with_suffix(".sha256").unlink(), None),
    ],
)
def test_only_damaged_shards_are_computed_again(encoder, dataset, folder, caplog, damage, said):
    store = extract(encoder, dataset, folder)
    kept = contents(folder)
    for name in ("shard-00001.npy", "shard-00030.npy"):
        damage(store.folder / name)
    seen = []
    with caplog.at_level(logging.WARNING, "mrlspk.training"):
        extract(encoder, dataset, folder, on_progress=lambda done, _: seen.append(done))
    assert seen == [120, 122, 124, 126, 128]
    assert contents(folder) == kept
    warnings = [record.getMessage() for record in caplog.records]
    assert len(warnings) == (2 if said else 0)
    assert all(said in warning and "computed again" in warning for warning in warnings)


@pytest.mark.parametrize("content", ["{", '{"kind": "crops"}', None])
def test_vectors_of_an_unknown_key_are_computed_again(encoder, dataset, folder, caplog, content):
    store = extract(encoder, dataset, folder)
    kept = contents(folder)
    path = store.folder / "key.json"
    path.unlink()
    if content is not None:
        path.write_text(content)
    seen = []
    extract(encoder, dataset, folder, on_progress=lambda done, _: seen.append(done))
    assert seen[0] == 0
    assert contents(folder) == kept
    assert "all vectors are computed again" in caplog.text


def test_partial_files_of_a_killed_process_are_removed(encoder, dataset, folder):
    store = extract(encoder, dataset, folder)
    kept = contents(folder)
    (store.folder / "shard-00003.npy.partial").write_text("half")
    extract(encoder, dataset, folder)
    assert contents(folder) == kept


def test_key_file_is_readable_and_holds_all_settings(encoder, dataset, folder):
    store = extract(encoder, dataset, folder)
    key = json.loads((store.folder / "key.json").read_text())
    assert key == store.key
    assert (key["seed"], key["crop_samples"], key["crops_per_item"], key["speeds"]) == (1, 1600, 8, [1.0])
    assert key["augmentation"] == [
        {"step": "GaussianNoise", "probability": 0.5, "snr_range": [5.0, 20.0]},
        {"step": "Volume", "probability": 0.5, "gain_range": [-6.0, 6.0]},
    ]


def set_free_space(monkeypatch, n_bytes):
    usage = namedtuple("usage", "total used free")  # noqa: PYI024 - as shutil has it
    monkeypatch.setattr(shutil, "disk_usage", lambda _: usage(10 * n_bytes, 9 * n_bytes, n_bytes))


def test_store_without_room_on_disk_is_not_begun(encoder, dataset, folder, monkeypatch, tiny_corpus):
    assert encoder.head.linear.in_features == 64  # so that 32 shards take 32 x (128 + 4 x 64 x 2) = 20,480 bytes
    spoil_audio(tiny_corpus.root)  # so that any attempt to decode would fail otherwise
    set_free_space(monkeypatch, 17_000)
    with pytest.raises(MrlspkError, match="needs 20.5 kB, and 17.0 kB are free: 3.5 kB are missing") as caught:
        extract(encoder, dataset, folder)
    assert (caught.value.exit_code, caught.value.where.parent) == (1, folder)
    assert [name for name in contents(folder) if "shard" in name] == []


def test_room_is_needed_for_missing_shards_only(encoder, dataset, folder, monkeypatch):
    store = extract(encoder, dataset, folder)
    kept = contents(folder)
    (store.folder / "shard-00002.npy").unlink()
    one = store_bytes(ROWS_PER_SHARD, store.n_features, "float16")
    set_free_space(monkeypatch, one)
    extract(encoder, dataset, folder)
    assert contents(folder) == kept


@pytest.mark.parametrize("stop", [KeyboardInterrupt, SystemExit], ids=["Ctrl-C", "SIGTERM"])
def test_stopped_extraction_keeps_whole_shards_and_says_so(encoder, dataset, folder, caplog, stop):
    def end(done, _):
        if done == 10:
            raise stop

    with pytest.raises(stop):
        extract(encoder, dataset, folder, on_progress=end)
    assert "keeps 8 of 128 vectors: the same command goes on from there" in caplog.text
    done = []
    extract(encoder, dataset, folder, on_progress=lambda *counts: done.append(counts))
    assert done[0] == (8, 128)


def test_size_is_logged_before_the_first_vector(encoder, dataset, folder, caplog):
    logged = []
    with caplog.at_level(logging.INFO, "mrlspk.training"):
        extract(encoder, dataset, folder, on_progress=lambda *_: logged.append(caplog.text))
    (store,) = folder.glob("crops-*")
    size = sum(path.stat().st_size for path in store.glob("*.npy"))
    assert f"storing 128 of 128 vectors in {store}: {readable_size(size)}" in logged[0]


@pytest.mark.process
def test_decoding_workers_do_not_change_a_byte(encoder, dataset, folder):
    extract(encoder, dataset, folder)
    extract(encoder, dataset, folder.with_name("other"), num_workers=2)
    assert contents(folder) == contents(folder.with_name("other"))


@pytest.mark.parametrize("workers", [0, 1])
def test_unreadable_file_is_named_and_earlier_shards_stay(encoder, dataset, folder, tiny_corpus, workers):
    path = tiny_corpus.root / tiny_corpus.utterance_ids[9]  # in the third shard
    path.write_text("not audio")
    with pytest.raises(DataError) as caught:
        extract(encoder, dataset, folder, num_workers=workers)
    assert str(path) in str(caught.value)
    assert "Traceback" not in str(caught.value)
    assert sorted(name.rpartition("/")[2] for name in contents(folder) if name.endswith("npy")) == [
        "shard-00000.npy",
        "shard-00001.npy",
    ]


def test_vector_too_large_for_float16_names_its_utterance(encoder, dataset, folder, tiny_corpus):
    encoder.pool.register_forward_hook(lambda *arguments: arguments[-1] * 1e6)
    with pytest.raises(DataError, match="too large for float16") as caught:
        extract(encoder, dataset, folder)
    assert caught.value.where == str(tiny_corpus.root / tiny_corpus.utterance_ids[0])


def test_unwritable_folder_is_named(encoder, dataset, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(MrlspkError, match="cannot be locked") as caught:
        extract(encoder, dataset, tmp_path / "file" / "features")
    assert str(tmp_path / "file") in str(caught.value.where)
