import json

import pytest
import torch

from factories import TINY, TINY2
from mrlspk.config.architecture import (
    PublishedReDimNet2Config,
    PublishedReDimNetConfig,
    describe_architecture,
)
from mrlspk.errors import CheckpointError
from mrlspk.models.checkpoints import encoder_entries, inspect_model, load_model, with_widths
from mrlspk.models.encoder import build_encoder


@pytest.fixture(params=[TINY, TINY2], ids=["redimnet", "redimnet2"])
def architecture(request):
    return describe_architecture(request.param, (4, 8))


@pytest.fixture
def encoder(architecture):
    torch.manual_seed(0)
    return build_encoder(architecture)


@pytest.fixture
def own(architecture, encoder, tmp_path):
    """The entries of a checkpoint of our own, and a function that writes and loads them."""

    def load(entries, read=load_model):
        torch.save(entries, tmp_path / "model.pt")
        return read(tmp_path / "model.pt")

    return encoder_entries(encoder, architecture), load


@pytest.fixture
def published(architecture, encoder, tmp_path):
    """The same in the published layout."""
    state = {
        name.replace("head.norm.", "bn.").replace("head.linear.", "linear."): value
        for name, value in encoder.state_dict().items()
    }
    model_config = architecture.backbone.model_dump(mode="json") | {"embed_dim": 8}

    def load(entries, read=load_model):
        torch.save(entries, tmp_path / "published.pt")
        return read(tmp_path / "published.pt")

    return {"model_config": model_config, "state_dict": state}, load


@pytest.mark.parametrize("prefix", ["module.", "_orig_mod.", "model.", "module._orig_mod.model."])
@pytest.mark.parametrize("layout", ["own", "published"])
def test_prefixes_of_wrappers_are_left_out(encoder, own, published, layout, prefix):
    entries, load = {"own": own, "published": published}[layout]
    weights = {"own": "model", "published": "state_dict"}[layout]
    loaded = load(entries | {weights: {prefix + name: values for name, values in entries[weights].items()}})
    assert all(torch.equal(values, loaded.encoder.state_dict()[name]) for name, values in encoder.state_dict().items())


@pytest.mark.parametrize("wrap", [dict, lambda weights: {"state_dict": weights, "epoch": 3}])
def test_weights_alone_are_told_from_a_model(own, wrap):
    entries, load = own
    with pytest.raises(CheckpointError, match="holds weights without the configuration of their network"):
        load(wrap(entries["model"]))


def test_prefix_of_some_names_is_no_wrapper(own):
    entries, load = own
    name, values = next(iter(entries["model"].items()))
    wrapped = {f"module.{key}": each for key, each in entries["model"].items()} | {name: values}
    with pytest.raises(CheckpointError, match=r"do not fit its own configuration .*missing"):
        load(entries | {"model": wrapped})


def test_saved_encoder_loads_to_an_equal_embedding_bit_for_bit(encoder, architecture, own):
    entries, load = own
    loaded = load(entries)
    waveform = torch.randn(1, 4000)
    assert (loaded.encoder.dims, loaded.architecture, loaded.report.coverage) == ((4, 8), architecture, 1.0)
    assert not loaded.encoder.training
    assert torch.equal(loaded.encoder(waveform), encoder.eval()(waveform))


def test_published_layout_loads_with_a_classifier_left_out(encoder, architecture, published):
    entries, load = published
    entries["state_dict"]["cls_head.2.weight"] = torch.zeros(3, 8)
    loaded = load(entries)
    assert (loaded.family, loaded.encoder.dims) == (architecture.family, (8,))
    assert (loaded.report.left_out, loaded.report.unexpected) == (("cls_head.2.weight",), ())
    waveform = torch.randn(1, 4000)
    assert torch.equal(loaded.encoder(waveform), encoder.eval()(waveform))


def test_loaded_weights_train_and_constants_do_not(encoder, own):
    entries, load = own
    trained = {name: parameter.requires_grad for name, parameter in encoder.named_parameters()}
    assert {name: parameter.requires_grad for name, parameter in load(entries).encoder.named_parameters()} == trained
    assert set(trained.values()) == {True, False}


def test_half_precision_weights_load_as_float32(published):
    entries, load = published
    entries["state_dict"]["linear.weight"] = entries["state_dict"]["linear.weight"].half()
    head = load(entries).encoder.head.linear.weight
    assert head.dtype == torch.float32
    assert torch.equal(head, entries["state_dict"]["linear.weight"].float())


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("linear.bias", None, "missing linear.bias"),
        ("backbone.extra", torch.zeros(1), "unexpected backbone.extra"),
        ("linear.weight", torch.zeros(9, 64), r"linear.weight has shape \(9, 64\), expected \(8, 64\)"),
        ("bn.weight", 3, "bn.weight is a int, not a tensor"),
        ("bn.weight", torch.zeros(64, dtype=torch.int64), "bn.weight holds torch.int64, expected torch.float32"),
    ],
)
def test_state_dict_that_does_not_fit_is_refused_with_its_entry(published, name, change, message):
    entries, load = published
    if change is None:
        del entries["state_dict"][name]
    else:
        entries["state_dict"][name] = change
    with pytest.raises(CheckpointError, match=message) as caught:
        load(entries)
    assert "mrlspk pretrained inspect" in caught.value.fix
    report = load(entries, inspect_model).report
    assert name in report.missing + report.unexpected
    assert (report.coverage < 1) == (name != "backbone.extra")


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda values: values.to("meta"), "is not a dense tensor stored in the file"),
        (lambda values: values.to_sparse(), "is not a dense tensor stored in the file"),
        (lambda values: torch.quantize_per_tensor(values, 0.1, 0, torch.qint8), "is not a dense tensor"),
        (lambda values: torch.zeros(1).expand(values.shape), "claims 512 values, more than the file holds of it"),
        (lambda values: values.to(torch.complex64), "holds torch.complex64, expected torch.float32"),
        (lambda values: values * float("nan"), "holds values that are not finite in torch.float32"),
        (lambda values: values.double() + 1e300, "holds values that are not finite in torch.float32"),
    ],
)
@pytest.mark.filterwarnings("ignore::UserWarning")  # torch warns of such tensors
def test_tensor_without_its_values_is_refused(published, spoil, message):
    entries, load = published
    entries["state_dict"]["linear.weight"] = spoil(entries["state_dict"]["linear.weight"].detach())
    with pytest.raises(CheckpointError, match=f"linear.weight {message}"):
        load(entries)
    assert load(entries, inspect_model).report.coverage < 1


def test_negative_variance_is_refused(published):
    entries, load = published
    entries["state_dict"]["bn.running_var"][3] = -0.5
    with pytest.raises(CheckpointError, match=r"bn.running_var holds a negative variance"):
        load(entries)


def test_names_in_a_file_are_shown_on_one_line(published):
    entries, load = published
    entries["state_dict"]["a\nerror: \x1b[31mred"] = torch.zeros(1)
    with pytest.raises(CheckpointError) as caught:
        load(entries)
    assert r"unexpected 'a\nerror: \x1b[31mred'" in caught.value.what


def test_missing_entries_of_a_backbone_are_listed(own):
    """The predecessor rebuilt a backbone with 512 channels at its end, which the published file does not have."""
    entries, load = own
    backbone = entries["architecture"]["backbone"] | {"out_channels": 16}
    with pytest.raises(CheckpointError, match=r"missing backbone\.(mfa|head)\.") as caught:
        load(entries | {"architecture": entries["architecture"] | {"backbone": backbone}})
    assert "pool.linear1.weight has shape" in caught.value.what


@pytest.mark.parametrize(
    ("key", "value", "shown"),
    [
        ("head_activation", "__import__('os').system('true')", "head_activation=\"__import__('os').system('true')\""),
        ("pooling_func", "Module", "pooling_func=Module is not supported"),
        ("unheard_of", 1, "unheard_of=1 is not known"),
        ("F", "72", "F=72 is not supported: expected a whole number"),
        ("F", True, "F=True is not supported"),
        ("global_context_att", 1, "global_context_att=1 is not supported"),
        ("return_all_outputs", True, "return_all_outputs=True is not supported"),
        ("stages_setup", "none", "stages_setup=none is not supported"),
        ("F", 10**7, "F=10000000 is not supported: expected a number of 1,024 or less"),
    ],
)
def test_unknown_option_is_refused_by_name(published, key, value, shown):
    entries, load = published
    entries["model_config"][key] = value
    with pytest.raises(CheckpointError) as caught:
        load(entries)
    assert f"option {shown}" in caught.value.what
    assert "model_config" in str(caught.value.where)


@pytest.mark.parametrize(
    ("value", "found"),
    [
        (b"ASTP", "a bytes"),
        ({1, 2}, "a set"),
        (float("nan"), "a number beyond bounds"),
        (2**64, "a number beyond bounds"),
        ({3: 4}, "a dict whose keys are not text"),
        (torch.zeros(1), "a Tensor"),
        (json.loads("[" * 80 + "]" * 80), "lists nested more than"),
    ],
)
def test_options_that_are_not_plain_values_are_refused(published, value, found):
    entries, load = published
    entries["model_config"]["spec_params"] = value
    with pytest.raises(CheckpointError, match=f"its model_config holds {found}"):
        load(entries)


def test_too_many_layers_are_refused_before_building(published):
    entries, load = published
    entries["model_config"]["stages_setup"] *= 1000
    with pytest.raises(CheckpointError, match="stages_setup"):
        load(entries)


@pytest.mark.parametrize("architecture", [describe_architecture(TINY2, (4, 8))])
@pytest.mark.parametrize(
    ("key", "value"),
    [("causal", "full"), ("causal", "only_1d"), ("fm_weigthing_type", "N"), ("spec_in_channels", 2)],
)
def test_unverified_redimnet2_options_are_refused(published, key, value):
    entries, load = published
    entries["model_config"][key] = value
    with pytest.raises(CheckpointError, match=f"option {key}={value} is not supported"):
        load(entries)


@pytest.mark.parametrize("state", [None, [], 3, {1: torch.zeros(1)}])
def test_weights_that_are_not_a_dict_by_name_are_refused(own, published, state):
    for (entries, load), key in ((own, "model"), (published, "state_dict")):
        with pytest.raises(CheckpointError, match=f"dict of weights by name, found a {type(state).__name__}"):
            load(entries | {key: state})


@pytest.mark.parametrize("dims", [[], [8, 4], [4, 4, 8], [0, 8], 8, None, ["4", "8"]])
def test_widths_that_do_not_rise_are_refused(own, dims):
    entries, load = own
    with pytest.raises(CheckpointError, match="matryoshka_dims"):
        load(entries | {"architecture": entries["architecture"] | {"matryoshka_dims": dims}})


@pytest.mark.parametrize("options", [None, [], "b2", {}])
def test_invalid_architecture_is_refused(own, options):
    entries, load = own
    with pytest.raises(CheckpointError, match="architecture|option backbone is missing"):
        load(entries | {"architecture": options})


def test_width_beyond_the_weights_is_refused(own, published):
    entries, load = own
    with pytest.raises(CheckpointError, match=r"shape \(8, \d+\), expected \(60000, \d+\)"):
        load(entries | {"architecture": entries["architecture"] | {"matryoshka_dims": [4, 60_000]}})
    entries, load = published
    entries["model_config"]["C"] = 4096  # some GiB of weights, which take no memory before they are compared
    with pytest.raises(CheckpointError, match="do not fit its own configuration"):
        load(entries)


@pytest.mark.parametrize("key", ["C", "embed_dim", "out_channels", "hop_length"])
def test_network_too_large_for_any_memory_is_refused(published, key):
    entries, load = published
    entries["model_config"][key] = 2**40
    with pytest.raises(CheckpointError, match=f"option {key}=1099511627776 is not supported"):
        load(entries)


@pytest.mark.parametrize(("pooling", "channels"), [("MHASTP", 17), ("MQMHASTP", 12)])
def test_pooling_heads_must_divide_the_channels(published, pooling, channels):
    entries, load = published
    entries["model_config"] |= {"pooling_func": pooling, "out_channels": channels, "global_context_att": False}
    with pytest.raises(CheckpointError, match=f"{channels} channels do not split into the . heads of {pooling}"):
        load(entries)


@pytest.mark.parametrize("key", ["config", "progress", "validation", "corpus", "card"])
def test_entries_that_are_not_plain_values_are_refused(own, key):
    entries, load = own
    with pytest.raises(CheckpointError, match=f"its {key} holds a Tensor"):
        load(entries | {key: {"loss": torch.zeros(1)}})
    if key == "config":
        with pytest.raises(CheckpointError, match="its config is a list"):
            load(entries | {key: [1]})


def test_other_entries_are_listed(own, published):
    entries, load = published
    assert load(entries | {"ema": {}, "epoch": 3}, inspect_model).other_entries == ("ema", "epoch")
    entries, load = own
    assert load(entries | {"criterion": {}}, inspect_model).other_entries == (
        "criterion", "format", "format_version", "mrlspk_version",
    )  # fmt: skip


def test_torch_file_that_is_not_a_model_is_refused(tmp_path):
    torch.save({"weights": torch.zeros(3)}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="is not a speaker model: .*found weights"):
        load_model(tmp_path / "other.pt")


def test_inspection_shows_the_description_in_the_file(encoder, published):
    entries, load = published
    found = load(entries, inspect_model)
    assert (found.embed_dim, found.dims, found.config) == (8, (8,), entries["model_config"])
    assert found.parameters == sum(parameter.numel() for parameter in encoder.parameters())
    assert (found.report.loaded, found.report.missing) == (len(entries["state_dict"]), ())


def test_wider_head_keeps_the_rows_of_the_file(own):
    entries, load = own
    loaded = load(entries)
    wider, kept = with_widths(loaded, (4, 8, 12))
    assert (kept, wider.dims, wider.embed_dim) == (8, (4, 8, 12), 12)
    assert torch.equal(wider.head.linear.weight[:8], loaded.encoder.head.linear.weight)
    narrower, kept = with_widths(loaded, (4,))
    waveform = torch.randn(1, 4000)
    assert kept == 4
    assert torch.allclose(narrower.eval()(waveform), loaded.encoder(waveform)[:, :4], atol=1e-6)


def test_published_defaults_match_the_published_wrappers():
    first, second = PublishedReDimNetConfig(), PublishedReDimNet2Config(causal="none")
    assert (first.F, first.C, first.block_1d_type, first.group_divisor, first.embed_dim) == (72, 16, "att", 4, 192)
    assert [stage[0] for stage in first.stages_setup] == [1, 2, 1, 2, 1, 2]
    assert (second.C, second.block_2d_type, second.group_divisor, second.global_context_att) == (
        24, "basic_resnet", 1, True,
    )  # fmt: skip
