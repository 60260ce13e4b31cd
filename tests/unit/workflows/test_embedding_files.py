"""Files of embeddings are written from the spool, a block of rows at a time."""

import tracemalloc
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet  # noqa: F401 - its import is not counted
import pytest

from mrlspk.files import claimed_file
from mrlspk.inference.recording import EmbeddedRecording
from mrlspk.vectors.loading import load_vectors
from mrlspk.workflows import embedding_files
from mrlspk.workflows.embedding_files import write_embeddings
from mrlspk.workflows.embedding_rows import EmbeddedRows
from mrlspk.workflows.embedding_spool import open_spool

N_ROWS, DIM = 3000, 256


@pytest.mark.parametrize("name", ["out.npz", "out.parquet"])
def test_vectors_are_never_all_in_memory(tmp_path, monkeypatch, name):
    monkeypatch.setattr(embedding_files, "BLOCK", 100)
    vector = np.random.default_rng(0).normal(size=DIM).astype(np.float32)
    with claimed_file(tmp_path / name, force=False) as claim, open_spool(claim) as spool:
        ids = [f"{index}.wav" for index in range(N_ROWS)]
        item = EmbeddedRecording(vector, 1.0)
        rows = EmbeddedRows(spool, ids, [spool.add(file_id, item, None) for file_id in ids], DIM)
        report = SimpleNamespace(embeddings=rows, dim=DIM, dims=(DIM,), fingerprint="f", speech_detector=None)
        tracemalloc.start()
        write_embeddings(report, claim)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
    assert peak < N_ROWS * DIM * 4 / 2


def test_npz_has_the_arrays_that_numpy_would_write(tmp_path):
    items = [EmbeddedRecording(np.arange(1, 5, dtype=np.float32), 1.5, ("short", "quiet"), 0.5)]
    items.append(EmbeddedRecording(np.ones(4, np.float32), 2.0))
    with claimed_file(tmp_path / "out.npz", force=False) as claim, open_spool(claim) as spool:
        ids = ["a/1.wav", "ü"]
        offsets = [spool.add(file_id, item, None) for file_id, item in zip(ids, items, strict=True)]
        rows = EmbeddedRows(spool, ids, offsets, 2)
        report = SimpleNamespace(embeddings=rows, dim=2, dims=(1, 2), fingerprint="f", speech_detector="energy-1")
        write_embeddings(report, claim)
    with np.load(tmp_path / "out.npz") as found:
        assert {name: (each.dtype.str, each.shape) for name, each in found.items()} == {
            "embeddings": ("<f4", (2, 2)),
            "ids": ("<U7", (2,)),
            "warnings": ("<U12", (2,)),
            "seconds": ("<f8", (2,)),
            "speech_seconds": ("<f8", (2,)),
            "fingerprint": ("<U1", ()),
            "speech_detector": ("<U8", ()),
            "dims": ("<i8", (2,)),
        }
        assert found["ids"].tolist() == ids
        assert found["warnings"].tolist() == ["short, quiet", ""]
        assert found["embeddings"][0] == pytest.approx(np.array([1, 2]) / np.sqrt(5))
        assert np.isnan(found["speech_seconds"]).tolist() == [False, True]


@pytest.mark.parametrize("suffix", embedding_files.FORMATS)
@pytest.mark.parametrize(("dims", "known"), [((1, 2), (1, 2)), ((2,), None)])
def test_every_format_names_the_widths_of_a_matryoshka_model(tmp_path, suffix, dims, known):
    path = tmp_path / f"out{suffix}"
    with claimed_file(path, force=False) as claim, open_spool(claim) as spool:
        rows = EmbeddedRows(spool, ["a"], [spool.add("a", EmbeddedRecording(np.ones(2, np.float32), 1.0), None)], 2)
        report = SimpleNamespace(embeddings=rows, dim=2, dims=dims, fingerprint="f", speech_detector=None)
        write_embeddings(report, claim)
    assert load_vectors(path).dims == known
