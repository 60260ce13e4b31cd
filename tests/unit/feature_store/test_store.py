import json
import resource
from dataclasses import asdict

import numpy as np
import pytest
import torch

from mrlspk.errors import MrlspkError
from mrlspk.feature_store.key import FORMAT, KEY_FILE, store_name, write_key
from mrlspk.feature_store.shards import Layout, write_shard
from mrlspk.feature_store.store import open_store, readable_size

N_ROWS = 23


def values(dtype):
    return np.random.default_rng(0).normal(size=(N_ROWS, 5)).astype(dtype)


@pytest.fixture(params=["float16", "float32"])
def folder(request, tmp_path):
    """A store of 23 rows in shards of 4."""
    layout = Layout(N_ROWS, 5, request.param, rows_per_shard=4)
    key = {"format": FORMAT, "kind": "crops", **asdict(layout)}
    folder = tmp_path / store_name(key)
    write_key(folder, key)
    for shard in layout.shards:
        write_shard(folder, shard, values(request.param)[shard.start : shard.stop], layout=layout)
    return folder


def test_rows_come_in_the_requested_order(folder):
    store = open_store(folder)
    table = torch.from_numpy(values(store.dtype)).float()
    for indices in ([22, 0, 3, 4, 3, 21, 7], range(N_ROWS), [5], [], np.random.default_rng(1).permutation(N_ROWS)):
        found = store.rows(np.array(indices, np.int64))
        assert found.dtype == torch.float32
        assert found.shape == (len(indices), 5)
        assert torch.equal(found, table[torch.as_tensor(np.array(indices, np.int64))])


def test_rows_are_a_copy(folder):
    store = open_store(folder)
    first = store.rows(np.array([1]))
    kept = first.clone()
    first.zero_()
    assert torch.equal(store.rows(np.array([1])), kept)


@pytest.mark.parametrize("index", [-1, N_ROWS])
def test_row_out_of_range_raises(folder, index):
    with pytest.raises(IndexError, match="rows are 0 to 22"):
        open_store(folder).rows(np.array([0, index]))


def test_store_has_shape_key_and_size(folder):
    store = open_store(folder)
    assert (store.folder, store.n_rows, store.n_features) == (folder, N_ROWS, 5)
    assert store.key == json.loads((folder / KEY_FILE).read_text())
    assert store.dtype == store.key["dtype"]
    assert store.nbytes == sum(path.stat().st_size for path in folder.glob("*.npy"))


def test_store_with_missing_shards_is_not_opened(folder):
    (folder / "shard-00001.npy").unlink()
    (folder / "shard-00004.npy").unlink()
    with pytest.raises(MrlspkError, match="2 of 6 shards are missing, the first is shard-00001.npy"):
        open_store(folder)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        ("{", "not JSON"),
        ("[]", "does not match the name of its folder"),
        ('{"kind": "crops", "format": 1}', "does not match the name of its folder"),
    ],
)
def test_folder_without_its_key_is_not_opened(folder, content, message):
    path = folder / KEY_FILE
    path.unlink()
    if content is not None:
        path.write_text(content)
    with pytest.raises(MrlspkError, match=message) as caught:
        open_store(folder)
    assert caught.value.where == path


def test_store_of_another_format_is_not_opened(folder):
    key = json.loads((folder / KEY_FILE).read_text()) | {"format": 1}
    other = folder.rename(folder.with_name(store_name(key)))
    write_key(other, key)
    with pytest.raises(MrlspkError, match="expected format 3 of a feature store, got 1"):
        open_store(other)


@pytest.fixture
def few_open_files():
    """Let this process have no more than 200 files open."""
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("few_open_files")
def test_mapped_shards_keep_no_file_open(tmp_path):
    layout = Layout(400, 1, "float16", rows_per_shard=1)
    key = {"format": FORMAT, "kind": "whole", **asdict(layout)}
    folder = tmp_path / store_name(key)
    write_key(folder, key)
    for shard in layout.shards:
        (folder / shard.name).write_bytes(layout.header(1) + np.float16(shard.number).tobytes())
    assert open_store(folder).rows(np.arange(399, -1, -1)).flatten().tolist() == list(range(399, -1, -1))


@pytest.mark.parametrize(
    ("n_bytes", "text"),
    [(0, "0.0 kB"), (940, "0.9 kB"), (1_000_000, "1.0 MB"), (5_031_996_672, "5.0 GB"), (2 * 10**15, "2000.0 TB")],
)
def test_readable_size_picks_the_unit(n_bytes, text):
    assert readable_size(n_bytes) == text
