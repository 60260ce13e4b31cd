import numpy as np
import pytest
import torch

import mrlspk
from mrlspk.errors import CheckpointError, UsageError
from mrlspk.inference.backend_registry import load_backend
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.speaker_models.torchscript import is_torchscript
from speaker_graphs import SPEAKER_3D, write_speaker_graph

pytestmark = pytest.mark.filterwarnings("ignore:.*is deprecated:DeprecationWarning")

FBANK = "front_end: {type: kaldi-fbank, window: povey, sample_scale: 1}\n"
SIGNAL = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)


class Statistics(torch.nn.Module):
    """What `write_speaker_graph` computes."""

    def forward(self, feats: torch.Tensor) -> torch.Tensor:
        """Return mean and root of the mean square over time."""
        return torch.cat([feats.mean(1), feats.square().mean(1).sqrt()], -1)


class TwoOutputs(torch.nn.Module):
    """A program that is told how many frames are real, as NeMo's are, and returns something else first."""

    def forward(self, signal: torch.Tensor, lengths: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the lengths, and the statistics of signal (batch, bins, time)."""
        return lengths.float()[:, None], torch.cat([signal.mean(2), signal.square().mean(2).sqrt()], -1)


class Endless(torch.nn.Module):
    """A program that embeds nothing."""

    def forward(self, feats: torch.Tensor) -> torch.Tensor:  # noqa: ARG002
        """Fail."""
        raise ValueError("no")


def write_program(path, module, described):
    torch.jit.save(torch.jit.script(module.eval()), path)
    if described is not None:
        path.with_suffix(".yaml").write_text(described)
    return ModelFile(path, str(path), trust_code=True)


@pytest.mark.parametrize(
    ("module", "described"),
    [
        (Statistics(), FBANK),
        (TwoOutputs(), FBANK + 'axes: batch, bins, time\nlengths: lengths\noutput: "1"\nembed_dim: 160\n'),
    ],
)
def test_program_embeds_as_the_same_graph_does(tmp_path, module, described):
    model = write_program(tmp_path / "m.pt", module, described)
    found = load_backend(model).backend
    expected = load_backend(ModelFile(write_speaker_graph(tmp_path / "g.onnx", SPEAKER_3D), "g.onnx")).backend
    assert (found.embed_dim, found.dims, found.min_samples) == (160, (160,), expected.min_samples)
    both = np.stack([SIGNAL, SIGNAL[::-1]])
    np.testing.assert_allclose(found.embed(both), expected.embed(both), atol=1e-4)
    assert found.runtime["network"] == "torchscript"
    assert found.fingerprint != expected.fingerprint


def test_program_is_run_only_if_it_is_trusted(tmp_path):
    path = write_program(tmp_path / "m.pt", Statistics(), FBANK).path
    with pytest.raises(CheckpointError, match="is a TorchScript program") as refused:
        mrlspk.load(path)
    assert "run a program that you trust with `trust_code`" in str(refused.value)
    assert mrlspk.load(path, trust_code=True).embed(SIGNAL).shape == (160,)


@pytest.mark.parametrize(
    ("module", "described", "told"),
    [
        (Statistics(), None, "front end nothing describes: there is no m.yaml"),
        (Statistics(), FBANK + "input: x\n", "has no input called x, only feats"),
        (Statistics(), FBANK + 'output: "1"\n', "expected a tensor as output 1, got a Tensor"),
        (Statistics(), FBANK + "output: embs\n", "expected a number as output, got 'embs'"),
        (Statistics(), FBANK + "embed_dim: 192\n", "expected 192 values, found embeddings of 160"),
        (Statistics(), FBANK + "axes: batch, time\n", "the axes batch, time do not fit the front end"),
        (TwoOutputs(), FBANK, "needs lengths beside signal"),
        (Endless(), FBANK, "makes no embedding of 2.015 s: builtins.ValueError: no"),
    ],
)
def test_description_that_does_not_fit_is_refused(tmp_path, module, described, told):
    with pytest.raises(CheckpointError, match=told):
        load_backend(write_program(tmp_path / "m.pt", module, described))


@pytest.mark.parametrize("options", [{"backend": "openvino"}, {"precision": "bf16"}])
def test_other_runtimes_and_precisions_are_refused(tmp_path, options):
    with pytest.raises(UsageError, match="a TorchScript model"):
        load_backend(write_program(tmp_path / "m.ts", Statistics(), FBANK), **options)


def test_cut_program_is_refused(tmp_path):
    model = write_program(tmp_path / "m.pt", Statistics(), FBANK)
    content = model.path.read_bytes()
    model.path.write_bytes(content.replace(b"constants.pkl", b"constantz.pkl"))
    assert not is_torchscript(model.path)
    with pytest.raises(CheckpointError):
        load_backend(model)
    model.path.write_bytes(content.replace(b"FORMAT", b"TAMROF").replace(b"data.pkl", b"date.pkl"))
    assert is_torchscript(model.path)
    with pytest.raises(CheckpointError, match="cannot be loaded"):
        load_backend(model)
