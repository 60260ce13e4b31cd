"""Run a PyTorch checkpoint as an inference backend."""

from collections.abc import Mapping
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from mrlspk.data.audio import SAMPLE_RATE
from mrlspk.errors import CheckpointError, MissingDependencyError, UsageError
from mrlspk.inference.backend import LoadedBackend
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.torch_network import InferenceNetwork
from mrlspk.models.checkpoints import LoadedModel, load_model
from mrlspk.models.encoder import Encoder
from mrlspk.models.fingerprint import model_fingerprint


class TorchBackend:
    """An encoder as a `Backend`.

    Args:
        encoder: In evaluation mode, on its device. Its weights must not change after the first call of `embed`.
        as_published: Run the encoder itself, whose values are those of training, in place of an `InferenceNetwork`.
    """

    def __init__(self, encoder: Encoder, *, as_published: bool = False) -> None:
        self._encoder, self._as_published = encoder, as_published

    @property
    def dims(self) -> tuple[int, ...]:
        """The prefix widths that the model was trained for, rising."""
        return self._encoder.dims

    @property
    def embed_dim(self) -> int:
        """The full width."""
        return self._encoder.embed_dim

    @property
    def sample_rate(self) -> int:
        """16,000 Hz."""
        return SAMPLE_RATE

    @property
    def min_samples(self) -> int:
        """The fewest samples of a waveform."""
        return self._encoder.min_samples

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the architecture and the weights."""
        return model_fingerprint(self._encoder)

    @property
    def runtime(self) -> Mapping[str, str]:
        """The version of torch, the type of the device, and which network it is."""
        network = "published" if self._as_published else "rewritten"
        return {"torch": torch.__version__, "device": self._encoder.device.type, "network": network}

    @property
    def concurrency(self) -> int:
        """1: a call uses all threads of torch, or the whole device."""
        return 1

    @torch.inference_mode()
    def embed(self, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map (batch, samples) to (batch, embed_dim), not of unit length."""
        vectors: NDArray[np.float32] = self._network(torch.from_numpy(waveforms).to(self._encoder.device)).cpu().numpy()
        return vectors

    @cached_property
    def _network(self) -> nn.Module:
        """What maps waveforms to embeddings; made when it is first needed, which takes part of a second."""
        return self._encoder if self._as_published else InferenceNetwork(self._encoder)


def load_torch_backend(model: ModelFile, device: str) -> LoadedBackend:
    """Return the encoder of a checkpoint, on the device called ``device``, as a backend.

    Raises:
        CheckpointError: If the file is no checkpoint, or does not fit its own configuration.
        UsageError: If no device is called ``device``.
        MissingDependencyError: If this machine has no such device.
    """
    checkpoint = load_checkpoint(model)
    encoder = checkpoint.encoder.to(find_device(device))
    return LoadedBackend(TorchBackend(encoder), config=checkpoint.config, checkpoint=checkpoint)


def load_checkpoint(model: ModelFile) -> LoadedModel:
    """Return the whole model in a checkpoint.

    Raises:
        CheckpointError: If the file is an exported model, is no checkpoint or does not fit its own configuration, or
            if it is of another family than the published model whose name was typed.
    """
    if model.path.suffix == ".onnx":
        raise CheckpointError(
            "is an exported model, which has no PyTorch network",
            model.path,
            "Give the checkpoint that it was exported from.",
        )
    loaded = load_model(model.path)
    model.check_family(loaded.family)
    return loaded


def find_device(name: str) -> torch.device:
    """Return the device called ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``; auto prefers a GPU.

    Raises:
        UsageError: If no device has that name.
        MissingDependencyError: If this machine has no such device.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    counts = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(torch.backends.mps.is_available())}
    kind, _, number = name.partition(":")
    if kind not in counts or (":" in name and not number.isdecimal()):
        raise UsageError(f"expected auto, cpu, cuda, cuda:N or mps, got {name!r}", parameter="device")
    if int(number or 0) >= counts[kind]:
        raise MissingDependencyError(f"this machine has no device {name}", fix="Use auto or cpu.", parameter="device")
    return torch.device(name)
