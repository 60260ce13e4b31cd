import pickle

import pytest
import torch

from mrlspk.config.backbone import PublishedConfig, ReDimNetConfig
from mrlspk.errors import CheckpointError
from mrlspk.models.checkpoints import describe_architecture, encoder_entries, load_model, with_widths
from mrlspk.models.encoder import build_encoder

STAGES = ((1, 1, 1, ((3, 3),), None),)
TINY = ReDimNetConfig(F=8, C=4, block_1d_type="conv", stages_setup=STAGES)


@pytest.fixture
def encoder():
    torch.manual_seed(0)
    return build_encoder(TINY, (4, 8))


@pytest.fixture
def own(encoder, tmp_path):
    """The entries of a checkpoint of our own, and a function that writes and loads them."""

    def load(entries):
        torch.save(entries, tmp_path / "model.pt")
        return load_model(tmp_path / "model.pt")

    return encoder_entries(encoder, describe_architecture(TINY)), load


@pytest.fixture
def published(encoder, tmp_path):
    """The same in the published layout."""
    state = {
        name.replace("head.norm.", "bn.").replace("head.linear.", "linear."): value
        for name, value in encoder.state_dict().items()
    }
    model_config = TINY.model_dump(mode="json") | {"embed_dim": 8}

    def load(entries):
        torch.save(entries, tmp_path / "published.pt")
        return load_model(tmp_path / "published.pt")

    return {"model_config": model_config, "state_dict": state}, load


def test_saved_encoder_loads_to_the_same_embedding_bit_for_bit(encoder, own):
    entries, load = own
    loaded = load(entries)
    waveform = torch.randn(1, 4000)
    assert loaded.encoder.dims == (4, 8)
    assert not loaded.encoder.training
    assert torch.equal(loaded.encoder(waveform), encoder.eval()(waveform))


def test_published_layout_loads_with_a_classifier_left_out(encoder, published):
    entries, load = published
    entries["state_dict"]["cls_head.2.weight"] = torch.zeros(3, 8)
    loaded = load(entries)
    assert (loaded.family, loaded.encoder.dims) == ("redimnet", (8,))
    waveform = torch.randn(1, 4000)
    assert torch.equal(loaded.encoder(waveform), encoder.eval()(waveform))


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("linear.bias", None, "missing head.linear.bias"),
        ("backbone.extra", torch.zeros(1), "unexpected backbone.extra"),
        ("linear.weight", torch.zeros(9, 16), r"head.linear.weight has shape \(9, 16\)"),
        ("bn.weight", 3, "head.norm.weight is a int, not a tensor"),
    ],
)
def test_state_that_does_not_fit_is_refused_with_its_entry(published, name, change, message):
    entries, load = published
    if change is None:
        del entries["state_dict"][name]
    else:
        entries["state_dict"][name] = change
    with pytest.raises(CheckpointError, match=message):
        load(entries)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("head_activation", "__import__('os').system('true')"),
        ("pooling_func", "Module"),
        ("unheard_of", 1),
        ("F", "72"),
        ("tf_optimized_arch", True),
    ],
)
def test_option_outside_the_known_ones_is_refused_by_name(published, key, value):
    entries, load = published
    entries["model_config"][key] = value if key != "F" else [72]
    with pytest.raises(CheckpointError, match=f"option not supported in model_config: {key}"):
        load(entries)


def test_newer_format_is_refused(own):
    entries, load = own
    with pytest.raises(CheckpointError, match="format version 2"):
        load(entries | {"format_version": 2})


@pytest.mark.parametrize("state", [None, [], 3])
def test_weights_that_are_no_dict_are_refused(own, published, state):
    for (entries, load), key in ((own, "model"), (published, "state_dict")):
        with pytest.raises(CheckpointError, match=f"expected a dict of weights, found a {type(state).__name__}"):
            load(entries | {key: state})


@pytest.mark.parametrize("dims", [[], [8, 4], [4, 4, 8], [0, 8], 8, None])
def test_widths_that_do_not_rise_are_refused(own, dims):
    entries, load = own
    with pytest.raises(CheckpointError, match="its architecture cannot be built"):
        load(entries | {"architecture": entries["architecture"] | {"matryoshka_dims": dims}})


@pytest.mark.parametrize("architecture", [None, [], "b2", {}])
def test_an_architecture_that_is_none_is_refused(own, architecture):
    entries, load = own
    with pytest.raises(CheckpointError, match="its architecture cannot be built"):
        load(entries | {"architecture": architecture})


def test_a_width_that_the_weights_do_not_have_is_refused_before_it_is_built(own, published):
    entries, load = own
    with pytest.raises(CheckpointError, match=r"shape \(8, \d+\), expected 10000000 rows"):
        load(entries | {"architecture": entries["architecture"] | {"matryoshka_dims": [4, 10**7]}})
    entries, load = published
    entries["model_config"]["embed_dim"] = 10**7
    with pytest.raises(CheckpointError, match=r"shape \(8, \d+\), expected 10000000 rows"):
        load(entries)


def test_a_network_beyond_any_memory_is_refused(own, published):
    entries, load = own
    backbone = entries["architecture"]["backbone"] | {"C": 2**40}
    with pytest.raises(CheckpointError, match="its architecture cannot be built"):
        load(entries | {"architecture": entries["architecture"] | {"backbone": backbone}})
    entries, load = published
    entries["model_config"]["C"] = 2**40
    with pytest.raises(CheckpointError, match="its model_config cannot be built"):
        load(entries)


class Payload:
    """Runs a function when it is unpickled."""

    def __reduce__(self):
        return (exec, ("import pathlib; pathlib.Path('ran').touch()",))


def test_bare_pickle_is_refused_unread(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model.pt").write_bytes(pickle.dumps(Payload()))
    with pytest.raises(CheckpointError, match="is not a checkpoint"):
        load_model(tmp_path / "model.pt")
    assert not (tmp_path / "ran").exists()


def test_code_inside_a_zip_checkpoint_is_refused_and_does_not_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    torch.save({"model_config": Payload(), "state_dict": {}}, tmp_path / "model.pt")
    with pytest.raises(CheckpointError, match="holds more than tensors and plain values"):
        load_model(tmp_path / "model.pt")
    assert not (tmp_path / "ran").exists()


def test_wider_head_keeps_the_known_rows(own):
    entries, load = own
    loaded = load(entries)
    wider, kept = with_widths(loaded, (4, 8, 12))
    assert (kept, wider.dims, wider.embed_dim) == (8, (4, 8, 12), 12)
    assert torch.equal(wider.head.linear.weight[:8], loaded.encoder.head.linear.weight)
    narrower, kept = with_widths(loaded, (4,))
    waveform = torch.randn(1, 4000)
    assert kept == 4
    assert torch.allclose(narrower.eval()(waveform), loaded.encoder(waveform)[:, :4], atol=1e-6)


def test_published_defaults_are_those_of_the_published_wrapper():
    config = PublishedConfig()
    assert (config.F, config.C, config.block_1d_type, config.group_divisor, config.embed_dim) == (72, 16, "att", 4, 192)
