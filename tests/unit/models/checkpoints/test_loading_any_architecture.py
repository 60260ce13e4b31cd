"""Any architecture is saved and loaded exactly; a file that was changed is refused by name."""

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mrlspk.errors import CheckpointError
from mrlspk.models.checkpoints import encoder_entries, load_model
from mrlspk.models.checkpoints.files import save_checkpoint
from mrlspk.models.checkpoints.layouts import PUBLISHED_NAMES
from mrlspk.models.encoder import build_encoder
from unit.models.checkpoints.architectures import architectures

pytestmark = pytest.mark.slow

# The same examples every time, so that a run that fails can be repeated; each builds and runs a network.
thorough = settings(
    max_examples=30, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck), database=None
)


def random_encoder(architecture, seed):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        encoder = build_encoder(architecture)
        state = encoder.state_dict()
        for name, values in state.items():
            if name.endswith(("running_mean", "running_var", ".w")):
                values.add_(torch.rand_like(values))
        return encoder.eval()


def embed(encoder, seed):
    noise = torch.randn(1, encoder.min_samples + 100, generator=torch.Generator().manual_seed(seed))
    with torch.inference_mode():
        return encoder(noise)


def as_published(encoder, architecture):
    state = {}
    for name, values in encoder.state_dict().items():
        ours = next((begin for begin in PUBLISHED_NAMES if name.startswith(begin)), None)
        state[name.replace(ours, PUBLISHED_NAMES[ours], 1) if ours else name] = values
    options = architecture.backbone.model_dump(mode="json")
    return {
        "model_config": options | {"embed_dim": encoder.embed_dim, "emb_bn": architecture.output_norm},
        "state_dict": state,
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("properties")


@thorough
@given(architecture=architectures(), seed=st.integers(0, 2**31))
def test_saved_and_loaded_model_gives_an_equal_embedding(folder, architecture, seed):
    encoder = random_encoder(architecture, seed)
    expected = embed(encoder, seed)
    assert torch.isfinite(expected).all()
    entries = encoder_entries(encoder, architecture)
    torch.save(entries, folder / "own.pt")
    torch.save(as_published(encoder, architecture), folder / "published.pt")
    save_checkpoint(folder / "own.safetensors", entries)
    for name, family in (("own.pt", "mrlspk"), ("own.safetensors", "mrlspk"), ("published.pt", architecture.family)):
        loaded = load_model(folder / name)
        assert loaded.family == family
        assert loaded.architecture.backbone == architecture.backbone
        assert loaded.report.coverage == 1
        assert torch.equal(embed(loaded.encoder, seed), expected)


@thorough
@given(architecture=architectures(), seed=st.integers(0, 2**31))
def test_minimum_samples_give_an_embedding(architecture, seed):
    encoder = random_encoder(architecture, seed)
    noise = torch.randn(2, encoder.min_samples, generator=torch.Generator().manual_seed(seed))
    with torch.inference_mode():
        assert torch.isfinite(encoder(noise)).all()


@st.composite
def broken(draw):
    """A published checkpoint with one thing wrong, and the name that the error must give."""
    architecture = draw(architectures())
    contents = as_published(random_encoder(architecture, 0), architecture)
    options, state = contents["model_config"], contents["state_dict"]
    kind = draw(st.sampled_from(["type", "unknown", "code", "missing", "extra", "shape", "number"]))
    culprit = draw(st.sampled_from(sorted(options if kind == "type" else state)))
    match kind:
        case "type":
            options[culprit] = draw(st.sampled_from([{"a": 1}, 1.5, [[]], "72"]))
        case "unknown":
            culprit = draw(st.sampled_from(["is_subnet", "Channels", "hop_lenght", "eval"]))
            options[culprit] = 1
        case "code":
            culprit = "head_activation"
            options[culprit] = draw(
                st.sampled_from(["__import__('os').system('true')", "nn.Identity", "nn.Identity() or exit()", ""])
            )
        case "missing":
            del state[culprit]
        case "extra":
            culprit = draw(st.sampled_from(["backbone.stage9.0.w", "linear.extra", "bn", "optimizer"]))
            state[culprit] = torch.zeros(2)
        case "shape":
            state[culprit] = torch.zeros(*state[culprit].shape, 2)
        case "number":
            state[culprit] = 0.5
    return contents, culprit


@thorough
@given(broken=broken())
def test_changed_file_is_refused_with_the_name_of_the_fault(folder, broken):
    contents, culprit = broken
    torch.save(contents, folder / "broken.pt")
    with pytest.raises(CheckpointError) as caught:
        load_model(folder / "broken.pt")
    assert culprit in caught.value.what
