"""Measure the ranges of same-speaker and different-speaker scores at each width, and read those of a model."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from mrlspk.errors import CheckpointError, MetricError
from mrlspk.inference.backend import LoadedBackend
from mrlspk.models.score_ranges import ScoreQuantiles, ScoreRanges

LEVELS = 0.05, 0.5, 0.95
_RANGES = TypeAdapter(tuple[ScoreRanges, ...])


def measure_score_ranges(
    scores: NDArray[np.floating], is_target: NDArray[np.bool_], dims: Sequence[int]
) -> tuple[ScoreRanges, ...]:
    """Return the 5, 50 and 95 % quantiles of the scores of target and non-target trials, by width.

    Args:
        scores: (trials, len(dims)).
        is_target: (trials,).
        dims: Width of each column.

    Raises:
        MetricError: If one kind of trial is absent.
    """
    if not 0 < (n_target := np.count_nonzero(is_target)) < is_target.size:
        found = f"{n_target} target and {is_target.size - n_target} non-target"
        raise MetricError(f"score ranges need both kinds of trial, got {found}")
    return tuple(
        ScoreRanges(dim=dim, same=_quantiles(column[is_target]), different=_quantiles(column[~is_target]))
        for dim, column in zip(dims, scores.T, strict=True)
    )


def read_score_ranges(contents: dict[str, Any], path: Path) -> tuple[ScoreRanges, ...]:
    """Return the ranges in a checkpoint: those of its model card, or of the rotation that wrote it; none of others.

    Raises:
        CheckpointError: If the entry is damaged.
    """
    from mrlspk.models.checkpoints import schema  # graphs need no PyTorch
    from mrlspk.models.checkpoints.model_card import read_card

    if card := read_card(contents, path):
        return card.score_ranges
    try:
        return _RANGES.validate_python(contents.get(schema.SCORE_RANGES, ()))
    except ValidationError as error:
        what = f"its {schema.SCORE_RANGES} are damaged: {error.errors()[0]['msg']}"
        raise CheckpointError(what, path, "Give the checkpoint as it was written.") from error


def known_score_ranges(loaded: LoadedBackend, path: Path) -> tuple[ScoreRanges, ...]:
    """Return the ranges that a model's file holds; none if it holds none.

    Raises:
        CheckpointError: If they are damaged.
    """
    if loaded.checkpoint is not None:
        if loaded.checkpoint.family != "mrlspk":
            return ()
        return read_score_ranges(loaded.checkpoint.contents, path)
    return loaded.metadata.score_ranges if loaded.metadata else ()


def _quantiles(scores: NDArray[np.floating]) -> ScoreQuantiles:
    low, median, high = np.quantile(scores, LEVELS).tolist()
    return ScoreQuantiles(n=scores.size, p05=low, p50=median, p95=high)
