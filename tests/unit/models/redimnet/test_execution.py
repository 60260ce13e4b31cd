"""Stages computed anew and parts compiled: nothing that is computed changes, bit for bit where nothing is compiled."""

import copy
import os
from functools import partial

import pytest
import torch
from torch import nn
from torch.autograd.graph import saved_tensors_hooks

from mrlspk.config.architecture import ReDimNet2Config, ReDimNetConfig, describe_architecture
from mrlspk.config.training import LoraConfig
from mrlspk.models.encoder import build_encoder
from mrlspk.models.parts import set_training_mode
from mrlspk.models.redimnet.execution import Calls, _compiled, statistics_kept
from mrlspk.training.hardware import check_compiler
from mrlspk.training.network.lora import build_adapters, train_adapters

FIRST = ReDimNetConfig(
    F=8,
    C=4,
    block_1d_type="conv+att",
    group_divisor=2,
    feat_agg_dropout=0.3,
    stages_setup=((1, 1, 1, ((3, 3),), None), (2, 1, 2, ((3, 3),), 2)),
)
SECOND = ReDimNet2Config(
    F=8,
    C=4,
    block_1d_type="att",
    out_channels=16,
    stages_setup=(((2, 2), 1, 2, ((3, 3),), 2), ((2, 1), 1, 1, ((3, 3),), 2)),
)
DUAL = SECOND.model_copy(update={"dual_agg": True, "agg_gnorm": True})
BACKBONES = pytest.mark.parametrize("backbone", [FIRST, SECOND, DUAL], ids=["redimnet", "redimnet2", "dual"])
ANEW = Calls(recomputed=True)


def encoder_of(backbone, calls=None):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        encoder = build_encoder(describe_architecture(backbone, (4, 8))).train()
    encoder.backbone.calls = calls or Calls()
    return encoder


def waveforms(n=3):
    return torch.randn(n, 6000, generator=torch.Generator().manual_seed(5))


def gradients_and_statistics(encoder, *, autocast=False):
    """Return the embedding of one training pass, all gradients, and all buffers after it."""
    with torch.random.fork_rng():
        torch.manual_seed(3)  # of dropout
        with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
            embedding = encoder(waveforms())
        embedding.square().sum().backward()
    gradients = {name: values.grad for name, values in encoder.named_parameters() if values.grad is not None}
    return {"embedding": embedding.detach()}, gradients, dict(encoder.named_buffers())


def assert_equal(found, expected, **tolerance):
    for own, other in zip(found, expected, strict=True):
        assert own.keys() == other.keys()
        for name, values in own.items():
            torch.testing.assert_close(values, other[name], **tolerance or {"rtol": 0, "atol": 0})


def count_runs(encoder, stage="stage1"):
    """Return a list that grows whenever the last layer of a stage that is normalised runs."""
    norms = [module for name, module in encoder.named_modules() if stage in name and isinstance(module, nn.BatchNorm2d)]
    runs = []
    norms[0].register_forward_hook(lambda *_: runs.append(1))
    return runs


@pytest.mark.parametrize("autocast", [False, True], ids=["fp32", "bf16"])
@BACKBONES
def test_recomputed_stages_have_plain_gradients_and_statistics(backbone, autocast):
    plain, anew = encoder_of(backbone), encoder_of(backbone, ANEW)
    runs = count_runs(anew)
    assert_equal(gradients_and_statistics(anew, autocast=autocast), gradients_and_statistics(plain, autocast=autocast))
    assert len(runs) == 2
    assert anew.backbone.get_buffer(next(n for n, _ in anew.backbone.named_buffers() if "num_batches" in n)) == 1


@BACKBONES
def test_frozen_statistics_stay_frozen_in_recomputed_stages(backbone):
    encoders = encoder_of(backbone), encoder_of(backbone, ANEW)
    before = copy.deepcopy(dict(encoders[0].backbone.named_buffers()))
    for encoder in encoders:
        set_training_mode(encoder, backbone_frozen=False, keep_statistics=True)
    plain, anew = (gradients_and_statistics(encoder) for encoder in encoders)
    assert_equal(anew, plain)
    assert_equal([dict(encoders[1].backbone.named_buffers())], [before])


@BACKBONES
def test_adapters_get_plain_gradients_in_recomputed_stages(backbone):
    found = []
    for calls in (ANEW, Calls()):
        encoder = encoder_of(backbone, calls)
        with torch.random.fork_rng():
            torch.manual_seed(1)
            build_adapters(LoraConfig(rank=2, dropout=0.5), encoder)
        set_training_mode(encoder, backbone_frozen=True)
        train_adapters(encoder)
        runs = count_runs(encoder)
        found.append(gradients_and_statistics(encoder))
        assert len(runs) == (2 if calls.recomputed else 1)
    assert any(".lora_B." in name and values.any() for name, values in found[0][1].items())
    assert_equal(*found)


def bytes_saved(encoder):
    """Return what autograd keeps of a pass, parameters left out; it does not see what a stage is computed anew for."""
    own, kept = {parameter.data_ptr() for parameter in encoder.parameters()}, {}

    def pack(values):
        if values.data_ptr() not in own:
            kept[values.untyped_storage().data_ptr()] = values.untyped_storage().nbytes()
        return values

    with saved_tensors_hooks(pack, lambda values: values):
        encoder(waveforms())
    return sum(kept.values())


@BACKBONES
def test_recomputed_stages_keep_fewer_activations(backbone):
    assert bytes_saved(encoder_of(backbone, ANEW)) < bytes_saved(encoder_of(backbone)) / 2


@BACKBONES
def test_stages_without_gradients_run_once(backbone):
    encoder = encoder_of(backbone, ANEW)
    runs = count_runs(encoder)
    with torch.no_grad():
        encoder(waveforms())
    assert len(runs) == 1
    encoder.eval()
    encoder(waveforms()).sum().backward()
    assert len(runs) == 2
    set_training_mode(encoder, backbone_frozen=True)
    encoder(waveforms()).sum().backward()
    assert len(runs) == 3


def test_statistics_are_restored_after_a_failed_pass():
    norm = nn.BatchNorm1d(2)
    own = dict(norm.named_buffers())

    def fail():
        norm(torch.randn(4, 2))
        raise RuntimeError("memory")

    with pytest.raises(RuntimeError, match="memory"), statistics_kept([norm]):
        fail()
    assert all(values is own[name] for name, values in norm.named_buffers())
    assert norm.num_batches_tracked == 0
    assert not norm.running_mean.any()


def test_way_of_calling_is_not_part_of_the_state():
    plain, other = encoder_of(FIRST), encoder_of(FIRST, Calls(compiled=True, recomputed=True))
    assert list(other.state_dict()) == list(plain.state_dict())
    assert copy.deepcopy(other).backbone.calls == other.backbone.calls


@pytest.fixture
def compiler(monkeypatch):
    """Compile by graphs that torch calls eagerly; ``MRLSPK_TEST_COMPILER=inductor`` writes C++, in half a minute."""
    name = os.environ.get("MRLSPK_TEST_COMPILER", "aot_eager")
    if name == "inductor":
        check_compiler(torch.device("cpu"))
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend=name))
    _compiled.cache_clear()
    torch._dynamo.utils.counters.clear()
    yield
    _compiled.cache_clear()
    torch.compiler.reset()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning:torch")  # torch's compiler imports what torch has deprecated
@pytest.mark.filterwarnings("ignore:The .grad attribute:UserWarning")  # which the compiler hides by means of its own
@pytest.mark.usefixtures("compiler")
def test_compiled_parts_have_plain_gradients_and_statistics():
    small = FIRST.model_copy(  # as each part takes the compiler a second or more
        update={"feat_agg_dropout": 0.0, "block_1d_type": "fc", "stages_setup": ((2, 1, 1, ((3, 3),), 2),)}
    )
    plain = gradients_and_statistics(encoder_of(small))
    encoder = encoder_of(small, Calls(compiled=True))
    anew = copy.deepcopy(encoder)
    anew.backbone.calls = Calls(compiled=True, recomputed=True)
    assert_equal(gradients_and_statistics(encoder), plain, rtol=1e-3, atol=1e-3)
    assert n_graphs() == 3  # stem, stage and pooling
    assert_equal(gradients_and_statistics(anew), plain, rtol=1e-3, atol=1e-3)
    copied = copy.deepcopy(encoder).eval()
    with torch.no_grad():
        copied.backbone.stem[0].weight.zero_()
        assert torch.equal(encoder.eval()(waveforms()), encoder_with(small, encoder)(waveforms()))
    assert n_graphs() == 3
    assert not torch._dynamo.utils.counters["recompile_limit"]


def n_graphs():
    return torch._dynamo.utils.counters["stats"]["unique_graphs"]


def encoder_with(backbone, like):
    """Return an encoder that nothing was compiled of, with the weights of another."""
    encoder = encoder_of(backbone).eval()
    encoder.load_state_dict(like.state_dict())
    return encoder
