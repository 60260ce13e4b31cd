import copy

import pytest
import torch

from factories import TINY2
from mrlspk.config.architecture import ReDimNet2Config, ReDimNetConfig, describe_architecture
from mrlspk.models.encoder import build_encoder
from mrlspk.models.fingerprint import model_fingerprint

STAGES = ((1, 1, 1, ((3, 3),), 4),)
TINY = ReDimNetConfig(F=8, C=4, stages_setup=STAGES)


def build(backbone=TINY, dims=(4, 8)):
    """An encoder whose weights are all 0.5, whatever its architecture."""
    encoder = build_encoder(describe_architecture(backbone, dims)).eval()
    entries = {name: torch.full_like(values, 1).float() / 2 for name, values in encoder.state_dict().items()}
    encoder.load_state_dict(entries)
    return encoder


def test_fingerprint_is_a_sha256_and_the_same_for_every_build():
    assert model_fingerprint(build()) == model_fingerprint(build())
    assert len(bytes.fromhex(model_fingerprint(build()))) == 32


def numbered(backbone):
    """An encoder whose entries hold 0 to 6 in turn, so that no random number or filter bank decides the fingerprint."""
    encoder = build_encoder(describe_architecture(backbone, (4, 8)))
    for values in encoder.state_dict().values():
        values.copy_((torch.arange(values.numel()) % 7).reshape(values.shape))
    return encoder


@pytest.mark.parametrize(
    ("backbone", "whole", "without_head"),
    [
        (
            ReDimNetConfig(F=8, C=4, block_1d_type="conv+att", stages_setup=((2, 1, 2, ((3, 3),), 2),), out_channels=8),
            "1c5c0c4d8f0bd77f1dcca5a63a6561aedf28d9e3ba2b125efc1abccf1efdc31f",
            "b0ac0b624ebbe7329daf76af73ed4a09d5783e2c285f92d768105d25e31161cc",
        ),
        (
            ReDimNet2Config(
                F=8, C=4, stages_setup=(((2, 2), 1, 2, ((3, 3),), 2),), out_channels=8, pad_right_samples=8000
            ),
            "66060e1e64527df4de75a32e548b86174bffa24894cf17221cccd5fc4ea8b4c8",
            "860e8a43788402865a93abca42ed54725c8febf4452985433b3fa4fff55fb061",
        ),
    ],
)
def test_fingerprint_of_0_1_0_still_holds(backbone, whole, without_head):
    encoder = numbered(backbone)
    assert model_fingerprint(encoder) == whole
    assert model_fingerprint(encoder, without="head") == without_head


def test_fingerprint_depends_on_every_entry_of_the_state_dict():
    encoder = build()
    whole = model_fingerprint(encoder)
    for name, values in encoder.state_dict().items():
        kept = values.clone()
        values.view(-1)[-1] += 1
        assert model_fingerprint(encoder) != whole, name
        values.copy_(kept)
    assert model_fingerprint(encoder) == whole


def test_fingerprint_depends_on_the_precision_of_the_weights():
    assert model_fingerprint(build().double()) != model_fingerprint(build())


def test_memory_format_widths_dropout_and_mode_do_not_matter():
    encoder = build()
    same = model_fingerprint(encoder)
    assert model_fingerprint(copy.deepcopy(encoder).to(memory_format=torch.channels_last)) == same
    assert model_fingerprint(copy.deepcopy(encoder).train()) == same
    assert model_fingerprint(build(dims=(2, 4, 8))) == same
    assert model_fingerprint(build(TINY.model_copy(update={"feat_agg_dropout": 0.2}))) == same


@pytest.mark.parametrize(
    ("backbone", "change"),
    [
        (TINY, {"hop_length": 240}),
        (TINY, {"feat_type": "tf"}),
        (TINY, {"pooling_func": "TAP"}),
        (TINY, {"stages_setup": ((1, 1, 1, ((3, 3),), None),)}),
        (TINY2, {"pad_right_samples": 100}),
        (TINY2, {"before_pool_offset": 1}),
        (TINY2, {"hop_length": 240}),
    ],
)
def test_fingerprint_depends_on_the_architecture_at_equal_weights(backbone, change):
    changed = type(backbone).model_validate(backbone.model_dump() | change)
    assert model_fingerprint(build(changed)) != model_fingerprint(build(backbone))


def test_fingerprint_depends_on_strides_at_equal_weights():
    one = torch.nn.Conv1d(4, 4, 1)
    other = torch.nn.Conv1d(4, 4, 1, stride=2)
    other.load_state_dict(one.state_dict())
    assert model_fingerprint(one) != model_fingerprint(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (torch.nn.BatchNorm1d(4), torch.nn.BatchNorm1d(4, eps=1e-3)),
        (torch.nn.GELU(), torch.nn.GELU("tanh")),
        (torch.nn.GELU(), torch.nn.ReLU()),
        (torch.nn.GroupNorm(2, 4), torch.nn.GroupNorm(4, 4)),
        (torch.nn.Upsample(scale_factor=2), torch.nn.Upsample(scale_factor=2, mode="linear")),
        (torch.nn.Conv1d(4, 4, 3, padding=1), torch.nn.Conv1d(4, 4, 3, padding=1, padding_mode="circular")),
    ],
)
def test_fingerprint_depends_on_the_settings_of_torch_modules(one, other):
    other.load_state_dict(one.state_dict())
    assert model_fingerprint(one) != model_fingerprint(other)


def test_unknown_attributes_of_torch_modules_do_not_matter():
    encoder = build()
    same = model_fingerprint(encoder)
    for module in encoder.modules():
        if type(module).__module__.startswith("torch.nn."):
            module.new_in_another_version = 1
    assert model_fingerprint(encoder) == same
    encoder.pool.new_of_ours = 1
    assert model_fingerprint(encoder) != same


def test_average_and_maximum_pooling_have_other_fingerprints():
    parts = [build(TINY.model_copy(update={"pooling_func": name})) for name in ("TAP", "TSDP", "TMAP")]
    assert len({model_fingerprint(each) for each in parts}) == 3


def test_part_left_out_does_not_change_the_fingerprint():
    encoder, other = build(), build(dims=(4, 6))
    assert model_fingerprint(encoder, without="head") == model_fingerprint(other, without="head")
    assert model_fingerprint(encoder, without="head") != model_fingerprint(encoder)
    for name, values in encoder.state_dict().items():
        before = model_fingerprint(encoder, without="head")
        values.view(-1)[-1] += 1
        assert (model_fingerprint(encoder, without="head") == before) is name.startswith("head."), name


def test_part_left_out_is_not_a_part_with_the_same_prefix():
    one = torch.nn.ModuleDict({"head": torch.nn.Linear(1, 1), "header": torch.nn.Linear(1, 1)})
    before = model_fingerprint(one, without="head")
    one["header"].bias.data += 1
    assert model_fingerprint(one, without="head") != before
