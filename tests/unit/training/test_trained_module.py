"""Frozen and trained parts of a module, in every recipe."""

from dataclasses import dataclass

import pytest
import torch
from torch import nn

from mrlspk.config import load_config
from mrlspk.config.architecture import ReDimNetConfig, describe_architecture
from mrlspk.data.augmentation.steps import Augmentation
from mrlspk.data.build import build_crops, place_augmentation
from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.data.crops.dataset import CropDataset
from mrlspk.data.crops.loader import WatchedLoader
from mrlspk.data.crops.sampler import RankBatches, ShuffleSampler
from mrlspk.errors import ConfigError
from mrlspk.losses.build import build_loss
from mrlspk.models.encoder import build_encoder
from mrlspk.training.device_batches import DeviceBatches
from mrlspk.training.network.lora import has_adapters
from mrlspk.training.network.module import AdaptedModule, NetworkModule, build_network_module
from mrlspk.training.optimiser import build_optimiser
from mrlspk.training.step import _split

BACKBONE = ReDimNetConfig(
    F=8, C=4, block_1d_type="conv+att", group_divisor=2, stages_setup=((2, 1, 2, ((3, 3),), 2),), out_channels=8
)
STATISTICS = "running_mean", "running_var", "num_batches_tracked"


def build(*overrides):
    config = load_config(None, ["training.learning_rate=0.1", "loss.margin_shares={}", *overrides])
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = build_encoder(describe_architecture(BACKBONE, (4, 8), output_norm=True))
        criterion = build_loss(config.loss, dims=(4, 8), weights=(1, 1), n_speakers=4)
        module = build_network_module(config, encoder, criterion)
    return module, build_optimiser(config, encoder, criterion)


def moved_by_two_steps(module, optimiser, *, backbone_frozen):
    """Return the entries of the encoder that two steps have changed."""
    module.set_mode(backbone_frozen=backbone_frozen)
    before = {name: values.clone() for name, values in module.encoder.state_dict().items()}
    generator = torch.Generator().manual_seed(1)
    for _ in range(2):
        optimiser.zero_grad(set_to_none=True)
        module(torch.randn(4, 6000, generator=generator), torch.arange(4)).total.backward()
        optimiser.step()
    return {name for name, values in module.encoder.state_dict().items() if not torch.equal(values, before[name])}


def is_statistic(name):
    return name.endswith(STATISTICS)


def test_freeze_norm_statistics_keeps_statistics_and_trains_weights():
    module, optimiser = build("training.freeze_backbone_epochs=0", "training.freeze_norm_statistics=true")
    moved = moved_by_two_steps(module, optimiser, backbone_frozen=False)
    assert not any(map(is_statistic, moved))
    norms = [n for n, part in module.encoder.named_modules() if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d)]
    assert len(norms) == 9  # of the 2-D block, the squeeze, four 1-D blocks, the final convolution, head in and out
    assert {f"{name}.weight" for name in norms} <= moved


def test_statistics_follow_the_speech_unless_kept():
    module, optimiser = build("training.freeze_backbone_epochs=0")
    moved = moved_by_two_steps(module, optimiser, backbone_frozen=False)
    assert {name for name in module.encoder.state_dict() if is_statistic(name)} <= moved


def test_kept_statistics_give_the_forward_pass_of_evaluation():
    module, _ = build("training.freeze_backbone_epochs=0", "training.freeze_norm_statistics=true")
    waveform = torch.randn(3, 6000)
    module.set_mode(backbone_frozen=False)
    training = module.encoder(waveform)
    assert torch.allclose(training, module.encoder.eval()(waveform), atol=1e-6)


def test_adapter_run_changes_adapters_and_head_only():
    module, optimiser = build("training.lora={rank: 2, dropout: 0.1}")
    assert isinstance(module, AdaptedModule)
    moved = moved_by_two_steps(module, optimiser, backbone_frozen=True)
    assert moved == {name for name in module.encoder.state_dict() if ".lora_" in name or name.startswith("head.")}
    assert not has_adapters(module.current_encoder())


def test_adapter_entries_restore_the_module_bit_for_bit():
    module, optimiser = build("training.lora={rank: 2}")
    moved_by_two_steps(module, optimiser, backbone_frozen=True)
    contents = {"model": module.current_encoder().state_dict()} | module.entries()
    again, _ = build("training.lora={rank: 2}")
    again.load_entries(contents)
    expected = module.state_dict()
    assert all(torch.equal(values, expected[name]) for name, values in again.state_dict().items())


@pytest.mark.parametrize("overrides", [[], ["training.lora={rank: 2}"]])
def test_width_choice_resumes_from_a_checkpoint(overrides):
    def drawn(module, n_steps):
        return [tuple(module.criterion(torch.ones(2, 8), torch.tensor([0, 1])).by_dim) for _ in range(n_steps)]

    first, again, old = (build("loss.n_dims_per_step=1", "head.start_decay=0", *overrides)[0] for _ in range(3))
    drawn(first, 7)
    contents = {"model": first.current_encoder().state_dict()} | first.entries()
    again.load_entries(contents)
    assert drawn(again, 20) == drawn(first, 20)
    old.load_entries({name: entry for name, entry in contents.items() if name != "draws"})


def test_without_adapters_the_module_is_the_plain_one(tmp_path):
    module, _ = build("training.freeze_backbone_epochs=0")
    assert type(module) is NetworkModule
    module.save_beside_best(tmp_path, describe_architecture(BACKBONE, (4, 8)))
    assert not list(tmp_path.iterdir())


@dataclass(frozen=True)
class Gains(Augmentation):
    """A gain that the worker draws and the device applies."""

    def prepare(self, waveform, rng):
        return waveform, torch.tensor(rng.uniform(0.1, 10.0), dtype=torch.float32)

    def finish(self, waveforms, gains):
        assert not torch.is_grad_enabled()
        return waveforms * gains[:, None]


@pytest.mark.parametrize("n_workers", [0, 2])
def test_extras_of_an_augmentation_reach_the_device_with_their_crops(tiny_corpus, n_workers):
    dataset = CropDataset(scan_corpus(tiny_corpus), crop_seconds=0.4, seed=0, augmentation=Gains(()))
    order = RankBatches(ShuffleSampler(len(dataset), seed=0), batch_size=4)
    loader = WatchedLoader(dataset, order, num_workers=n_workers)
    batch = next(DeviceBatches(loader, torch.device("cpu")))
    loader.close()
    expected = [dataset[key] for key in next(iter(order))]
    assert [gain.item() for gain in batch[2]] == [gain.item() for _, _, gain in expected]
    module, _ = build("training.freeze_backbone_epochs=0")
    for number, part in enumerate(_split(batch, 2)):
        own = expected[2 * number : 2 * number + 2]
        finished, classes = torch.stack([crop * gain for crop, _, gain in own]), torch.tensor([c for _, c, _ in own])
        module.augmentation = None
        without = module(finished, classes).total
        module.augmentation = dataset.augmentation
        assert torch.equal(module(*part).total, without)


@pytest.mark.parametrize("n_workers", [0, 2])
def test_crops_augmented_on_the_device_train_as_those_of_workers(tiny_corpus, shared, n_workers):
    config = load_config(
        None,
        [
            "training.freeze_backbone_epochs=0",
            "data.chunk_duration=0.4",
            f"data.musan_dataset={shared / 'speech/musan'}",
            f"data.rir_dataset={shared / 'speech/rirs'}",
            "data.spec_augment_probability=0.9",
            "data.codecs=[mulaw]",
            "data.codec_probability=0.2",
        ],
    )
    losses, waveforms = [], []
    for device in ("cpu", "cuda"):
        dataset = build_crops(scan_corpus(tiny_corpus), config.data, seed=0)
        dataset.augmentation = dataset.augmentation.on(torch.device(device))
        order = RankBatches(ShuffleSampler(len(dataset), seed=0), batch_size=8)
        loader = WatchedLoader(dataset, order, num_workers=n_workers)
        batch = next(iter(loader))
        loader.close()
        assert len(batch) == (7 if device == "cuda" else 4)
        module, _ = build("training.freeze_backbone_epochs=0")
        module.set_mode(backbone_frozen=False)
        module.augmentation = dataset.augmentation
        losses.append(module(*batch).total.item())
        waveforms.append(dataset.augmentation.finish(batch[0], *batch[2:]))
        module.augmentation = None
        assert module(waveforms[-1], batch[1]).total.item() != pytest.approx(losses[-1], abs=1e-4)  # without masks
    assert (waveforms[0] - waveforms[1]).abs().max() < 1e-5
    assert losses[1] == pytest.approx(losses[0], rel=1e-3)


def test_augmentation_on_a_gpu_is_refused_without_one(tiny_corpus):
    config = load_config(None, ["data.augmentation_device=cuda", "training.freeze_backbone_epochs=0"])
    dataset = build_crops(scan_corpus(tiny_corpus), config.data, seed=0)
    with pytest.raises(ConfigError, match=r"data\.augmentation_device.*device is cpu"):
        place_augmentation(dataset, config.data, torch.device("cpu"))
    auto = config.data.model_copy(update={"augmentation_device": "auto"})
    assert not place_augmentation(dataset, auto, torch.device("cpu")).on_device
    assert place_augmentation(dataset, auto, torch.device("cuda")).on_device
    assert dataset.augmentation.on_device
