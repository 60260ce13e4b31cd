"""The checkpoint layout that redimnet-mrl released as 1.0.1, against vectors of its own implementation."""

import zipfile

import numpy as np
import pytest
import soundfile
import torch

import mrlspk
from conformance.reference import AUDIO, PREDECESSOR, read_reference, write_predecessor
from mrlspk.models.checkpoints import inspect_model, load_model

DIMS = (64, 128, 192, 256)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return write_predecessor(tmp_path_factory.mktemp("predecessor") / "best.pt")


@pytest.fixture(scope="module")
def items(shared):
    samples, _ = soundfile.read(shared / AUDIO, dtype="float32")
    return [(samples[item["start"] : item["stop"]], item) for item in read_reference(PREDECESSOR)["items"]]


def test_every_entry_is_loaded_and_numpy_numbers_become_plain_ones(checkpoint):
    loaded = load_model(checkpoint)
    reference = read_reference(PREDECESSOR)
    assert (loaded.family, loaded.encoder.dims) == ("redimnet-mrl", DIMS)
    assert loaded.report.loaded == len(reference["state_dict"])
    assert sum(p.numel() for p in loaded.encoder.parameters()) == reference["parameters"]
    assert loaded.contents["best_eer"] == 0.0556
    assert type(loaded.contents["best_eer"]) is float


def test_embedding_is_that_of_the_reference(checkpoint, items):
    encoder = load_model(checkpoint).encoder
    for samples, item in items:
        with torch.inference_mode():
            embedding = encoder(torch.from_numpy(samples).unsqueeze(0))[0]
        assert embedding.numpy() == pytest.approx(np.array(item["embedding"]), abs=2e-4)


@pytest.mark.parametrize("dim", DIMS)
def test_each_width_is_the_prefix_of_the_reference_at_unit_length(checkpoint, items, dim):
    encoder = mrlspk.load(checkpoint, device="cpu")
    for samples, item in items:
        prefix = np.array(item["embedding"])[:dim]
        assert encoder.embed(samples, dim=dim, speech="all") == pytest.approx(prefix / np.linalg.norm(prefix), abs=5e-5)


@pytest.mark.parametrize("numpy_module", ["numpy.core.multiarray", "numpy._core.multiarray"])
def test_numbers_pickled_by_either_numpy_are_read(checkpoint, tmp_path, numpy_module):
    changed = replace_in_pickle(checkpoint, tmp_path, numpy_module)
    assert load_model(changed).contents["best_eer"] == 0.0556


def test_layers_come_from_the_named_backbone_if_config_has_none(checkpoint, tmp_path):
    contents = torch.load(checkpoint, weights_only=False)
    del contents["config"]["backbone"]
    torch.save(contents, tmp_path / "best.pt")
    assert inspect_model(tmp_path / "best.pt").report.is_whole
    contents["config"]["advanced"]["model_name"] = "b3"
    torch.save(contents, tmp_path / "best.pt")
    with pytest.raises(mrlspk.MrlspkError, match="option advanced.model_name=b3 is not supported"):
        load_model(tmp_path / "best.pt")


def replace_in_pickle(checkpoint, tmp_path, numpy_module):
    """Return a copy in which NumPy's module of scalars has the name that another NumPy gave it."""
    here = b"numpy._core.multiarray"
    changed = tmp_path / "changed.pt"
    with zipfile.ZipFile(checkpoint) as source, zipfile.ZipFile(changed, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith("data.pkl"):
                assert here in data
                data = data.replace(b"c" + here + b"\n", b"c" + numpy_module.encode() + b"\n")
            target.writestr(name, data)
    return changed
