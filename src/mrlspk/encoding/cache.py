"""Embeddings kept from one run to the next."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class EmbeddingCache:
    """A folder in which embeddings are kept, by the model, the audio's content and how it was embedded."""

    folder: Path
