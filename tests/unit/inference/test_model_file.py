import os
import zipfile
from datetime import UTC, datetime
from importlib.metadata import EntryPoint

import pytest

from mrlspk.errors import CheckpointError, DownloadError, UsageError
from mrlspk.inference import backend_registry
from mrlspk.inference.backend import LoadedBackend
from mrlspk.inference.backend_registry import MapLoader, load_backend, register_loader
from mrlspk.inference.model_file import ModelFile, locate_model
from mrlspk.inference.torch_backend import load_checkpoint
from mrlspk.pretrained.cache_folder import cached_path
from mrlspk.pretrained.own_models import ModelFacts, add_own_model, own_model_path
from mrlspk.pretrained.registry import find_model

NAME = "redimnet-b0-vox2-ptn"  # its SHA-256 is not known beforehand


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def own(tmp_path):
    facts = ModelFacts(family="redimnet", dims=(64,))
    added = datetime(2026, 3, 4, tzinfo=UTC)
    return add_own_model(
        "mine", facts, lambda path: path.write_bytes(b"mine"), cache_dir=tmp_path, added=added, force=False
    )


def test_own_model_resolves_to_its_verified_file(own, tmp_path):
    found = locate_model("mine", cache_dir=tmp_path)
    assert (found.path, found.typed, found.published, found.own) == (
        own_model_path("mine", tmp_path),
        "mine",
        None,
        own,
    )
    for other, expected in ((b"thin", "expected SHA-256"), (b"other", "expected 4 bytes, got 5")):
        found.path.write_bytes(other)
        with pytest.raises(CheckpointError, match=expected):
            locate_model("mine", cache_dir=tmp_path)


def test_published_name_resolves_to_its_fetched_file_and_entry(tmp_path):
    (tmp_path / "mirror").mkdir()
    with zipfile.ZipFile(tmp_path / "mirror" / "b0-vox2-ptn.pt", "w") as archive:
        archive.writestr("data", b"published")
    found = locate_model(NAME, cache_dir=tmp_path / "cache", mirror=str(tmp_path / "mirror"))
    assert found.path == cached_path(find_model(NAME), tmp_path / "cache")
    assert (found.typed, found.published, found.own) == (NAME, find_model(NAME), None)


@pytest.mark.usefixtures("own")
def test_file_comes_before_a_name_but_a_folder_does_not(tmp_path):
    (tmp_path / "mine").mkdir()
    assert locate_model("mine", cache_dir=tmp_path).own is not None
    (tmp_path / "mine").rmdir()
    (tmp_path / "mine").write_bytes(b"a file")
    found = locate_model("mine", cache_dir=tmp_path)
    assert (str(found.path), found.own) == ("mine", None)


def test_failed_fetch_says_what_to_type(tmp_path):
    with pytest.raises(DownloadError) as caught:
        locate_model(NAME, cache_dir=tmp_path / "cache", mirror=str(tmp_path / "gone"))
    assert f"mrlspk pretrained fetch {NAME}" in caught.value.fix


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize(
    ("typed", "guess"),
    [
        ("minee", "Did you mean mine?"),
        ("redimnet-b0-vox2-pnt", f"Did you mean {NAME},"),
        ("b1", "Did you mean redimnet-b1-vox2-ptn, redimnet-b1-vox2-ft_lm, redimnet2-b1-vox2-ptn or"),
        ("x-vector", "Check the path;"),
    ],
)
def test_unknown_name_suggests_the_nearest(tmp_path, typed, guess):
    with pytest.raises(CheckpointError, match="no such model file, and no published model") as caught:
        locate_model(typed, cache_dir=tmp_path)
    assert caught.value.fix.startswith(guess)


@pytest.mark.parametrize(
    ("typed", "what", "guess"),
    [
        ("checkpoints", "is a folder", "Did you mean checkpoints/b/best.pt or checkpoints/a/best.pt?"),
        ("checkpoints/a", "is a folder", "Did you mean checkpoints/a/best.pt?"),
        ("best.pt", "no such model file", "Did you mean checkpoints/b/best.pt or checkpoints/a/best.pt?"),
        ("checkpoints/a/bset.pt", "no such model file", "Did you mean checkpoints/a/best.pt?"),
        ("Exported.onnx", "no such model file", "Did you mean exported.onnx?"),
        ("https://a.org/m.pt?key=1", "is an address", "Type: mrlspk pretrained fetch https://a.org/m.pt, and"),
        ("", "got an empty text", "Name a model."),
        ("gone/best.pt", "there is no folder gone", "Check the path;"),
        ("x" * 300 + ".pt", "no such model file", "Check the path;"),
    ],
)
@pytest.mark.parametrize("cache", [None, "cache"])
def test_path_without_a_file_suggests_the_file_that_was_meant(tmp_path, typed, what, guess, cache):
    for seconds, name in enumerate(("checkpoints/a/best.pt", "checkpoints/b/best.pt", "exported.onnx")):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
        os.utime(path, (seconds, seconds))
    with pytest.raises(CheckpointError, match=what) as caught:
        locate_model(typed, cache_dir=cache and tmp_path / cache)
    assert caught.value.fix.startswith(guess)


def test_exported_model_is_no_checkpoint(tmp_path):
    (tmp_path / "model.onnx").write_bytes(b"\x08\x07\x12\x04onnx")
    with pytest.raises(CheckpointError, match="is an ONNX model, which has no PyTorch network"):
        load_checkpoint(locate_model("model.onnx", cache_dir=tmp_path))


def test_exported_model_is_loaded_by_a_loader_of_its_suffix(tmp_path, monkeypatch):
    monkeypatch.setattr(backend_registry, "_LOADERS", {})
    register_loader(".onnx", lambda model, device: (model.path.read_bytes(), device))
    (tmp_path / "model.ONNX").write_bytes(b"onnx")
    assert load_backend(locate_model("model.ONNX", cache_dir=tmp_path), device="cpu") == (b"onnx", "cpu")
    (tmp_path / "model.onnx").write_bytes(b"other")
    assert load_backend(locate_model("model.onnx", cache_dir=tmp_path), device="cpu") == (b"other", "cpu")


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino", "auto", "torch"])
def test_base_of_a_map_is_loaded_as_the_map_is_asked_for(tmp_path, monkeypatch, backend):
    def record(how, result):
        return lambda *_, **options: asked.append((how, options.get("backend"), options.get("cache_dir"))) or result

    asked, found = [], LoadedBackend("the base")
    monkeypatch.setattr(backend_registry, "_LOADERS", {})
    monkeypatch.setattr("mrlspk.inference.graph_cache.load_cached_graph", record("graph", found))
    monkeypatch.setattr("mrlspk.inference.automatic.load_fastest", record("auto", None))
    monkeypatch.setattr("mrlspk.inference.torch_backend.load_torch_backend", record("torch", found))
    register_loader(".map", MapLoader(lambda model, load_base: load_base(ModelFile(model.path.with_name("a.pt"), ""))))
    model = ModelFile(tmp_path / "model.map", "model.map")
    assert load_backend(model, backend=backend, cache_dir=tmp_path) == "the base"
    expected = {
        "auto": [("auto", None, tmp_path), ("torch", None, None)],
        "torch": [("torch", None, None)],
    }
    assert asked == expected.get(backend, [("graph", backend, tmp_path)])
    with pytest.raises(UsageError, match="a .map model runs in f32"):
        load_backend(model, precision="bf16")


def load_installed(model, device):
    return model.path.name, device


def test_installed_loader_is_used_for_its_suffix(tmp_path, monkeypatch):
    entry = EntryPoint("onnx", f"{__name__}:load_installed", backend_registry.ENTRY_POINTS)
    monkeypatch.setattr(backend_registry, "_LOADERS", {})
    monkeypatch.setattr(backend_registry, "entry_points", lambda group: [entry] if group == "mrlspk.backends" else [])
    backend_registry._installed_loaders.cache_clear()
    model = ModelFile(tmp_path / "model.onnx", "model.onnx")
    try:
        assert load_backend(model, device="cpu") == ("model.onnx", "cpu")
    finally:
        backend_registry._installed_loaders.cache_clear()
