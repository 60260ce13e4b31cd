"""Resolve auto on fake GPUs."""

import gc
import logging
import weakref
from dataclasses import dataclass, replace

import pytest
import torch

from fake_gpu import FakeGpu, FakeProbe
from mrlspk.config import load_config
from mrlspk.distributed import ALONE, Ranks
from mrlspk.errors import ConfigError, MrlspkError
from mrlspk.training.memory import auto_batch as module
from mrlspk.training.memory.auto_batch import check_fits, choose_batch
from mrlspk.training.memory.gpu_search import search_gpu

GPU = FakeProbe.device
NETWORK = "training.freeze_backbone_epochs=0"


@dataclass(frozen=True)
class FakeRanks(Ranks):
    """Processes that find the same but for the batch; ``batches`` are those of the others, ``shared`` the first's."""

    batches: tuple[int, ...] = ()
    shared: tuple[int, int] | None = None

    def broadcast(self, value):
        return value if self.is_first else self.shared

    def all_gather(self, value):
        return [value, *(replace(value, batch=batch) for batch in self.batches)]

    def barrier(self):
        return None


ONE_GPU = FakeRanks(device=GPU)


def auto(*overrides):
    return load_config(None, [NETWORK, "training.batch_size=auto", *overrides])


def choose(config, tmp_path, ranks=ONE_GPU):
    return choose_batch(config, cache_dir=tmp_path, ranks=ranks).training


@pytest.fixture
def gpu(monkeypatch):
    """A GPU with room for 90 crops: 88 in a round batch."""
    gpu = FakeGpu(10_000).install(monkeypatch)
    monkeypatch.setattr(module, "build_probe", lambda *_arguments, **_options: FakeProbe(gpu, per_crop=100))
    monkeypatch.setattr(module, "_count", lambda _config: (5994, 100_000))
    return gpu


def test_numeric_batch_is_returned_unchanged(tmp_path):
    config = load_config(None, [NETWORK, "training.batch_size=48"])
    assert choose_batch(config, cache_dir=tmp_path) is config


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ((), (88, 1)),
        (("training.accumulation_steps=3",), (88, 3)),
        (("training.target_batch=512",), (86, 6)),  # 6 * 88 is the first that reaches it; evenly filled 512 / 6
        (("training.target_batch=40",), (40, 1)),
        (("data.sampler=speaker_balanced", "data.utterances_per_speaker=3"), (87, 1)),
    ],
)
def test_auto_is_the_largest_batch_or_reaches_the_target(overrides, expected, tmp_path):
    training = choose(auto(*overrides), tmp_path)
    assert (training.batch_size, training.accumulation_steps) == expected
    assert training.target_batch is None  # what was asked for is done: the configuration can be loaded again


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize(("target", "expected"), [("null", (64, 1)), ("512", (64, 2))])
def test_smallest_batch_of_all_processes_is_used(target, expected, tmp_path):
    ranks = FakeRanks(world_size=4, device=GPU, batches=(88, 64, 72))
    training = choose(auto(f"training.target_batch={target}"), tmp_path, ranks)
    assert (training.batch_size, training.accumulation_steps) == expected


@pytest.mark.usefixtures("gpu")
def test_batch_that_fits_nowhere_on_one_process_raises_in_all(tmp_path):
    with pytest.raises(MrlspkError, match="not even a batch of 2"):
        choose(auto(), tmp_path, FakeRanks(world_size=2, device=GPU, batches=(0,)))


def test_gpu_too_small_for_any_batch_raises_with_a_fix(monkeypatch):
    gpu = FakeGpu(10_000, others=9000).install(monkeypatch)
    with pytest.raises(
        MrlspkError, match="not even a batch of 2 fits into 10000 MiB .1000 free, 900 usable."
    ) as caught:
        check_fits(auto(), search_gpu(FakeProbe(gpu, fixed=5000)))
    assert "gradient_checkpointing" in str(caught.value)


def test_smallest_batch_holds_the_crops_of_one_speaker(monkeypatch):
    gpu = FakeGpu(1000).install(monkeypatch)
    found = search_gpu(FakeProbe(gpu, per_crop=400))
    check_fits(auto(), found)
    with pytest.raises(MrlspkError, match="not even a batch of 4 fits"):
        check_fits(auto("data.sampler=speaker_balanced", "data.utterances_per_speaker=4"), found)


@pytest.mark.usefixtures("gpu")
def test_batch_is_no_larger_than_an_epoch(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "_count", lambda _config: (5, 50))
    assert choose(auto(), tmp_path).batch_size == 50
    assert choose(auto(), tmp_path, FakeRanks(world_size=2, device=GPU, batches=(88,))).batch_size == 25


@pytest.mark.usefixtures("gpu")
def test_choice_is_logged_by_the_first_process(caplog, tmp_path):
    caplog.set_level(logging.INFO, "mrlspk.training")
    choose(auto("training.target_batch=512"), tmp_path)
    assert [record.getMessage() for record in caplog.records if "auto" in record.getMessage()] == [
        "training.batch_size auto: 86 in each of 1 processes, accumulated 6 times: 88 take 8800 of 9000 usable MiB"
    ]
    caplog.clear()
    choose(auto(), tmp_path, FakeRanks(rank=1, world_size=2, device=GPU, batches=(88,), shared=(5994, 100_000)))
    assert not [record for record in caplog.records if "auto" in record.getMessage()]


def test_auto_without_a_gpu_raises_and_names_gpu_profile(tmp_path):
    with pytest.raises(ConfigError, match="the device is cpu") as caught:
        choose_batch(auto(), cache_dir=tmp_path, ranks=ALONE)
    assert "gpu-profile --vram-limit" in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "size", "expected"),
    [((), 1, (512, 1)), ((), 4, (512, 1)), (("training.target_batch=1024",), 4, (256, 1))],
)
def test_auto_for_stored_vectors_needs_no_gpu(overrides, size, expected, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "_count", lambda _config: (5994, 100_000))
    config = load_config(None, ["training.batch_size=auto", *overrides])
    training = choose(config, tmp_path, FakeRanks(world_size=size))
    assert (training.batch_size, training.accumulation_steps) == expected


class Weights:
    """Stands for a model on the GPU."""


def test_search_frees_the_gpu_and_resets_the_peak(gpu, monkeypatch, tmp_path):
    models = []

    class HoldingProbe(FakeProbe):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.weights = Weights()
            self.weights.probe = self  # a cycle, as hooks make them
            models.append(weakref.ref(self.weights))

    monkeypatch.setattr(module, "build_probe", lambda *_arguments, **_options: HoldingProbe(gpu, per_crop=100))
    gc.disable()
    try:
        choose(auto(), tmp_path)
        assert [model for model in models if model() is not None] == []
    finally:
        gc.enable()
    assert (gpu.reserved, gpu.peak, gpu.fraction) == (0, 0, 1)


def test_search_keeps_the_random_state(gpu, monkeypatch, tmp_path):
    def build(*_arguments, **_options):
        torch.randn(100)
        return FakeProbe(gpu, per_crop=100)

    monkeypatch.setattr(module, "build_probe", build)
    torch.manual_seed(3)
    expected = torch.randn(4)
    torch.manual_seed(3)
    choose(auto(), tmp_path)
    assert torch.equal(torch.randn(4), expected)
