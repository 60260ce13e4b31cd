"""Bytes counted by hand, and predictions against what a larger batch allocates."""

import pytest
import torch
from torch import nn
from torch.autograd.profiler import profile

from mrlspk.config import load_config
from mrlspk.config.architecture import describe_architecture
from mrlspk.models.encoder import build_encoder
from mrlspk.models.parts import constants
from mrlspk.training.device_memory import MIB
from mrlspk.training.memory.prediction import count_pass, peak_bytes, predict, predict_memory
from mrlspk.training.memory.probe import build_pooling_probe, build_train_probe

SETTINGS = (
    "model.pretrained.use_pretrained=false",
    "model.backbone={F: 24, C: 8, stages_setup: [[1, 1, 1, [[3, 3]], null], [2, 1, 1, [[3, 3]], 12]], hop_length: 240}",
    "model.matryoshka_dims=[8, 16]",
    "data.chunk_duration=1.0",
    "hardware.device=cpu",
)

FULL, HEAD_ONLY = "training.freeze_backbone_epochs=0", "training.freeze_backbone_epochs=null"
CPU = torch.device("cpu")


def configured(*overrides):
    config = load_config(None, [*SETTINGS, *overrides])
    return config, build_encoder(describe_architecture(config.model.backbone, config.model.matryoshka_dims))


@pytest.fixture
def build_step():
    def build(*overrides, n_speakers=50, **options):
        config, encoder = configured(*overrides)
        return build_train_probe(config, encoder, device=CPU, n_speakers=n_speakers, **options)

    return build


@pytest.fixture
def build_pass():
    def build(*overrides):
        config, encoder = configured(HEAD_ONLY, *overrides)
        return build_pooling_probe(config, encoder, device=CPU)

    return build


class Product:
    """A pass of known size: a weight of 800 bytes stays, and each crop makes three tensors of 4,000 bytes."""

    device = CPU

    def __init__(self):
        self.weight = nn.Parameter(torch.ones(200))

    def take(self, batch_size):
        x = torch.empty(5 * batch_size, 200, requires_grad=True)
        y = x * self.weight  # saves x and the weight
        z = y.exp()  # saves z
        del x, y, z

    def forget(self):
        pass

    def resident(self):
        yield self.weight


def test_peak_is_what_is_alive_at_once():
    with profile(profile_memory=True) as record:
        first = torch.empty(100)  # 400 bytes
        second = torch.empty(200)  # 800 more
        del first
        third = torch.empty(300)  # 1,200 more
        del second, third
        torch.empty(10)
    assert peak_bytes(record) == 2000


def test_pass_counts_resident_tensors_allocations_and_what_autograd_saves():
    point = count_pass(Product(), 5)
    assert point.peak_mib * MIB == 800 + 3 * 4000 * 5
    assert point.saved_mib * MIB == 2 * 4000 * 5


def test_prediction_has_a_margin_over_what_was_allocated():
    line, points = predict_memory(Product())
    assert [point.batch for point in points] == [2, 4]
    assert line.peak_mib(100) * MIB == pytest.approx(1.2 * (800 + 3 * 4000 * 100))


@pytest.mark.parametrize(
    "overrides",
    [(FULL,), (HEAD_ONLY,), (FULL, "hardware.precision=bf16"), (FULL, "hardware.gradient_checkpointing=true")],
)
def test_prediction_errs_on_the_safe_side_by_less_than_a_third(build_step, overrides):
    step = build_step(*overrides)
    line, _ = predict_memory(step)
    assert 1 <= line.peak_mib(48) / count_pass(step, 48).peak_mib < 1.3


@pytest.mark.parametrize("precision", ["fp32", "bf16", "fp16"])
def test_prediction_without_gradients_errs_on_the_safe_side(build_pass, precision):
    probe = build_pass(f"hardware.precision={precision}")
    line, points = predict_memory(probe)
    counted = count_pass(probe, 48)
    assert (counted.saved_mib, [point.saved_mib for point in points]) == (0, [0, 0])
    assert 1 <= line.peak_mib(48) / counted.peak_mib < 1.3


def test_frozen_backbone_needs_far_less_memory(build_step):
    full, head_only = (predict_memory(build_step(frozen)) for frozen in (FULL, HEAD_ONLY))
    assert head_only[1][1].saved_mib < full[1][1].saved_mib / 20
    assert head_only[0].peak_mib(64) < full[0].peak_mib(64)


def test_pooling_probe_runs_in_inference_and_evaluation_mode(build_pass):
    probe, seen = build_pass(), []
    norms = [module for module in probe.module.backbone.modules() if isinstance(module, nn.BatchNorm2d)]
    probe.module.backbone.register_forward_hook(lambda *_: seen.append(torch.is_inference_mode_enabled()))
    probe.take(3)
    assert seen == [True]
    assert norms
    assert not any(norm.training or norm.num_batches_tracked for norm in norms)


def test_pooling_needs_less_memory_than_a_step_of_the_head(build_step, build_pass):
    of_step, of_pass = (predict_memory(probe)[0].peak_mib(64) for probe in (build_step(HEAD_ONLY), build_pass()))
    assert of_pass < of_step


def test_prediction_is_the_largest_round_batch_that_fits(build_step):
    found = predict(build_step(FULL), limit_mib=1536)
    assert found.gpu.free_mib == 1536 - 512
    usable = 0.9 * (1536 - 512)
    assert found.batch % 8 == 0
    assert found.peak_mib(found.batch) <= usable < found.line.peak_mib(found.batch + 8)


def test_gradient_checkpointing_saves_less(build_step):
    kept, anew = (
        predict_memory(build_step(FULL, f"hardware.gradient_checkpointing={value}")) for value in ("false", "true")
    )
    assert anew[1][1].saved_mib < kept[1][1].saved_mib
    assert anew[0].peak_mib(64) < kept[0].peak_mib(64)


def test_several_processes_hold_gradients_twice(build_step):
    one, two = build_step(FULL), build_step(FULL, n_processes=2)
    trained = sum(p.nbytes for p in one.module.parameters() if p.requires_grad)
    held = [sum(tensor.nbytes for tensor in probe.resident()) for probe in (one, two)]
    assert held[1] - held[0] == trained


def test_prediction_compiles_nothing(build_step):
    probe = build_step(FULL, "hardware.compile=true")
    assert not probe.compiled
    assert not probe.module.encoder.backbone.calls.compiled
    probe.take(2)


def test_peak_is_at_least_what_autograd_saves(build_step):
    step = build_step(FULL)
    step.take(2)
    counted = count_pass(step, 4)
    assert counted.peak_mib > counted.saved_mib > 0.6 * counted.peak_mib


def test_resident_memory_is_weights_buffers_and_adamw_states(build_step):
    step = build_step(HEAD_ONLY)
    step.take(2)
    trained = sum(p.nbytes for p in step.module.parameters() if p.requires_grad)
    held = sum(t.nbytes for t in [*step.module.parameters(), *step.module.buffers()])
    n_trained = sum(p.requires_grad for p in step.module.parameters())
    assert sum(tensor.nbytes for tensor in step.resident()) == held + 2 * trained + 4 * n_trained  # and a step counter


def test_classifier_weights_are_resident(build_step):
    few, many = (predict_memory(build_step(HEAD_ONLY, n_speakers=n))[0] for n in (50, 20_050))
    matrix = 20_000 * 16 * 4 / MIB
    assert many.peak_mib(2) - few.peak_mib(2) > 4 * matrix  # the weights, their gradient, two states of AdamW


def test_backbone_frozen_only_at_first_is_probed_unfrozen(build_step):
    thawed = build_step("training.num_epochs=3", "training.freeze_backbone_epochs=2")
    never = build_step("training.num_epochs=3", "training.freeze_backbone_epochs=3")
    encoder = thawed.module.encoder
    fixed = {parameter for parameter in encoder.backbone.parameters() if not parameter.requires_grad}
    assert fixed == set(constants(encoder))
    assert not any(parameter.requires_grad for parameter in never.module.encoder.backbone.parameters())


def test_triplet_probe_keeps_crops_of_one_speaker_together(build_step):
    step = build_step("loss.type=Triplet", "data.sampler=speaker_balanced", "data.utterances_per_speaker=2")
    speakers = []
    step.module.register_forward_pre_hook(lambda _module, inputs: speakers.extend(inputs[1].tolist()))
    step.take(4)
    assert speakers == [0, 0, 1, 1]
