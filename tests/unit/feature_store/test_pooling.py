import numpy as np
import pytest
import soundfile
import torch

from factories import tiny_encoder
from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.data.crops.dataset import CropDataset, SampleKey
from mrlspk.errors import DataError
from mrlspk.feature_store.pooling import CropSource, ShardBatches, as_stored, pooling_function
from mrlspk.feature_store.shards import Layout, Shard

NAMES = ["a.wav", "b.wav"]


@pytest.fixture
def encoder():
    return tiny_encoder((4, 8))


def test_pooling_function_equals_the_encoder_in_evaluation_mode(encoder):
    waveforms = torch.randn(3, 4000)
    encoder.train()
    before = {name: values.clone() for name, values in encoder.state_dict().items()}
    found = pooling_function(encoder, precision="fp32")(waveforms)
    assert all(torch.equal(values, before[name]) for name, values in encoder.state_dict().items())
    assert not any(module.training for part in (encoder.backbone, encoder.pool) for module in part.modules())
    assert torch.equal(found, encoder.eval().pooled(waveforms))


def test_half_precision_equals_autocast(encoder):
    waveforms = torch.randn(3, 4000)
    found = pooling_function(encoder, precision="bf16")(waveforms)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(found, encoder.pooled(waveforms))
    assert found.dtype == torch.float32
    assert not torch.equal(found, pooling_function(encoder, precision="fp32")(waveforms))


def test_float16_rounds_and_float32_does_not():
    vectors = torch.tensor([[1 / 3, 65504.0], [2**-24, -1.0]])  # the largest and the smallest of float16 among them
    assert np.array_equal(as_stored(vectors, NAMES, dtype="float32"), vectors.numpy())
    halves = as_stored(vectors, NAMES, dtype="float16")
    assert halves.dtype == np.float16
    assert halves.tolist() == [[1365 / 4096, 65504.0], [2**-24, -1.0]]  # 11 bits of a third


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_vector_that_is_not_finite_names_its_file(value, dtype):
    with pytest.raises(DataError, match="its pooled vector is not finite") as caught:
        as_stored(torch.tensor([[1.0, 2.0], [1.0, value]]), NAMES, dtype=dtype)
    assert caught.value.where == NAMES[1]


def test_value_too_large_for_float16_names_file_and_fix():
    vectors = torch.tensor([[1.0, -70_000.0], [1.0, 2.0]])
    with pytest.raises(DataError, match="too large for float16: the largest value is 70000") as caught:
        as_stored(vectors, NAMES, dtype="float16")
    assert caught.value.where == NAMES[0]
    assert "float32" in caught.value.fix
    assert as_stored(vectors, NAMES, dtype="float32").shape == (2, 2)


def test_batch_does_not_cross_shards():
    batches = ShardBatches([Shard(0, 0, 5), Shard(2, 10, 13)], n_items=4, batch_size=2)
    rows = [[key.epoch * 4 + key.index for key in batch] for batch in batches]
    assert rows == [[0, 1], [2, 3], [4], [10, 11], [12]]
    assert len(batches) == 5
    assert list(batches)[3] == [SampleKey(2, 2, 0), SampleKey(3, 2, 0)]


@pytest.fixture
def set_threads():
    """Set the number of threads until the end of the test."""
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


def test_row_is_its_crop_whichever_shards_are_computed(corpus, set_threads):
    set_threads(1)
    dataset = CropDataset(corpus, crop_seconds=0.05, seed=3, speeds=(1.0, 0.9))
    assert len(dataset) == 6
    layout = Layout(n_rows=12, n_features=800, dtype="float32", rows_per_shard=5)
    crops = CropSource(torch.clone, dataset, batch_size=2, num_workers=0)  # the "vector" is the crop itself
    _, second, third = layout.shards
    seen = []
    found = list(crops.vectors([third, second], layout=layout, on_rows=seen.append))
    for vectors, rows in zip(found, ([10, 11], [5, 6, 7, 8, 9]), strict=True):
        expected = [dataset[SampleKey(row % 6, row // 6, 0)][0].numpy() for row in rows]
        assert np.array_equal(vectors, np.stack(expected))
    assert seen == [2, 2, 2, 1]


def test_crops_are_cut_in_one_thread_and_pooled_in_all(corpus, set_threads):
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
    crops = CropSource(note_threads, Noting(corpus, crop_seconds=0.05, seed=3), batch_size=2, num_workers=0)
    assert len(list(crops.vectors(list(layout.shards), layout=layout, on_rows=lambda _: None))) == 1
    assert (cut, pooled) == ([1, 1, 1], [3, 3])
    assert torch.get_num_threads() == 3


def test_crop_of_an_unreadable_file_is_replaced_within_its_speaker_only(corpus, caplog):
    dataset = CropDataset(corpus, crop_seconds=0.05, seed=3, max_unreadable=5)
    layout = Layout(len(dataset), dataset.n_samples, "float32", rows_per_shard=100)
    crops = CropSource(torch.clone, dataset, batch_size=2, num_workers=0)
    broken = dataset.source_of(1).path
    broken.write_text("not audio")
    (vectors,) = crops.vectors(list(layout.shards), layout=layout, on_rows=lambda _: None)
    assert np.array_equal(vectors[1], dataset[SampleKey(1, 0, 0)][0].numpy())
    assert [each for each in caplog.messages if each.startswith(f"{broken}: cannot be decoded")] == caplog.messages[-1:]
    for index in np.flatnonzero(dataset.classes == dataset.classes[1]):
        dataset.source_of(int(index)).path.write_text("not audio")
    with pytest.raises(DataError, match="nothing of the speaker can be read: .*cannot be decoded") as caught:
        list(crops.vectors(list(layout.shards), layout=layout, on_rows=lambda _: None))
    assert caught.value.where == dataset.utterance_id(1)
