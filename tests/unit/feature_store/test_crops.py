import numpy as np
import pytest
import soundfile
import torch

from mrlspk.data.corpora.recipes import scan_corpus
from mrlspk.data.dataset import CropDataset, SampleKey
from mrlspk.feature_store.crops import Crops, ShardBatches
from mrlspk.feature_store.layout import Layout, Shard


def test_no_batch_reaches_from_one_shard_into_the_next():
    batches = ShardBatches([Shard(0, 0, 5), Shard(2, 10, 13)], n_items=4, batch_size=2)
    rows = [[key.epoch * 4 + key.index for key in batch] for batch in batches]
    assert rows == [[0, 1], [2, 3], [4], [10, 11], [12]]
    assert len(batches) == 5
    assert list(batches)[3] == [SampleKey(2, 2, 0), SampleKey(3, 2, 0)]


@pytest.fixture
def set_threads():
    """Sets the number of threads until the end of the test."""
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


@pytest.fixture
def corpus(tmp_path):
    generator = np.random.default_rng(0)
    for name in ("a/1", "b/1", "b/2"):
        path = tmp_path / f"{name}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, 0.1 * generator.normal(size=3000), 16_000, subtype="FLOAT")
    return scan_corpus(tmp_path)


def test_every_row_is_its_crop_whichever_shards_are_asked_for(corpus, set_threads):
    set_threads(1)
    dataset = CropDataset(corpus, crop_seconds=0.05, seed=3, speeds=(1.0, 0.9))
    assert len(dataset) == 6
    layout = Layout(n_rows=12, n_features=800, dtype="float32", rows_per_shard=5)
    crops = Crops(torch.clone, dataset, batch_size=2, num_workers=0)  # the "vector" is the crop itself
    _, second, third = layout.shards
    seen = []
    found = list(crops.vectors([third, second], layout=layout, on_rows=seen.append))
    for vectors, rows in zip(found, ([10, 11], [5, 6, 7, 8, 9]), strict=True):
        expected = [dataset[SampleKey(row % 6, row // 6, 0)][0].numpy() for row in rows]
        assert np.array_equal(vectors, np.stack(expected))
    assert seen == [2, 2, 2, 1]


def test_crops_are_cut_in_one_thread_as_by_processes_of_a_loader_and_pooled_in_all(corpus, set_threads):
    set_threads(3)
    cut, pooled = [], []

    def note_threads(crops):
        pooled.append(torch.get_num_threads())
        return crops

    class Noting(CropDataset):
        def _crop(self, path, speed, rng):
            cut.append(torch.get_num_threads())
            return super()._crop(path, speed, rng)

    layout = Layout(n_rows=3, n_features=800, dtype="float32", rows_per_shard=3)
    crops = Crops(note_threads, Noting(corpus, crop_seconds=0.05, seed=3), batch_size=2, num_workers=0)
    assert len(list(crops.vectors(list(layout.shards), layout=layout, on_rows=lambda _: None))) == 1
    assert (cut, pooled) == ([1, 1, 1], [3, 3])
    assert torch.get_num_threads() == 3
