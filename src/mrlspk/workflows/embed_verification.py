"""Embed some files once more, each by itself, and compare: batches and threads must not change an embedding."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice

import numpy as np

from mrlspk.data.utterance_ids import printable
from mrlspk.errors import DataError, MrlspkError
from mrlspk.inference.embedding import unit_prefix
from mrlspk.inference.recording import EmbeddedRecording, TooShort
from mrlspk.workflows.embedding_rows import EmbeddedRows

TOLERANCE = 1e-5  # of the values of unit vectors
MOST_LISTED = 10  # files in an error

type EmbedSingly = Callable[[str], EmbeddedRecording | TooShort | DataError]


@dataclass(frozen=True)
class Verified:
    """Embeddings that were made again.

    Attributes:
        files: How many.
        max_difference: Largest difference of a value of the unit vectors.
    """

    files: int
    max_difference: float


def verify_rows(rows: EmbeddedRows, embed: EmbedSingly, *, files: int) -> Verified:
    """Compare embeddings, spread evenly over all rows, with those of the same files embedded singly.

    Args:
        rows: Embeddings.
        embed: Embeds the file of an id, with nothing else at the same time.
        files: How many to compare; all if there are fewer.

    Raises:
        DataError: If a file has no embedding now.
        MrlspkError: If a value differs by more than 1e-5.
    """
    differences: dict[str, float] = {}
    for file_id, item in _spread(rows, files):
        again = embed(file_id)
        if not isinstance(again, EmbeddedRecording):
            problem = again.what if isinstance(again, DataError) else "too short"
            raise DataError(f"cannot be verified: {problem}", printable(file_id), "Embed again with `resume`.")
        differences[file_id] = float(np.abs(unit_prefix(again.vector, rows.dim) - item.vector).max())
    off = {file_id: value for file_id, value in differences.items() if value > TOLERANCE}
    if off:
        listed = "\n".join(
            f"  {printable(file_id)}: {value:.1e}" for file_id, value in islice(off.items(), MOST_LISTED)
        )
        raise MrlspkError(
            f"{len(off)} of {len(differences)} files differ by more than {TOLERANCE:g} when embedded singly:\n{listed}",
            fix="Find out whether the files have changed; if not, give `backend=torch`.",
            parameter="verify",
        )
    return Verified(len(differences), max(differences.values(), default=0.0))


def _spread(rows: EmbeddedRows, files: int) -> EmbeddedRows:
    """Return at most ``files`` rows at equal distances."""
    n_chosen = min(files, len(rows))
    chosen = [position * len(rows) // n_chosen for position in range(n_chosen)]
    return replace(rows, ids=[rows.ids[each] for each in chosen], offsets=[rows.offsets[each] for each in chosen])
