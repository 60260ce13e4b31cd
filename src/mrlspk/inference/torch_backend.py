"""Run a PyTorch checkpoint as an inference backend."""

import threading
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mrlspk.config.architecture import HeadArchitecture
from mrlspk.data.audio import SAMPLE_RATE
from mrlspk.errors import CheckpointError, UsageError
from mrlspk.file_kinds import GRAPH, TRANSFORM, recognise
from mrlspk.inference.backend import LoadedBackend, Precision
from mrlspk.inference.base_file import LoadBase
from mrlspk.inference.embedding_map import EmbeddingMap
from mrlspk.inference.mapped_backend import MappedBackend
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.precision import compare_precision
from mrlspk.inference.torch_device import find_device
from mrlspk.inference.torch_layers import has_onednn
from mrlspk.inference.torch_network import InferenceNetwork
from mrlspk.models.checkpoints import LoadedModel, load_model, network_of
from mrlspk.models.encoder import Encoder
from mrlspk.models.fingerprint import model_fingerprint
from mrlspk.models.headed_model import HeadedModel
from mrlspk.reading import reading

DTYPES: dict[Precision, torch.dtype] = {"f32": torch.float32, "bf16": torch.bfloat16}
INT8 = "Use f32 or bf16. int8 needs ONNX Runtime: pip install 'mrlspk[onnx]'"


class TorchBackend:
    """An encoder as a `Backend`.

    Args:
        encoder: In evaluation mode, on its device. Its weights must not change after the first call of `embed`.
        as_published: Run the encoder itself, whose values are those of training, in place of an `InferenceNetwork`.
        precision: ``f32`` or ``bf16``, of the backbone.
        compiled: Call the backbone through torch.compile.
    """

    def __init__(
        self, encoder: Encoder, *, as_published: bool = False, precision: Precision = "f32", compiled: bool = False
    ) -> None:
        self._encoder, self._as_published = encoder, as_published
        self._precision, self._compiled = precision, compiled
        self._streams: dict[int, Any] = {}  # of CUDA, by the thread that embeds

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
        """The version of torch, the type of the device, which network it is, and its precision."""
        network = "published" if self._as_published else "compiled" if self._compiled else "rewritten"
        device = self._encoder.device.type
        return {"torch": torch.__version__, "device": device, "network": network, "precision": self._precision}

    @property
    def concurrency(self) -> int:
        """1: a call uses all threads of torch; 2 on CUDA, where one batch is copied while another is embedded."""
        return 2 if self._is_on_cuda else 1

    @torch.inference_mode()
    def embed(self, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map (batch, samples) to (batch, embed_dim), not of unit length."""
        with self._stream():
            vectors: NDArray[np.float32] = self._network(self._on_device(torch.from_numpy(waveforms))).cpu().numpy()
        return vectors

    @cached_property
    def _network(self) -> nn.Module:
        """What maps waveforms to embeddings; made when it is first needed, which takes part of a second."""
        if self._as_published:
            return self._encoder
        network = InferenceNetwork(self._encoder, DTYPES[self._precision], compiled=self._compiled)
        if self._is_on_cuda:
            torch.cuda.synchronize(self._encoder.device)  # before the streams of other threads read it
        return network

    @property
    def _is_on_cuda(self) -> bool:
        return self._encoder.device.type == "cuda"

    def _on_device(self, batch: Tensor) -> Tensor:
        """Return a batch on the device; to a GPU, from pinned memory, it is copied while other work goes on."""
        if self._is_on_cuda:
            return batch.pin_memory().to(self._encoder.device, non_blocking=True)
        return batch.to(self._encoder.device)

    def _stream(self) -> AbstractContextManager[Any]:
        """Return a context in which the calling thread has a CUDA stream of its own, if the device is a GPU."""
        if not self._is_on_cuda:
            return nullcontext()
        thread = threading.get_ident()
        if thread not in self._streams:
            self._streams[thread] = torch.cuda.Stream(self._encoder.device)  # type: ignore[no-untyped-call]
        return torch.cuda.stream(self._streams[thread])


def load_torch_backend(
    model: ModelFile,
    device: str,
    *,
    precision: Precision = "f32",
    compiled: bool = False,
    sample: Sequence[NDArray[np.float32]] = (),
    load_base: LoadBase | None = None,
) -> LoadedBackend:
    """Return the encoder of a checkpoint, on the device called ``device``, as a backend.

    A head on the embeddings of another model runs after that model, whose backend ``load_base`` loads.

    Args:
        model: Checkpoint.
        device: ``auto``, ``cpu``, ``cuda``, ``cuda:N`` or ``mps``.
        precision: ``f32`` or ``bf16``.
        compiled: Call the backbone through torch.compile.
        sample: Waveforms (samples,) that bf16 is compared with f32 on.
        load_base: Loads the backend of a model file; None: heads on other models are refused.

    Raises:
        CheckpointError: If the file is no checkpoint, does not fit its own configuration, or has no base model beside
            it.
        UsageError: If no device is called ``device``, or it has no such precision.
        MissingDependencyError: If this machine has no such device.
    """
    if precision not in DTYPES:
        raise UsageError(f"PyTorch does not embed in {precision}", fix=INT8, parameter="precision")
    where = find_device(device)
    if precision == "bf16" and where.type == "cpu" and not has_onednn(torch.bfloat16):
        raise UsageError("this processor does not compute in bf16", fix="Use f32.", parameter="precision")
    checkpoint = load_checkpoint(model)
    if load_base and isinstance(checkpoint.architecture, HeadArchitecture):
        if precision != "f32" or compiled:
            raise UsageError("a head on another model runs in f32, and is not compiled", fix="Use f32.")
        return _load_head(checkpoint, model.path, load_base)
    encoder = network_of(checkpoint, model.path).to(where)
    loaded = LoadedBackend(
        TorchBackend(encoder, precision=precision, compiled=compiled), config=checkpoint.config, checkpoint=checkpoint
    )
    if precision == "f32":
        return loaded
    return replace(loaded, precision_cosine=compare_precision(loaded.backend, TorchBackend(encoder), sample))


def _load_head(checkpoint: LoadedModel, path: Path, load_base: LoadBase) -> LoadedBackend:
    """Return a base model with a head after it."""
    from mrlspk.inference.external_base import open_base

    base = open_base(checkpoint, path, load_base=load_base)
    if base is None:
        what = "is a head on vectors, and names no base model"
        fix = (
            "Give `vectors=FILE` to score them with it; `mrlspk vectors apply` maps them. For audio, train it with "
            "`init_from`, the model that made the vectors."
        )
        raise CheckpointError(what, path, fix)
    backend = MappedBackend(base, map_of(checkpoint.encoder))
    return LoadedBackend(backend, config=checkpoint.config, checkpoint=checkpoint)


def map_of(encoder: HeadedModel) -> EmbeddingMap:
    """Return what the head of an encoder computes."""
    head = encoder.folded_head()
    return EmbeddingMap(head.weight.numpy(), head.bias.numpy(), encoder.dims)


_WITHOUT_NETWORK = {".onnx": "an ONNX model", ".npz": "a transform of the embeddings of a model"}


def load_checkpoint(model: ModelFile) -> LoadedModel:
    """Return the whole model in a checkpoint.

    Raises:
        CheckpointError: If the file is an exported model, is no checkpoint or does not fit its own configuration, or
            if it is of another family than the published model whose name was typed.
    """
    if kind := _WITHOUT_NETWORK.get(model.path.suffix.lower()):
        with reading(model.path, CheckpointError):
            found = recognise(model.path)
        if found and found.name not in {GRAPH, TRANSFORM}:
            raise CheckpointError(f"is not a model but {found.name}", model.path, found.fix)
        raise CheckpointError(
            f"is {kind}, which has no PyTorch network",
            model.path,
            "Give a PyTorch checkpoint. Of any other model `mrlspk rotate` writes a transform, as FILE.npz.",
        )
    loaded = load_model(model.path)
    model.check_family(loaded.family)
    return loaded
