import numpy as np
import pytest
import torch

from mrlspk.config.data import DataConfig
from mrlspk.data.augmentation.build import build_augmentation
from mrlspk.data.augmentation.effects import Effects
from mrlspk.data.augmentation.on_device import apply_to_batch, as_tensors
from noise_recordings import MUSAN, noise, tone, write_tree


@pytest.fixture
def config(tmp_path, shared):
    musan = write_tree(tmp_path / "musan", {path: noise(20_000, seed).numpy() for seed, path in enumerate(MUSAN)})
    return DataConfig(
        musan_dataset=musan,
        rir_dataset=shared / "speech/rirs",
        codec_probability=0.2,
        codecs=("mulaw",),
        telephone_probability=0.1,
    )


def test_batches_on_the_device_equal_crops_of_the_decoding_process(config):
    augmentation = build_augmentation(config)
    deferred = augmentation.on(torch.device("cuda"))
    assert augmentation.on(torch.device("cpu")) == augmentation
    crops = [noise(16_000, seed) * 0.5 for seed in range(40)]
    expected = [augmentation(crop, np.random.default_rng([1, seed])) for seed, crop in enumerate(crops)]
    prepared = [deferred.prepare(crop, np.random.default_rng([1, seed])) for seed, crop in enumerate(crops)]
    drawn = [augmentation.draw(16_000, np.random.default_rng([1, seed])) for seed in range(40)]
    assert sum(effects.response is not None for effects in drawn) > 10
    assert sum(effects.noise is not None for effects in drawn) > 10
    assert sum(bool(effects.transmissions) for effects in drawn) > 3
    batch = deferred.finish(*(torch.stack(each) for each in zip(*prepared, strict=True)))
    assert (batch - torch.stack(expected)).abs().max() < 1e-5
    assert [torch.equal(crop, each) for crop, each in zip(crops, expected, strict=True)].count(True) < 8


def test_neutral_effects_leave_a_batch_bit_for_bit():
    crops = torch.stack([noise(1_000), torch.zeros(1_000), torch.from_numpy(tone(200, 1_000))])
    neutral = [torch.stack(each) for each in zip(*[as_tensors(Effects(), 1_000)] * 3, strict=True)]
    assert torch.equal(apply_to_batch(crops, *neutral), crops)
