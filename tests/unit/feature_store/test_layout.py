import io

import numpy as np
import pytest

from mrlspk.feature_store.layout import Layout, plan_layout, store_bytes


def test_rows_are_cut_into_shards_of_which_the_last_is_short():
    shards = list(Layout(n_rows=7, n_features=2, dtype="float16", rows_per_shard=3).shards)
    assert [(shard.name, list(shard.rows)) for shard in shards] == [
        ("shard-00000.npy", [0, 1, 2]),
        ("shard-00001.npy", [3, 4, 5]),
        ("shard-00002.npy", [6]),
    ]
    assert [len(shard) for shard in shards] == [3, 3, 1]


@pytest.mark.parametrize(("dtype", "rows"), [("float16", 7281), ("float32", 3640)])  # 2**25 / (2,304 x 2 or 4), cut
def test_a_shard_holds_about_32_mib(dtype, rows):
    assert plan_layout(1_092_009, 2304, dtype).rows_per_shard == rows


def test_a_shard_holds_one_row_at_least():
    assert plan_layout(2, 2**25, "float32").rows_per_shard == 1


def test_one_pass_of_voxceleb2_takes_five_gigabytes():
    n_bytes = store_bytes(1_092_009, 2304, "float16")
    assert n_bytes == 1_092_009 * 2304 * 2 + 150 * 128  # 150 shards, a header of 128 bytes each
    assert n_bytes == pytest.approx(5.0e9, rel=0.01)


@pytest.mark.parametrize("dtype", ["float16", "float32"])
@pytest.mark.parametrize("n_rows", [0, 1, 3, 6, 7])
def test_size_is_that_of_the_files_numpy_would_write(dtype, n_rows):
    layout = Layout(n_rows, 5, dtype, rows_per_shard=3)
    written = 0
    for shard in layout.shards:
        file = io.BytesIO()
        np.save(file, np.zeros((len(shard), 5), dtype))
        written += file.tell()
        assert file.getvalue().startswith(layout.header(len(shard)))
    assert layout.nbytes == written
