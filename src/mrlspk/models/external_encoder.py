"""A head on the embeddings of a model of another toolkit, or of vectors whose model is not at hand."""

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mrlspk.config.architecture import HeadArchitecture
from mrlspk.models.head import MatryoshkaHead
from mrlspk.models.head_transforms import AffineMap, head_of
from mrlspk.models.headed_model import HeadedModel

type Values = NDArray[np.float32]
type Embed = Callable[[Values], Values]

PIECE = 4  # waveforms of one call, if several threads may call at once


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
        self._min_samples = self._concurrency = 1
        self._runtime: Mapping[str, str] = {}

    def attach(
        self, embed: Embed, *, min_samples: int, concurrency: int = 1, runtime: Mapping[str, str] | None = None
    ) -> None:
        """Let `pooled` compute embeddings by a base model.

        Args:
            embed: Maps (batch, samples) to (batch, pooled_dim), of any length.
            min_samples: The fewest samples of a waveform.
            concurrency: Threads that may call ``embed`` at once.
            runtime: What computes them, in which version.
        """
        self._embed, self._min_samples = embed, min_samples
        self._concurrency, self._runtime = concurrency, dict(runtime or {})

    @property
    def is_attached(self) -> bool:
        """Whether there is a base model."""
        return self._embed is not None

    @property
    def runtime(self) -> Mapping[str, str]:
        """What computes the embeddings of the base model, in which version."""
        return self._runtime

    @property
    def concurrency(self) -> int:
        """Threads that may call `pooled` at once."""
        return self._concurrency

    @property
    def min_samples(self) -> int:
        """The fewest samples of a waveform."""
        return self._min_samples

    def with_head(self, head: MatryoshkaHead, dims: tuple[int, ...]) -> Self:
        """Return an encoder of the same base model with another head."""
        other = type(self)(head, dims, base_fingerprint=self.base_fingerprint)
        if self._embed is not None:
            other.attach(
                self._embed,
                min_samples=self._min_samples,
                concurrency=self._concurrency,
                runtime=self._runtime,
            )
        return other

    def pooled(self, waveform: Tensor) -> Tensor:
        """Map (batch, samples) at 16 kHz to embeddings of the base model (batch, pooled_dim), at unit length.

        Raises:
            RuntimeError: If no base model is attached.
        """
        if self._embed is None:
            raise RuntimeError("no base model is attached")
        vectors = torch.from_numpy(self._embed_in_threads(self._embed, waveform.cpu().numpy()))
        return _to_unit(vectors).to(waveform.device)

    def mean_pooled(self, vectors: Sequence[Values]) -> Values:
        """Return the mean of the embeddings of a recording's windows, at unit length.

        It is not finite if they cancel out.
        """
        mean: Values = _to_unit(torch.from_numpy(super().mean_pooled(vectors))[None])[0].numpy()
        return mean

    def _embed_in_threads(self, embed: Embed, waveforms: Values) -> Values:
        """Embed waveforms in threads, in pieces of `PIECE`; at once if only one thread may call."""
        pieces = [waveforms[start : start + PIECE] for start in range(0, len(waveforms), PIECE)]
        if self._concurrency == 1 or len(pieces) == 1:
            return embed(waveforms)
        with ThreadPoolExecutor(min(self._concurrency, len(pieces))) as threads:
            return np.concatenate(list(threads.map(embed, pieces)))


def _to_unit(vectors: Tensor) -> Tensor:
    unit: Tensor = vectors / torch.linalg.vector_norm(vectors, dim=1, keepdim=True)
    return unit


def build_external_encoder(architecture: HeadArchitecture, *, empty: bool = False) -> ExternalEncoder:
    """Return a head without its base model, with random weights; if ``empty``, with weights that take no memory."""
    dims = architecture.matryoshka_dims
    with torch.device("meta") if empty else nullcontext():
        head = MatryoshkaHead(architecture.in_features, dims[-1], output_norm=architecture.output_norm)
    return ExternalEncoder(head, dims, base_fingerprint=architecture.fingerprint)


def identity_head(dim: int) -> MatryoshkaHead:
    """Return a head in evaluation mode that leaves embeddings of ``dim`` values as they are."""
    return head_of(AffineMap(torch.eye(dim, dtype=torch.float64), torch.zeros(dim, dtype=torch.float64)))
