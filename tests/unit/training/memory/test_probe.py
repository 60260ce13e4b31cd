"""Steps on random waveforms that fail half-way, and what is left of them."""

import gc
import weakref
from functools import partial

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision.amp import MixedPrecision

from factories import TINY_SETTINGS
from fake_gpu import FakeGpu
from mrlspk.config import load_config
from mrlspk.config.architecture import describe_architecture
from mrlspk.models.encoder import build_encoder
from mrlspk.training.memory import probe as module
from mrlspk.training.memory.gpu_search import measure_on_gpu
from mrlspk.training.memory.probe import build_train_probe

CONFIG = load_config(
    None,
    [*TINY_SETTINGS, "data.chunk_duration=0.2"],
)


def encoder_of(config=CONFIG):
    torch.manual_seed(0)
    return build_encoder(describe_architecture(config.model.backbone, config.model.matryoshka_dims))


@pytest.fixture
def probe():
    return build_train_probe(CONFIG, encoder_of(), device=torch.device("cpu"), n_speakers=5)


class Fault:
    """Runs out of memory once it is armed; it follows what was alive then."""

    def __init__(self):
        self.armed, self.activations = False, []

    def __call__(self, *arguments):
        for value in arguments:
            self.activations += [weakref.ref(value)] if isinstance(value, torch.Tensor) else []
        if self.armed:
            raise torch.OutOfMemoryError("no room")


def in_forward(probe, fault):
    probe.module.encoder.pool.register_forward_hook(lambda _module, _inputs, output: fault(output))


def in_backward(probe, fault):
    def mark(_module, _inputs, output):
        fault.activations.append(weakref.ref(output))
        output.register_hook(lambda gradient: fault(gradient))

    probe.module.encoder.pool.register_forward_hook(mark)


def in_optimiser(probe, fault):
    probe.module.encoder.pool.register_forward_hook(
        lambda _module, _inputs, output: fault.activations.append(weakref.ref(output))
    )
    probe.optimiser.optimizer.register_step_pre_hook(lambda *_: fault())


@pytest.mark.slow
@pytest.mark.parametrize("inject", [in_forward, in_backward, in_optimiser])
def test_step_that_runs_out_of_memory_keeps_only_resident_tensors(probe, inject, monkeypatch):
    FakeGpu(1000, tick=1.0).install(monkeypatch, collects=True)
    fault = Fault()
    inject(probe, fault)
    measure = partial(measure_on_gpu, probe)
    assert measure(2) is not None
    resident = {tensor.untyped_storage().data_ptr() for tensor in probe.resident()}
    fault.armed = True
    gc.disable()
    try:
        assert measure(4) is None
        assert fault.activations
        assert [ref for ref in fault.activations if ref() is not None] == []
    finally:
        gc.enable()
    assert all(parameter.grad is None for parameter in probe.module.parameters())
    assert {tensor.untyped_storage().data_ptr() for tensor in probe.resident()} == resident
    fault.armed = False
    assert measure(2) is not None


def test_batch_that_does_not_fit_is_not_split(probe):
    fault, sizes = Fault(), []
    in_forward(probe, fault)
    probe.module.encoder.register_forward_pre_hook(lambda _module, inputs: sizes.append(len(inputs[0])))
    fault.armed = True
    with pytest.raises(torch.OutOfMemoryError):
        probe.take(8)
    assert sizes == [8]


def test_first_step_is_not_skipped_for_a_loss_scale(monkeypatch):
    precision = MixedPrecision("bf16-mixed", "cpu")  # every CPU has bf16; fp16 on a GPU has a scale
    precision.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**127)  # with it the first gradients are infinite
    fabric = Fabric(accelerator="cpu", devices=1, plugins=precision)
    monkeypatch.setattr(module, "fabric_of_one", lambda *_arguments: fabric)
    probe = build_train_probe(CONFIG, encoder_of(), device=torch.device("cpu"), n_speakers=5)
    probe.take(2)
    assert len(probe.optimiser.state) > 0


def test_kernels_are_searched_for_during_a_pass_only(probe):
    seen = []
    probe.module.register_forward_pre_hook(lambda *_: seen.append(torch.backends.cudnn.benchmark))
    for probe.searched in (False, True):
        probe.take(2)
    assert seen == [False, True]
    assert not torch.backends.cudnn.benchmark
