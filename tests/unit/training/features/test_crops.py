import numpy as np
import soundfile
import torch

from mrlspk.data.dataset import CropDataset, SampleKey
from mrlspk.data.manifest import scan_corpus
from mrlspk.training.features.crops import Crops, ShardBatches
from mrlspk.training.features.layout import Layout, Shard


def test_no_batch_reaches_from_one_shard_into_the_next():
    batches = ShardBatches([Shard(0, 0, 5), Shard(2, 10, 13)], n_items=4, batch_size=2)
    rows = [[key.epoch * 4 + key.index for key in batch] for batch in batches]
    assert rows == [[0, 1], [2, 3], [4], [10, 11], [12]]
    assert len(batches) == 5
    assert list(batches)[3] == [SampleKey(2, 2, 0), SampleKey(3, 2, 0)]


def test_every_row_is_its_crop_whichever_shards_are_asked_for(tmp_path):
    generator = np.random.default_rng(0)
    for name in ("a/1", "b/1", "b/2"):
        path = tmp_path / f"{name}.wav"
        path.parent.mkdir(exist_ok=True)
        soundfile.write(path, 0.1 * generator.normal(size=3000), 16_000, subtype="FLOAT")
    dataset = CropDataset(scan_corpus(tmp_path), crop_seconds=0.05, seed=3, speeds=(1.0, 0.9))
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
