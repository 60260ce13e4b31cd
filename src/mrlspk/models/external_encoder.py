"""A head on the embeddings of a model of another toolkit, or of vectors whose model is not at hand."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mrlspk.config.architecture import HeadArchitecture
from mrlspk.models.head import MatryoshkaHead
from mrlspk.models.head_transforms import AffineMap, head_of
from mrlspk.models.headed_model import HeadedModel

type Embed = Callable[[NDArray[np.float32]], NDArray[np.float32]]


class ExternalEncoder(HeadedModel):
    """Map waveforms to embeddings of a base model, at unit length, and these to new ones by a head.

    The base model is no part of the state dict. `attach` gives it to the encoder; without it only `project` works.

    Args:
        head: Maps embeddings of the base model, at unit length, to new embeddings.
        dims: The prefix widths of the head, rising.
        base_fingerprint: Identifies the base model; None if it is not known.
    """

    def __init__(self, head: MatryoshkaHead, dims: tuple[int, ...], *, base_fingerprint: str | None) -> None:
        super().__init__()
        self.head, self.dims = head, dims
        self.base_fingerprint = base_fingerprint  # a public setting, and so a part of `model_fingerprint`
        self._embed: Embed | None = None
        self._min_samples = 1

    def attach(self, embed: Embed, *, min_samples: int) -> None:
        """Let `pooled` compute embeddings by ``embed``, from (batch, samples) of at least ``min_samples`` samples."""
        self._embed, self._min_samples = embed, min_samples

    @property
    def min_samples(self) -> int:
        """The fewest samples of a waveform."""
        return self._min_samples

    def with_head(self, head: MatryoshkaHead, dims: tuple[int, ...]) -> Self:
        """Return an encoder of the same base model with another head."""
        other = type(self)(head, dims, base_fingerprint=self.base_fingerprint)
        if self._embed is not None:
            other.attach(self._embed, min_samples=self._min_samples)
        return other

    def pooled(self, waveform: Tensor) -> Tensor:
        """Map (batch, samples) at 16 kHz to embeddings of the base model (batch, pooled_dim), at unit length.

        Raises:
            RuntimeError: If no base model is attached.
        """
        if self._embed is None:
            raise RuntimeError("no base model is attached")
        vectors = torch.from_numpy(self._embed(waveform.cpu().numpy()))
        return functional.normalize(vectors, dim=1).to(waveform.device)


def build_external_encoder(architecture: HeadArchitecture, *, empty: bool = False) -> ExternalEncoder:
    """Return a head without its base model, with random weights; if ``empty``, with weights that take no memory."""
    dims = architecture.matryoshka_dims
    with torch.device("meta") if empty else nullcontext():
        head = MatryoshkaHead(architecture.in_features, dims[-1], output_norm=architecture.output_norm)
    return ExternalEncoder(head, dims, base_fingerprint=architecture.fingerprint)


def identity_head(dim: int) -> MatryoshkaHead:
    """Return a head in evaluation mode that leaves embeddings of ``dim`` values as they are."""
    return head_of(AffineMap(torch.eye(dim, dtype=torch.float64), torch.zeros(dim, dtype=torch.float64)))
