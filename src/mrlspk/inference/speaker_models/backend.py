"""Run a speaker model in ONNX Runtime on the CPU as an inference backend."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import UsageError
from mrlspk.inference.graph_backend import usable_processors
from mrlspk.inference.speaker_models.description import Description
from mrlspk.inference.speaker_models.front_ends import KaldiFbank, NemoMel, Waveform, build_front_end, front_end_version
from mrlspk.inference.speaker_models.graph_ports import FLOAT

FORMAT = 1  # raised when equal files and front ends give other embeddings

type Values = NDArray[np.float32]


class Session(Protocol):
    """What computes a model, called as a session of ONNX Runtime is."""

    def run(self, outputs: Sequence[str], feeds: Mapping[str, NDArray[Any]], /) -> Sequence[Any]:
        """Return the outputs of these names; ``feeds`` has the inputs by name."""


class SpeakerModelBackend:
    """A speaker model as a `Backend`; each call uses one thread, and any number of threads may call at once.

    Args:
        session: With one thread.
        description: Of its front end and graph.
        sha256: Of its file and weights.
        embed_dim: Width of the embedding.
        min_samples: The fewest samples of which it makes an embedding.
        one_by_one: The graph takes no batch of several.
    """

    def __init__(
        self,
        session: Session,
        description: Description,
        *,
        sha256: str,
        embed_dim: int,
        min_samples: int,
        one_by_one: bool,
    ) -> None:
        self.description = description
        self._session, self._sha256, self._embed_dim = session, sha256, embed_dim
        self._min_samples, self._one_by_one = min_samples, one_by_one
        self._compute = build_front_end(description.front_end, description.sample_rate)

    def with_front_end(self, front_end: KaldiFbank) -> "SpeakerModelBackend":
        """Return the same model behind other filter banks."""
        return SpeakerModelBackend(
            self._session,
            replace(self.description, front_end=front_end),
            sha256=self._sha256,
            embed_dim=self._embed_dim,
            min_samples=self._min_samples,
            one_by_one=self._one_by_one,
        )

    @property
    def dims(self) -> tuple[int, ...]:
        """The full width alone: such a model was not trained for prefixes."""
        return (self._embed_dim,)

    @property
    def embed_dim(self) -> int:
        """The width of the embedding."""
        return self._embed_dim

    @property
    def sample_rate(self) -> int:
        """Hz of the waveforms."""
        return self.description.sample_rate

    @property
    def min_samples(self) -> int:
        """The fewest samples of a waveform."""
        return self._min_samples

    @property
    def takes_batches(self) -> bool:
        """Whether the graph computes several recordings at once."""
        return not self._one_by_one

    @property
    def fingerprint(self) -> str:
        """SHA-256 of the file, the front end and the names of input and output."""
        described = self.description
        content = {
            "format": FORMAT,
            "file": self._sha256,
            "front_end": described.front_end.model_dump(),
            "ports": [described.input.name, described.axes, described.output.name],
        }
        return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()

    @property
    def runtime(self) -> Mapping[str, str]:
        """The versions of ONNX Runtime and of the library of the front end, the device and the precision."""
        import onnxruntime

        versions = {"onnxruntime": onnxruntime.__version__} | front_end_version(self.description.front_end)
        return versions | {"device": "cpu", "precision": "f32"}

    @property
    def concurrency(self) -> int:
        """The processors that this process may use."""
        return usable_processors()

    def embed(self, waveforms: Values) -> Values:
        """Map (batch, samples) in [-1, 1] to (batch, embed_dim), not of unit length.

        Raises:
            UsageError: If they have fewer than `min_samples` samples.
        """
        if waveforms.shape[1] < self.min_samples:
            raise UsageError(f"expected at least {self.min_samples} samples, got {waveforms.shape[1]}")
        return self.run([self._compute(waveform) for waveform in np.ascontiguousarray(waveforms, np.float32)])

    def run(self, features: Sequence[Values]) -> Values:
        """Map features of equal shape, (frames, bins) or (samples,), to (batch, embed_dim)."""
        if self._one_by_one:
            return np.concatenate([self._run_batch(each[None]) for each in features])
        return self._run_batch(np.stack(features))

    def _run_batch(self, features: Values) -> Values:
        described = self.description
        n_valid = features.shape[1]
        if isinstance(described.front_end, NemoMel) and (over := n_valid % described.front_end.pad_to):
            features = np.pad(features, ((0, 0), (0, described.front_end.pad_to - over), (0, 0)))
        feeds = {described.input.name: _arranged(features, described)}
        if lengths := described.lengths:
            # as SpeechBrain has them: parts of the longest
            value = 1 if lengths.kind == FLOAT else n_valid
            feeds[lengths.name] = np.full(len(features), value, lengths.kind)
        vectors: Values = self._session.run([described.output.name], feeds)[0]
        return vectors.reshape(len(features), -1)


def _arranged(features: Values, described: Description) -> Values:
    """Return (batch, time, bins) or (batch, time) in the order of axes of the graph."""
    if isinstance(described.front_end, Waveform):
        return features[:, None] if "channel" in described.axes else features
    order = [("batch", "time", "bins").index(axis) for axis in described.axes]
    return np.ascontiguousarray(features.transpose(order))
