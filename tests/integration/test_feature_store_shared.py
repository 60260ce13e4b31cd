"""Feature stores written by two processes together."""

import os
from pathlib import Path

import pytest

from extraction_processes import OPTIONS, contents, small_shards, tiny_dataset
from factories import tiny_encoder
from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.errors import DataError, MrlspkError
from mrlspk.feature_store import shards
from mrlspk.feature_store.extraction import ensure_crops, ensure_utterances
from two_processes import in_two

pytestmark = [pytest.mark.usefixtures("in_one_thread"), pytest.mark.process]

WHOLE = {"dtype": "float16", "batch_size": 3, "max_seconds": 60.0, "precision": "fp32"}


@pytest.fixture
def small(monkeypatch):
    """Use shards of four vectors in this process too."""
    monkeypatch.setattr(shards, "SHARD_BYTES", small_shards(tiny_encoder((4, 8))))


def make(ranks, root, folder, changed):
    """Make both kinds of store; return the progress of the crops, their pooled batches, and the rows of both."""
    encoder, dataset, progress, pooled = tiny_encoder((4, 8)), tiny_dataset(root), [], []
    shards.SHARD_BYTES = small_shards(encoder)
    encoder.pool.register_forward_hook(lambda *_: pooled.append(1))
    options = OPTIONS | changed
    crops = ensure_crops(
        encoder, dataset, folder=folder, ranks=ranks, on_progress=lambda *counts: progress.append(counts), **options
    )
    n_pooled = len(pooled)
    whole = ensure_utterances(encoder, scan_corpus(root).utterances, folder=folder, ranks=ranks, **WHOLE)
    return progress, n_pooled, (crops.n_rows, whole.n_rows)


def make_alone(root, folder):
    encoder, dataset = tiny_encoder((4, 8)), tiny_dataset(root)
    ensure_crops(encoder, dataset, folder=folder, **OPTIONS)
    ensure_utterances(encoder, scan_corpus(root).utterances, folder=folder, **WHOLE)


def make_or_say(ranks, root, folder):
    """Return the error of making a store, or None."""
    try:
        make(ranks, root, folder, {})
    except MrlspkError as error:
        return type(error), str(error)
    return None


def make_and_die(ranks, root, folder):
    """Make the crops; the second process dies after its third batch."""
    encoder = tiny_encoder((4, 8))
    shards.SHARD_BYTES = small_shards(encoder)
    pooled = []
    encoder.pool.register_forward_hook(lambda *_: os._exit(1) if ranks.rank and len(pooled) == 3 else pooled.append(1))
    ensure_crops(encoder, tiny_dataset(root), folder=folder, ranks=ranks, **OPTIONS)


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("num_workers", [0, 1])
def test_two_processes_write_the_same_bytes_as_one(tiny_corpus, tmp_path, num_workers):
    shared, alone = tmp_path / "shared", tmp_path / "alone"
    found = in_two(make, tiny_corpus.root, shared, {"num_workers": num_workers})
    make_alone(tiny_corpus.root, alone)
    assert contents(shared) == contents(alone)
    (progress, *first), (progress_second, *second) = found
    assert first == second == [32, (128, 16)]  # 128 crops in twos by two processes
    assert progress == [(done, 128) for done in range(0, 129, 4)]
    assert progress_second == []


@pytest.mark.usefixtures("small")
def test_extraction_resumes_with_another_number_of_processes(tiny_corpus, tmp_path):
    shared, alone = tmp_path / "shared", tmp_path / "alone"
    make_alone(tiny_corpus.root, alone)
    make_alone(tiny_corpus.root, shared)
    (crops,) = shared.glob("crops-*")
    for number in (3, 4, 17):
        (crops / f"shard-{number:05}.sha256").unlink()
    (_, first, _), (_, second, _) = in_two(make, tiny_corpus.root, shared, {})
    assert (first, second) == (4, 2)  # two shards and one, of two batches each
    assert contents(shared) == contents(alone)


@pytest.mark.usefixtures("small")
def test_unreadable_file_raises_the_same_error_in_both_processes(tiny_corpus, tmp_path):
    dataset = tiny_dataset(tiny_corpus.root)
    bad = dataset.source_of(5).path  # in the second shard, the first of the second process
    kept = bad.read_bytes()
    bad.write_bytes(bytes(len(kept)))
    first, second = in_two(make_or_say, tiny_corpus.root, tmp_path / "shared")
    assert first == second
    assert issubclass(first[0], DataError)
    assert str(bad) in first[1]
    bad.write_bytes(kept)
    assert in_two(make_or_say, tiny_corpus.root, tmp_path / "shared") == [None, None]
    make_alone(tiny_corpus.root, tmp_path / "alone")
    assert contents(tmp_path / "shared") == contents(tmp_path / "alone")


def test_folder_that_cannot_be_locked_stops_both_processes(tiny_corpus, tmp_path):
    (tmp_path / "file").touch()
    first, second = in_two(make_or_say, tiny_corpus.root, tmp_path / "file" / "features")
    assert first == second
    assert "cannot be locked" in first[1]


def make_apart(ranks, root, folder):
    """Make the store in a folder that only this process uses."""
    return make_or_say(ranks, root, Path(folder) / str(ranks.rank))


def test_folder_hidden_from_one_process_stops_both(tiny_corpus, tmp_path):
    first, second = in_two(make_apart, tiny_corpus.root, tmp_path)
    assert first == second
    assert "another process does not see it" in first[1]
    assert "features.folder" in first[1]


@pytest.mark.usefixtures("small")
def test_store_of_a_process_that_died_can_be_resumed(tiny_corpus, tmp_path):
    with pytest.raises(RuntimeError):
        in_two(make_and_die, tiny_corpus.root, tmp_path / "shared")
    n_made = sum(name.endswith(".sha256") for name in contents(tmp_path / "shared"))
    assert 0 < n_made < 32
    for folder in ("shared", "alone"):
        make_alone(tiny_corpus.root, tmp_path / folder)
    assert contents(tmp_path / "shared") == contents(tmp_path / "alone")
