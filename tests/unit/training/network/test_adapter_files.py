"""Adapters in files: peft loads them, and with their base they give the trained model."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from mrlspk.config.architecture import ReDimNetConfig, describe_architecture
from mrlspk.config.training import LoraConfig
from mrlspk.errors import CheckpointError
from mrlspk.models.checkpoints import encoder_entries, load_model
from mrlspk.models.encoder import build_encoder
from mrlspk.training.network.adapter_files import load_adapter, save_adapter, with_adapter
from mrlspk.training.network.lora import build_adapters, merged

BACKBONE = ReDimNetConfig(
    F=8, C=4, block_1d_type="att", group_divisor=2, stages_setup=((2, 1, 2, ((3, 3),), 2), (1, 1, 1, ((3, 3),), 4))
)


def write_base(path, dims=(4, 8), seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        architecture = describe_architecture(BACKBONE, dims)
        torch.save(encoder_entries(build_encoder(architecture), architecture), path)
    return path


def trained(base, dims=(2, 6)):
    """Return an encoder with the base's backbone, another head and adapters of random weights, and its architecture."""
    architecture = describe_architecture(BACKBONE, dims)
    with torch.random.fork_rng():
        torch.manual_seed(9)
        encoder = build_encoder(architecture)
        own = {name: v for name, v in load_model(base).encoder.state_dict().items() if not name.startswith("head.")}
        encoder.load_state_dict(own, strict=False)
        build_adapters(LoraConfig(rank=3, alpha=6), encoder)
        for name, parameter in encoder.named_parameters():
            if ".lora_" in name or name.startswith("head."):
                parameter.data = 0.2 * torch.randn(parameter.shape)
        encoder.head.norm.running_mean.uniform_()
    return encoder.eval(), architecture


def waveforms():
    return torch.randn(2, 6000, generator=torch.Generator().manual_seed(5))


@pytest.fixture
def saved(tmp_path):
    """A base, an encoder trained from it, and its adapter's folder."""
    base = write_base(tmp_path / "base.pt")
    encoder, architecture = trained(base)
    save_adapter(tmp_path / "adapter", encoder, architecture)
    return base, encoder, tmp_path / "adapter"


def test_base_and_adapter_make_the_merged_model_bit_for_bit(saved):
    base, encoder, folder = saved
    made = with_adapter(load_model(base), folder)
    assert made.encoder.dims == (2, 6)
    assert made.architecture.matryoshka_dims == (2, 6)
    assert not made.encoder.training
    expected = merged(encoder).state_dict()
    assert list(made.encoder.state_dict()) == list(expected)
    assert all(torch.equal(values, expected[name]) for name, values in made.encoder.state_dict().items())


def test_peft_itself_loads_the_adapter_and_the_head(saved):
    base, encoder, folder = saved
    bare = build_encoder(describe_architecture(BACKBONE, (2, 6)))
    own = {name: v for name, v in load_model(base).encoder.state_dict().items() if not name.startswith("head.")}
    bare.load_state_dict(own, strict=False)
    import peft  # two seconds, which not every worker needs

    loaded = peft.PeftModel.from_pretrained(bare, folder).eval()
    assert torch.allclose(loaded(waveforms()), encoder(waveforms()), atol=1e-6)
    assert torch.allclose(loaded.merge_and_unload()(waveforms()), encoder(waveforms()), atol=1e-5)


def test_the_files_say_what_peft_reads(saved):
    *_, folder = saved
    options = json.loads((folder / "adapter_config.json").read_text())
    assert (options["peft_type"], options["r"], options["lora_alpha"]) == ("LORA", 3, 6)
    assert options["modules_to_save"] == ["head"]
    assert sorted(path.name for path in folder.iterdir()) == ["adapter_config.json", "adapter_model.safetensors"]


def test_an_adapter_of_another_model_is_refused(saved, tmp_path):
    _, _, folder = saved
    other = load_model(write_base(tmp_path / "other.pt", seed=1))
    with pytest.raises(CheckpointError, match="trained on another model"):
        with_adapter(other, folder)


@pytest.mark.parametrize("name", ["adapter_config.json", "adapter_model.safetensors"])
@pytest.mark.parametrize("damage", ["gone", "empty", "text"])
def test_a_damaged_folder_is_refused(saved, name, damage):
    *_, folder = saved
    path = folder / name
    if damage == "gone":
        path.unlink()
    else:
        path.write_text("" if damage == "empty" else "no adapter")
    with pytest.raises(CheckpointError):
        load_adapter(folder)


def test_adapter_of_another_program_is_refused(saved):
    *_, folder = saved
    path = folder / "adapter_model.safetensors"
    with safe_open(path, framework="pt") as file:
        state = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping
    save_file(state, path, metadata={"format": "pt"})
    with pytest.raises(CheckpointError, match="adapter_model.safetensors: is damaged, or not written by mrlspk"):
        load_adapter(folder)


def test_an_adapter_that_lacks_a_weight_is_refused(saved):
    base, _, folder = saved
    path = folder / "adapter_model.safetensors"
    with safe_open(path, framework="pt") as file:
        metadata, names = file.metadata(), sorted(file.keys())
        state = {name: file.get_tensor(name) for name in names if name != names[0]}
    save_file(state, path, metadata=metadata)
    with pytest.raises(CheckpointError, match="does not fit"):
        with_adapter(load_model(base), folder)
