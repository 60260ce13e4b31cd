"""Compare what a backend computes on this machine with what its source computed when its graph was exported."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import CheckpointError
from mrlspk.inference.backend import Backend
from mrlspk.models.graph_metadata import GraphCheck, GraphMetadata, check_signal

TOLERANCE = 1e-4  # of the values of unit vectors


def check_parity(backend: Backend, metadata: GraphMetadata, where: Path) -> None:
    """Embed the check signals of a graph and compare the embeddings with those in its metadata.

    Raises:
        CheckpointError: If a value of a unit vector differs by more than 1e-4, or the graph has no checks.
    """
    if not metadata.graph_checks:
        raise CheckpointError("holds no embeddings to compare with", where, "Export it again.")
    for check in metadata.graph_checks:
        found = backend.embed(check_signal(check.n_samples)[None])[0]
        difference = _largest_difference(found, check)
        if not difference <= TOLERANCE:  # NaN too
            seconds = check.n_samples / metadata.sample_rate
            raise CheckpointError(
                f"the embedding of {seconds:g} s differs from {metadata.computed_by} by {difference:.1g}, "
                f"more than {TOLERANCE:g}",
                where,
                "Give the model that it was exported from, or another `backend`.",
            )


def _largest_difference(found: NDArray[np.float32], check: GraphCheck) -> float:
    """Return the largest difference of a value after both are scaled to unit length."""
    return float(np.abs(to_unit(found) - to_unit(check.embedding)).max())


def to_unit(vectors: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return (…, values) at unit length; a vector without a direction becomes NaN, which never passes."""
    wide = vectors.astype(np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        unit: NDArray[np.float64] = wide / np.linalg.norm(wide, axis=-1, keepdims=True)
    return unit
