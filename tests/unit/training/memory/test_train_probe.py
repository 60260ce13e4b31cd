"""Steps on random waveforms that fail half-way, and what is left of them."""

import gc
import weakref

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins.precision.amp import MixedPrecision

from factories import TINY_SETTINGS
from fake_gpu import FakeGpu
from mrlspk.config import load_config
from mrlspk.config.architecture import describe_architecture
from mrlspk.errors import MrlspkError
from mrlspk.losses.build import build_loss
from mrlspk.models.encoder import build_encoder
from mrlspk.training.memory.gpu_search import measure_on_gpu
from mrlspk.training.memory.train_probe import TrainProbe, build_train_probe
from mrlspk.training.trained_module import TrainedModule

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
    measure = measure_on_gpu(probe)
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


def scaled_probe(scale):
    """A step with a loss scale, as fp16 has on a GPU; the network stays in bf16, which every CPU has."""
    precision = MixedPrecision("bf16-mixed", "cpu")
    precision.scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    fabric = Fabric(accelerator="cpu", devices=1, plugins=precision)
    encoder = encoder_of()
    criterion = build_loss(CONFIG.loss, dims=(4, 8), weights=(1, 1), n_speakers=5)
    module = TrainedModule(encoder, criterion)
    options = {"n_samples": 3200, "crops_per_speaker": 1, "n_speakers": 5, "max_grad_norm": 1.0}
    return TrainProbe(fabric, module, torch.optim.AdamW(module.parameters()), **options)


def test_begin_lowers_the_loss_scale_until_the_optimiser_steps():
    probe = scaled_probe(2.0**127)  # the largest of float32: the first gradients are infinite
    probe.take(2)
    assert len(probe.optimiser.state) == 0
    probe.begin(2)
    assert len(probe.optimiser.state) > 0


def test_gradients_that_are_never_finite_raise():
    probe = scaled_probe(2.0**120)
    with torch.no_grad():
        probe.module.encoder.head.linear.weight.fill_(float("nan"))
    with pytest.raises(MrlspkError, match="had a finite gradient"):
        probe.begin(2)


def test_step_after_a_failure_past_unscaling_is_complete():
    probe, fault = scaled_probe(1.0), Fault()
    probe.begin(2)
    step = probe.optimiser.optimizer.step
    probe.optimiser.optimizer.step = lambda *arguments, **options: fault() or step(*arguments, **options)
    fault.armed = True
    with pytest.raises(torch.OutOfMemoryError):
        probe.take(2)
    fault.armed = False
    probe.forget()
    before = probe.module.encoder.head.linear.weight.detach().clone()
    probe.take(2)
    assert not torch.equal(before, probe.module.encoder.head.linear.weight)


def test_forget_before_any_step_changes_nothing():
    probe = scaled_probe(8.0)
    probe.forget()
    assert probe.fabric.strategy.precision.scaler.get_scale() == 8
