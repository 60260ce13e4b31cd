"""Bytes counted by hand, and predictions against the bytes of a larger batch."""

import pytest
import torch
from torch import nn

from mrlspk.config import load_config
from mrlspk.config.architecture import describe_architecture
from mrlspk.models.encoder import build_encoder
from mrlspk.training.memory_probe import MIB, fit_line
from mrlspk.training.probe_step import build_probe_step
from mrlspk.training.saved_memory import LiveBytes, SavedBytes, count_step, predict_memory
from mrlspk.training.start import build_fabric

SETTINGS = (
    "model.pretrained.use_pretrained=false",
    "model.backbone={F: 24, C: 8, stages_setup: [[1, 1, 1, [[3, 3]], null], [2, 1, 1, [[3, 3]], 12]], hop_length: 240}",
    "model.matryoshka_dims=[8, 16]",
    "data.chunk_duration=1.0",
    "hardware.device=cpu",
)


@pytest.fixture
def build_step():
    def build(*overrides, n_speakers=50):
        config = load_config(None, [*SETTINGS, *overrides])
        encoder = build_encoder(describe_architecture(config.model.backbone, config.model.matryoshka_dims))
        return build_probe_step(config, build_fabric(config.hardware), encoder, n_speakers=n_speakers)

    return build


FULL, HEAD_ONLY = "training.freeze_backbone_epochs=0", "training.freeze_backbone_epochs=null"


def test_saved_bytes_are_counted_once_and_without_parameters():
    weight, x = nn.Parameter(torch.ones(10, 20)), torch.ones(5, 10)
    saved = SavedBytes([weight])
    with saved:
        y = x @ weight  # keeps x, 200 bytes, and the weight
        z = y.exp()  # keeps z, 400 bytes
        (z * z).sum().backward()  # keeps z, which is known
    assert saved.total == 200 + 400


def test_live_bytes_rise_and_fall_with_the_tensors():
    x = torch.ones(100)
    live = LiveBytes([x])
    with live:
        y = x + 1  # 400 bytes
        z = y.view(10, 10) * 2  # 400 more; the view is none
        del y
        first = live.take_peak()
        z.add_(1)
        second = live.take_peak()
        w = torch.ones(300)  # 1,200 more
        del z, w
        third = live.take_peak()
    assert (first, second, third, live.take_peak()) == (800, 400, 1600, 0)


@pytest.mark.parametrize("frozen", [FULL, HEAD_ONLY])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_two_batch_sizes_predict_a_third_within_two_per_cent(build_step, frozen, precision):
    step = build_step(frozen, f"hardware.precision={precision}")
    model, points = predict_memory(step, (2, 4))
    resident = sum(tensor.nbytes for tensor in step.resident())
    counted = count_step(step, 12)
    saved = fit_line([(point.batch, point.saved_mib) for point in points])
    assert saved.fixed_mib + 12 * saved.mib_per_crop == pytest.approx(counted.saved / MIB, rel=0.02)
    peak = resident + max(counted.peaks)
    assert model.peak_mib(12) == pytest.approx(peak / MIB, rel=0.02)


def test_a_frozen_backbone_saves_next_to_nothing_and_needs_far_less(build_step):
    full, head_only = (predict_memory(build_step(frozen)) for frozen in (FULL, HEAD_ONLY))
    assert head_only[1][1].saved_mib < full[1][1].saved_mib / 20
    assert head_only[0].peak_mib(64) < full[0].peak_mib(64) / 2


def test_a_step_counts_no_less_than_autograd_saves(build_step):
    counted = count_step(build_step(FULL), 4)
    assert max(counted.peaks) > counted.saved > 0.9 * counted.peaks[0]


def test_what_stays_between_steps_is_weights_buffers_and_two_states_of_adamw(build_step):
    step = build_step(HEAD_ONLY)
    step.take(2)
    trained = sum(p.nbytes for p in step.module.parameters() if p.requires_grad)
    held = sum(t.nbytes for t in [*step.module.parameters(), *step.module.buffers()])
    n_trained = sum(p.requires_grad for p in step.module.parameters())
    assert sum(tensor.nbytes for tensor in step.resident()) == held + 2 * trained + 4 * n_trained  # and a step counter


def test_class_weights_are_part_of_what_stays(build_step):
    few, many = (predict_memory(build_step(HEAD_ONLY, n_speakers=n))[0] for n in (50, 20_050))
    matrix = 20_000 * 16 * 4 / MIB
    assert many.peak_mib(2) - few.peak_mib(2) > 4 * matrix  # the weights, their gradient, two states of AdamW


def test_a_backbone_that_is_frozen_only_at_first_is_probed_unfrozen(build_step):
    thawed = build_step("training.num_epochs=3", "training.freeze_backbone_epochs=2")
    never = build_step("training.num_epochs=3", "training.freeze_backbone_epochs=3")
    assert all(parameter.requires_grad for parameter in thawed.module.encoder.backbone.parameters())
    assert not any(parameter.requires_grad for parameter in never.module.encoder.backbone.parameters())


def test_triplets_are_probed_with_crops_of_one_speaker_side_by_side(build_step):
    step = build_step("loss.type=Triplet", "data.sampler=speaker_balanced", "data.utterances_per_speaker=2")
    step.take(4)
    assert step.crops_per_speaker == 2
