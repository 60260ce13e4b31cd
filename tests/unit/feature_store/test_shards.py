import hashlib
import io

import numpy as np
import pytest

from mrlspk.errors import MrlspkError
from mrlspk.feature_store.shards import (
    Layout,
    Shard,
    ShardState,
    checksum_path,
    inspect_shard,
    map_shard,
    plan_layout,
    store_bytes,
    write_shard,
)

LAYOUT = Layout(n_rows=20, n_features=3, dtype="float16", rows_per_shard=8)
SHARD = Shard(1, 8, 16)
VALUES = np.arange(24, dtype=np.float16).reshape(8, 3) / 7


@pytest.fixture
def folder(tmp_path):
    write_shard(tmp_path, SHARD, VALUES, layout=LAYOUT)
    return tmp_path


def test_shard_is_a_numpy_file_with_a_checksum_file(folder):
    path = folder / "shard-00001.npy"
    assert np.array_equal(np.load(path), VALUES)
    assert checksum_path(folder, SHARD).read_text() == f"{hashlib.sha256(path.read_bytes()).hexdigest()}  {path.name}\n"
    assert sorted(each.name for each in folder.iterdir()) == ["shard-00001.npy", "shard-00001.sha256"]
    assert inspect_shard(folder, SHARD, layout=LAYOUT) is ShardState.COMPLETE


def test_noncontiguous_array_is_written_row_by_row(tmp_path):
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


def test_other_damage_has_its_own_state(folder):
    path, checksum = folder / SHARD.name, checksum_path(folder, SHARD)
    whole = path.read_bytes()
    for content in (whole[:-1], whole + b"0", b""):
        path.write_bytes(content)
        assert inspect_shard(folder, SHARD, layout=LAYOUT) is ShardState.SIZE
    path.write_bytes(whole)
    checksum.write_bytes(b"\xff\xfe")
    assert inspect_shard(folder, SHARD, layout=LAYOUT) is ShardState.CHECKSUM
    checksum.unlink()
    assert inspect_shard(folder, SHARD, layout=LAYOUT) is ShardState.MISSING
    write_shard(folder, SHARD, VALUES, layout=LAYOUT)
    path.unlink()
    assert inspect_shard(folder, SHARD, layout=LAYOUT) is ShardState.GONE
    path.mkdir()
    assert inspect_shard(folder, SHARD, layout=LAYOUT) in {ShardState.SIZE, ShardState.UNREADABLE}
    assert {state for state in ShardState if not state.is_damage} == {ShardState.COMPLETE, ShardState.MISSING}


def test_mapped_shard_holds_the_written_vectors(folder):
    assert np.array_equal(map_shard(folder, SHARD, layout=LAYOUT), VALUES)


@pytest.mark.parametrize("n_features", [2, 4])
def test_shard_of_another_shape_raises(folder, n_features):
    with pytest.raises(MrlspkError, match="does not match the key"):
        map_shard(folder, SHARD, layout=Layout(20, n_features, "float16", rows_per_shard=8))


def test_missing_shard_raises(tmp_path):
    with pytest.raises(MrlspkError, match="cannot be read") as caught:
        map_shard(tmp_path, SHARD, layout=LAYOUT)
    assert caught.value.where == tmp_path / SHARD.name


def test_layout_splits_rows_into_shards_with_a_short_last():
    shards = list(Layout(n_rows=7, n_features=2, dtype="float16", rows_per_shard=3).shards)
    assert [(shard.name, list(shard.rows)) for shard in shards] == [
        ("shard-00000.npy", [0, 1, 2]),
        ("shard-00001.npy", [3, 4, 5]),
        ("shard-00002.npy", [6]),
    ]
    assert [len(shard) for shard in shards] == [3, 3, 1]


@pytest.mark.parametrize(("dtype", "rows"), [("float16", 7281), ("float32", 3640)])  # 2**25 / (2,304 x 2 or 4), cut
def test_shard_holds_about_32_mib(dtype, rows):
    assert plan_layout(1_092_009, 2304, dtype).rows_per_shard == rows


@pytest.mark.parametrize(
    ("n_rows", "rows"),
    [
        (1, 16),
        (1_431, 16),  # a 128th is 11.2
        (2_100, 32),  # 16.4
        (8_192, 64),
        (10_000, 128),  # 78.1: batches of 64 stay whole
        (100_000, 832),  # 781.3
    ],
)
def test_shard_of_a_small_store_is_about_a_128th_of_it(n_rows, rows):
    assert plan_layout(n_rows, 2304, "float16").rows_per_shard == rows


def test_shard_holds_at_least_one_row():
    assert plan_layout(2, 2**25, "float32").rows_per_shard == 1


def test_one_pass_of_voxceleb2_takes_five_gigabytes():
    n_bytes = store_bytes(1_092_009, 2304, "float16")
    assert n_bytes == 1_092_009 * 2304 * 2 + 150 * 128  # 150 shards, a header of 128 bytes each
    assert n_bytes == pytest.approx(5.0e9, rel=0.01)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("n_rows", [0, 1, 3, 6, 7])
def test_size_equals_that_of_numpy_files(dtype, n_rows):
    layout = Layout(n_rows, 5, dtype, rows_per_shard=3)
    written = 0
    for shard in layout.shards:
        file = io.BytesIO()
        np.save(file, np.zeros((len(shard), 5), dtype))
        written += file.tell()
        assert file.getvalue().startswith(layout.header(len(shard)))
    assert layout.nbytes == written
