import hashlib

import numpy as np
import pytest

from mrlspk.errors import MrlspkError
from mrlspk.feature_store.layout import Layout, Shard
from mrlspk.feature_store.shards import ShardState, checksum_path, inspect_shard, map_shard, write_shard

LAYOUT = Layout(n_rows=20, n_features=3, dtype="float16", rows_per_shard=8)
SHARD = Shard(1, 8, 16)
VALUES = np.arange(24, dtype=np.float16).reshape(8, 3) / 7


@pytest.fixture
def folder(tmp_path):
    write_shard(tmp_path, SHARD, VALUES, layout=LAYOUT)
    return tmp_path


def test_a_shard_is_a_numpy_file_with_the_checksum_of_its_bytes_beside_it(folder):
    path = folder / "shard-00001.npy"
    assert np.array_equal(np.load(path), VALUES)
    assert checksum_path(folder, SHARD).read_text() == f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
    assert sorted(each.name for each in folder.iterdir()) == ["shard-00001.npy", "shard-00001.sha256"]
    assert inspect_shard(folder, SHARD, layout=LAYOUT) is ShardState.WHOLE


def test_columns_of_another_array_are_written_row_by_row(tmp_path):
    write_shard(tmp_path, SHARD, np.asfortranarray(VALUES), layout=LAYOUT)
    assert np.array_equal(np.load(tmp_path / SHARD.name), VALUES)


def test_every_flipped_bit_is_found(folder):
    path = folder / SHARD.name
    whole = path.read_bytes()
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        assert inspect_shard(folder, SHARD, layout=LAYOUT) is ShardState.CHECKSUM, place


def test_other_damage_is_told_apart(folder):
    path, checksum = folder / SHARD.name, checksum_path(folder, SHARD)
    whole = path.read_bytes()
    for content in (whole[:-1], whole + b"0", b""):
        path.write_bytes(content)
        assert inspect_shard(folder, SHARD, layout=LAYOUT) is ShardState.SIZE
    path.write_bytes(whole)
    checksum.write_bytes(b"\xff\xfe")
    assert inspect_shard(folder, SHARD, layout=LAYOUT) is ShardState.CHECKSUM
    checksum.unlink()
    assert inspect_shard(folder, SHARD, layout=LAYOUT) is ShardState.NOT_MADE
    write_shard(folder, SHARD, VALUES, layout=LAYOUT)
    path.unlink()
    assert inspect_shard(folder, SHARD, layout=LAYOUT) is ShardState.GONE
    path.mkdir()
    assert inspect_shard(folder, SHARD, layout=LAYOUT) in {ShardState.SIZE, ShardState.UNREADABLE}
    assert {state for state in ShardState if not state.is_damage} == {ShardState.WHOLE, ShardState.NOT_MADE}


def test_a_mapped_shard_holds_what_was_written(folder):
    assert np.array_equal(map_shard(folder, SHARD, layout=LAYOUT), VALUES)


@pytest.mark.parametrize("n_features", [2, 4])
def test_a_shard_of_another_shape_is_not_mapped(folder, n_features):
    with pytest.raises(MrlspkError, match="is not the shard that the key describes"):
        map_shard(folder, SHARD, layout=Layout(20, n_features, "float16", rows_per_shard=8))


def test_a_shard_that_is_gone_is_not_mapped(tmp_path):
    with pytest.raises(MrlspkError, match="cannot be read") as caught:
        map_shard(tmp_path, SHARD, layout=LAYOUT)
    assert caught.value.where == tmp_path / SHARD.name
