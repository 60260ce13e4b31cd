"""Describe an exported graph in the string properties of an ONNX file, without torch."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from mrlspk.models.score_ranges import ScoreRanges

PROPERTY = "mrlspk"  # its value is the metadata as JSON
EXPORTER = 3  # raised when exported graphs change, so that kept ones are made again
FEATURES, FRAMES = "features", "frames"  # the values that the network in a graph reads, and those that it returns

type GraphInput = Literal["waveform", "features"]


@dataclass(frozen=True, eq=False)
class GraphCheck:
    """What the encoder computed in PyTorch, to be compared with the graph wherever it is run.

    Attributes:
        n_samples: Length of the signal that `check_signal` returns.
        embedding: (embed_dim,) float32, not of unit length.
    """

    n_samples: int
    embedding: NDArray[np.float32]


class GraphMetadata(BaseModel):
    """Describe an exported encoder.

    Attributes:
        version: Of this description.
        input: What the graph reads: waveforms (batch, samples), or log-mel features (batch, mels, frames); features of
            a speaker model of another toolkit are (batch, frames, bins).
        dims: The prefix widths that the model was trained for, rising; the last is the full width.
        sample_rate: Hz.
        min_samples: The fewest samples of a waveform.
        fingerprint: Of the encoder, as of `mrlspk.models.fingerprint`.
        family: Layout of the file that it was exported from.
        licence: Of the model.
        calibration: Of the model, as in its checkpoint; None without one.
        score_ranges: Of the model, as in its checkpoint; empty without.
        config: The resolved configuration of the training run, as in the checkpoint; None without one.
        base: ``file`` and ``sha256`` of the speaker model of another toolkit that is in the graph; None for our own.
        front_end: Of that model, as in its YAML file: it is inside the graph, or computes the features that it reads.
        transform: What cards say of the transform after that model; None without one.
        checks: By the number of samples, the embedding of `check_signal` as base64 of little-endian float32.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    version: Literal[1] = 1
    input: GraphInput = "waveform"
    dims: tuple[int, ...]
    sample_rate: int
    min_samples: int
    fingerprint: str
    family: str
    licence: str
    calibration: dict[str, Any] | None = None
    score_ranges: tuple[ScoreRanges, ...] = ()
    config: dict[str, Any] | None = None
    base: dict[str, str] | None = None
    front_end: dict[str, Any] | None = None
    transform: dict[str, Any] | None = None
    checks: dict[int, str] = {}

    @property
    def computed_by(self) -> str:
        """What computed the checks, for messages."""
        return "PyTorch" if self.base is None else "ONNX Runtime at the export"

    @property
    def graph_checks(self) -> tuple[GraphCheck, ...]:
        """The checks, shortest signal first."""
        decoded = ((n, base64.b64decode(text)) for n, text in sorted(self.checks.items()))
        return tuple(GraphCheck(n, np.frombuffer(data, "<f4").astype(np.float32)) for n, data in decoded)

    def with_checks(self, checks: Mapping[int, NDArray[np.float32]]) -> Self:
        """Return the same description with other checks: vectors (embed_dim,) by number of samples."""
        encoded = {n: base64.b64encode(vector.astype("<f4").tobytes()).decode() for n, vector in checks.items()}
        return self.model_copy(update={"checks": encoded})

    def properties(self) -> dict[str, str]:
        """Return the string properties of an ONNX file."""
        return {PROPERTY: self.model_dump_json()}


def read_metadata(properties: Mapping[str, str]) -> GraphMetadata | None:
    """Return the description in the string properties of an ONNX file; None if it is not one of ours.

    Raises:
        ValueError: If the description is damaged.
    """
    if PROPERTY not in properties:
        return None
    try:
        metadata = GraphMetadata.model_validate_json(properties[PROPERTY])
        wrong = any(len(check.embedding) != metadata.dims[-1] for check in metadata.graph_checks)
    except (ValidationError, binascii.Error, IndexError) as error:
        raise ValueError(f"its {PROPERTY} metadata is damaged") from error
    if wrong:
        raise ValueError(f"its {PROPERTY} metadata is damaged: a check is of another width")
    return metadata


def check_signal(n_samples: int) -> NDArray[np.float32]:
    """Return (n_samples,): a sum of harmonics and noise that is the same on every machine, like a voice in level.

    Integer arithmetic makes the noise, so no version of a random generator matters.
    """
    index = np.arange(n_samples, dtype=np.uint64)
    mixed = (index + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    noise = (mixed >> np.uint64(40)).astype(np.float64) / 2**23 - 1
    time = np.arange(n_samples) / 16_000
    voice = sum(np.sin(2 * np.pi * 120 * k * time * (1 + 0.02 * np.sin(6 * time))) / k for k in range(1, 20))
    envelope = 0.55 + 0.45 * np.sin(2 * np.pi * 3 * time)
    return (0.1 * envelope * voice + 0.01 * noise).astype(np.float32)
