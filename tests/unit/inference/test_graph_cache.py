import logging
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from factories import tiny_encoder, write_tiny_model
from mrlspk.errors import CheckpointError, ConfigError, MissingDependencyError
from mrlspk.inference import automatic, graph_cache, graph_loading
from mrlspk.inference.backend_registry import load_backend
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.onnx_backend import OnnxBackend
from mrlspk.inference.torch_backend import TorchBackend
from mrlspk.models.fingerprint import model_fingerprint
from mrlspk.models.graph_metadata import EXPORTER

DIMS = (4, 8)


@pytest.fixture
def noise():
    return np.random.default_rng(0).normal(0, 0.1, (3, 8_000)).astype(np.float32)


@pytest.fixture
def model(tmp_path):
    write_tiny_model(tmp_path / "m.pt", DIMS)
    return ModelFile(tmp_path / "m.pt", "m.pt")


def load(model, folder, backend="onnxruntime", **options):
    return load_backend(model, device="cpu", backend=backend, cache_dir=folder, **options)


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.mark.process
def test_second_use_of_a_checkpoint_needs_no_torch(model, tmp_path, noise):
    first = load(model, tmp_path).backend
    np.save(tmp_path / "noise.npy", noise)
    program = (
        "import sys; sys.modules['torch'] = None\n"
        "import numpy as np\nfrom pathlib import Path\n"
        "from mrlspk.inference.backend_registry import load_backend\n"
        "from mrlspk.inference.model_file import ModelFile\n"
        "folder = Path(sys.argv[1])\n"
        "model = ModelFile(folder / 'm.pt', 'm.pt')\n"
        "backend = load_backend(model, device='cpu', backend='auto', cache_dir=folder).backend\n"
        "np.save(folder / 'found.npy', backend.embed(np.load(folder / 'noise.npy')))\n"
    )
    subprocess.run([sys.executable, "-c", program, tmp_path], check=True)
    np.testing.assert_array_equal(np.load(tmp_path / "found.npy"), first.embed(noise))


def test_kept_graph_embeds_like_its_checkpoint(model, tmp_path, noise):
    encoder = tiny_encoder(DIMS)
    loaded = load(model, tmp_path)
    np.testing.assert_allclose(unit(loaded.backend.embed(noise)), unit(TorchBackend(encoder).embed(noise)), atol=1e-5)
    assert (loaded.backend.fingerprint, loaded.backend.dims) == (model_fingerprint(encoder), DIMS)


def test_graph_is_found_by_content_not_by_name(model, tmp_path):
    load(model, tmp_path)
    (kept,) = (tmp_path / "graphs").glob("*.onnx")
    made = kept.stat().st_mtime_ns
    moved = model.path.rename(tmp_path / "other.pt")
    load(ModelFile(moved, "other.pt"), tmp_path)
    assert kept.stat().st_mtime_ns == made
    write_tiny_model(moved.with_name("m2.pt"), DIMS, seed=1)
    (tmp_path / "m2.pt").replace(moved)
    assert load(ModelFile(moved, "other.pt"), tmp_path).backend.fingerprint == model_fingerprint(
        tiny_encoder(DIMS, seed=1)
    )


def test_new_graph_removes_those_of_older_exporters(model, tmp_path):
    folder = tmp_path / "graphs"
    folder.mkdir()
    older, same, later, other = (
        folder / name
        for name in (f"ab-{EXPORTER - 1}.onnx", f"ab-{EXPORTER}.onnx", f"ab-{EXPORTER + 1}.onnx", "mine.onnx")
    )
    for path in (older, same, later, other):
        path.touch()
    load(model, tmp_path)
    assert not older.exists()
    assert all(path.exists() for path in (same, later, other))


def test_damaged_kept_graph_is_made_again_with_a_warning(model, tmp_path, noise, caplog):
    expected = load(model, tmp_path).backend.embed(noise)
    (kept,) = (tmp_path / "graphs").glob("*.onnx")
    kept.write_bytes(kept.read_bytes()[:-1_000])
    np.testing.assert_array_equal(load(model, tmp_path).backend.embed(noise), expected)
    assert "made again" in caplog.text


def test_graph_is_made_once_if_two_ask_at_once(model, tmp_path, monkeypatch):
    makers, make, both = [], graph_cache._make_graph, threading.Barrier(2)

    def make_slowly(*args):
        makers.append(threading.get_ident())
        time.sleep(0.2)
        make(*args)

    def ask(_):
        both.wait()
        return graph_cache.cached_graph(model, cache_dir=tmp_path)

    monkeypatch.setattr(graph_cache, "_make_graph", make_slowly)
    with ThreadPoolExecutor(2) as pool:
        found = list(pool.map(ask, range(2)))
    assert len(makers) == 1
    assert found[0][0] == found[1][0]
    assert {is_new for _, is_new in found} == {True, False}


def test_graph_needs_a_cache_folder(model):
    with pytest.raises(ConfigError, match="MRLSPK_CACHE_DIR"):
        load(model, None)


def test_auto_takes_a_graph_on_the_cpu(model, tmp_path):
    assert isinstance(load(model, tmp_path, "auto").backend, OnnxBackend)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ("cache", "there is no cache for a graph"),
        ("packages", "onnxruntime and openvino are not installed"),
        ("parity", "differs from PyTorch"),
        ("folder", "cannot be"),
    ],
)
def test_auto_falls_back_to_pytorch_and_says_why(model, tmp_path, monkeypatch, caplog, change, why):
    folder = None if change == "cache" else tmp_path
    if change == "packages":
        monkeypatch.setattr(automatic.importlib.util, "find_spec", lambda _name: None)
    if change == "parity":
        monkeypatch.setattr("mrlspk.inference.parity.TOLERANCE", -1.0)
    if change == "folder":
        (tmp_path / "graphs").write_bytes(b"in the way")
    with caplog.at_level(logging.INFO, "mrlspk.inference"):
        assert isinstance(load(model, folder, "auto").backend, TorchBackend)
    assert why in caplog.text


def test_auto_takes_the_next_runtime_if_the_first_fails(model, tmp_path, monkeypatch, caplog):
    def absent(path):
        raise MissingDependencyError("ONNX Runtime is not installed", path)

    monkeypatch.setattr(graph_loading, "read_onnx_backend", absent)
    with caplog.at_level(logging.INFO, "mrlspk.inference"):
        assert "openvino" in load(model, tmp_path, "auto").backend.runtime
    assert "embedding with openvino: ONNX Runtime is not installed" in caplog.text


def test_file_that_is_no_checkpoint_is_refused_and_leaves_no_graph(tmp_path):
    (tmp_path / "m.pt").write_bytes(b"text")
    for backend in ("auto", "onnxruntime"):
        with pytest.raises(CheckpointError):
            load(ModelFile(tmp_path / "m.pt", "m.pt"), tmp_path, backend)
    assert list((tmp_path / "graphs").glob("*.onnx*")) == []


@pytest.mark.parametrize("backend", ["auto", "onnxruntime"])
def test_enormous_file_is_not_hashed(tmp_path, monkeypatch, backend):
    monkeypatch.setattr(graph_cache, "file_sha256", lambda _path: pytest.fail("it was hashed"))
    with (tmp_path / "model.pt").open("wb") as file:
        file.truncate(graph_cache.LARGEST_GRAPH + 1)
    with pytest.raises(CheckpointError):
        load_backend(ModelFile(tmp_path / "model.pt", "m"), backend=backend, cache_dir=tmp_path, device="cpu")
