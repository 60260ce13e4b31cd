"""Define the embeddings of a run, which stay in its spool, and what is known of them all."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from mrlspk.data.audio.channels import CHANNELS_DIFFER
from mrlspk.inference.embedding import unit_prefix
from mrlspk.inference.recording import EmbeddedRecording
from mrlspk.workflows.embedding_spool import Spool

MOST_NAMED = 3  # files in a warning


@dataclass(frozen=True, eq=False)
class EmbeddedRows:
    """Embeddings in input order, read from the spool each time.

    Attributes:
        spool: Has the rows.
        ids: In input order.
        offsets: Of the rows, in the same order.
        dim: Width of the embeddings.
    """

    spool: Spool
    ids: list[str]
    offsets: list[int]
    dim: int

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[tuple[str, EmbeddedRecording]]:
        """Yield ids and embeddings, whose vectors are (dim,) at unit length."""
        for file_id, item in self.spool.read(self.offsets):
            yield file_id, replace(item, vector=unit_prefix(item.vector, self.dim))


@dataclass
class Totals:
    """What is known of all embeddings.

    Attributes:
        audio_seconds: Length of the recordings.
        warnings: How many recordings have each warning.
        channels_differ: The first ids of recordings whose mix may hold several voices.
    """

    audio_seconds: float = 0.0
    warnings: Counter[str] = field(default_factory=Counter)
    channels_differ: list[str] = field(default_factory=list)

    def add(self, file_id: str, item: EmbeddedRecording) -> None:
        """Count one embedding."""
        self.audio_seconds += item.seconds
        self.warnings.update(item.warnings)
        if CHANNELS_DIFFER in item.warnings and len(self.channels_differ) < MOST_NAMED:
            self.channels_differ.append(file_id)
