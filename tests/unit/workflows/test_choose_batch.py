"""What auto comes to, on made-up GPUs."""

import gc
import logging
import weakref
from dataclasses import dataclass, replace

import pytest
import torch

from made_up_card import MadeUpCard, MadeUpProbe
from mrlspk.config import load_config
from mrlspk.distributed import ALONE, Ranks
from mrlspk.errors import ConfigError, MrlspkError
from mrlspk.workflows import choose_batch as module
from mrlspk.workflows.choose_batch import choose_batch

GPU = MadeUpProbe.device
NETWORK = "training.freeze_backbone_epochs=0"


@dataclass(frozen=True)
class MadeUpRanks(Ranks):
    """Processes that find the same but for the batch; ``batches`` are those of the others, ``shared`` the first's."""

    batches: tuple[int, ...] = ()
    shared: tuple[int, int] | None = None

    def broadcast(self, value):
        return value if self.is_first else self.shared

    def all_gather(self, value):
        return [value, *(replace(value, batch=batch) for batch in self.batches)]

    def barrier(self):
        return None


ONE_GPU = MadeUpRanks(device=GPU)


def auto(*overrides):
    return load_config(None, [NETWORK, "training.batch_size=auto", *overrides])


def choose(config, tmp_path, ranks=ONE_GPU):
    return choose_batch(config, cache_dir=tmp_path, ranks=ranks).training


@pytest.fixture
def card(monkeypatch):
    """A GPU with room for 90 crops: 88 in a round batch."""
    card = MadeUpCard(10_000).install(monkeypatch)
    monkeypatch.setattr(module, "build_probe", lambda *_arguments, **_options: MadeUpProbe(card, per_crop=100))
    monkeypatch.setattr(module, "_count", lambda _config: (5994, 100_000))
    return card


def test_a_batch_that_is_named_stays(tmp_path):
    config = load_config(None, [NETWORK, "training.batch_size=48"])
    assert choose_batch(config, cache_dir=tmp_path) is config


@pytest.mark.usefixtures("card")
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
def test_auto_is_the_largest_batch_that_fits_or_makes_the_target(overrides, expected, tmp_path):
    training = choose(auto(*overrides), tmp_path)
    assert (training.batch_size, training.accumulation_steps) == expected
    assert training.target_batch is None  # what was asked for is done: the configuration can be loaded again


@pytest.mark.usefixtures("card")
@pytest.mark.parametrize(("target", "expected"), [("null", (64, 1)), ("512", (64, 2))])
def test_the_process_with_the_least_room_decides_for_all(target, expected, tmp_path):
    ranks = MadeUpRanks(world_size=4, device=GPU, batches=(88, 64, 72))
    training = choose(auto(f"training.target_batch={target}"), tmp_path, ranks)
    assert (training.batch_size, training.accumulation_steps) == expected


@pytest.mark.usefixtures("card")
def test_a_process_without_room_is_an_error_in_all(tmp_path):
    with pytest.raises(MrlspkError, match="not even a batch of 2"):
        choose(auto(), tmp_path, MadeUpRanks(world_size=2, device=GPU, batches=(0,)))


@pytest.mark.usefixtures("card")
def test_no_batch_is_larger_than_an_epoch(monkeypatch, tmp_path):
    monkeypatch.setattr(module, "_count", lambda _config: (5, 50))
    assert choose(auto(), tmp_path).batch_size == 50
    assert choose(auto(), tmp_path, MadeUpRanks(world_size=2, device=GPU, batches=(88,))).batch_size == 25


@pytest.mark.usefixtures("card")
def test_what_was_chosen_is_logged_once(caplog, tmp_path):
    caplog.set_level(logging.INFO, "mrlspk.training")
    choose(auto("training.target_batch=512"), tmp_path)
    assert [record.getMessage() for record in caplog.records if "auto" in record.getMessage()] == [
        "training.batch_size auto: 86 in each of 1 processes, times 6; fit: 8800 MiB at 88, 9000 may be taken"
    ]
    caplog.clear()
    choose(auto(), tmp_path, MadeUpRanks(rank=1, world_size=2, device=GPU, batches=(88,), shared=(5994, 100_000)))
    assert not [record for record in caplog.records if "auto" in record.getMessage()]


def test_without_a_gpu_auto_is_an_error_that_names_the_command(tmp_path):
    with pytest.raises(ConfigError, match="the device is cpu") as caught:
        choose_batch(auto(), cache_dir=tmp_path, ranks=ALONE)
    assert "gpu-profile --vram-limit" in str(caught.value)


@pytest.mark.parametrize(
    ("overrides", "size", "expected"),
    [((), 1, (512, 1)), ((), 4, (512, 1)), (("training.target_batch=1024",), 4, (256, 1))],
)
def test_stored_vectors_need_no_gpu(overrides, size, expected, monkeypatch, tmp_path):
    monkeypatch.setattr(module, "_count", lambda _config: (5994, 100_000))
    config = load_config(None, ["training.batch_size=auto", *overrides])
    training = choose(config, tmp_path, MadeUpRanks(world_size=size))
    assert (training.batch_size, training.accumulation_steps) == expected


class Weights:
    """Stands for a model on the GPU."""


def test_nothing_is_left_on_the_gpu_and_the_peak_is_forgotten(card, monkeypatch, tmp_path):
    models = []

    class HoldingProbe(MadeUpProbe):
        def __init__(self, *arguments, **options):
            super().__init__(*arguments, **options)
            self.weights = Weights()
            self.weights.probe = self  # a cycle, as hooks make them
            models.append(weakref.ref(self.weights))

    monkeypatch.setattr(module, "build_probe", lambda *_arguments, **_options: HoldingProbe(card, per_crop=100))
    gc.disable()
    try:
        choose(auto(), tmp_path)
        assert [model for model in models if model() is not None] == []
    finally:
        gc.enable()
    assert (card.reserved, card.peak, card.fraction) == (0, 0, 1)


def test_random_numbers_of_the_run_are_not_touched(card, monkeypatch, tmp_path):
    def build(*_arguments, **_options):
        torch.randn(100)
        return MadeUpProbe(card, per_crop=100)

    monkeypatch.setattr(module, "build_probe", build)
    torch.manual_seed(3)
    expected = torch.randn(4)
    torch.manual_seed(3)
    choose(auto(), tmp_path)
    assert torch.equal(torch.randn(4), expected)
