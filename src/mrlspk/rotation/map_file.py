"""Load what maps the vectors of a model to new ones: a transform, or the head in a checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mrlspk.config.architecture import HeadArchitecture
from mrlspk.errors import CheckpointError, DataError
from mrlspk.inference.embedding_map import EmbeddingMap
from mrlspk.inference.model_file import ModelFile
from mrlspk.rotation.transform_file import SUFFIX, load_transform
from mrlspk.vectors.table import VectorTable

OTHER_VECTORS = "Give vectors of the model that it was made from."


@dataclass(frozen=True, eq=False)
class VectorMap:
    """A transform or a head.

    Attributes:
        path: Its file.
        map: What it computes of vectors at unit length.
        fingerprint: Of the model that made these vectors; None if unknown.
        summary: How a transform was fitted, or the head transformed before training; None if it was not.
    """

    path: Path
    map: EmbeddingMap
    fingerprint: str | None
    summary: Mapping[str, Any] | None

    def check_fit(self, table: VectorTable, path: Path) -> None:
        """Check that vectors are of the width and, as far as both files say, of the model that are expected.

        Args:
            table: The vectors.
            path: Their file.

        Raises:
            DataError: If they are not.
        """
        if table.dim != self.map.in_features:
            what = f"expected {self.map.in_features} values a vector, as {self.path} has, got {table.dim}"
            raise DataError(what, path, OTHER_VECTORS)
        known = self.fingerprint, table.fingerprint
        if None not in known and known[0] != known[1]:
            raise DataError(f"is of the model {known[1]}, and {self.path} of {known[0]}", path, OTHER_VECTORS)

    def fingerprint_on(self, table: VectorTable) -> str | None:
        """Return the fingerprint of the mapped vectors: that of their model with the map after it; None if unknown."""
        return None if table.fingerprint is None else self.map.fingerprint_on(table.fingerprint)


def load_vector_map(path: Path) -> VectorMap:
    """Return the transform (.npz) or the head (any checkpoint) in a file.

    Raises:
        DataError: If an .npz file is no transform, or is damaged.
        CheckpointError: If another file is no checkpoint, or has a network of its own.
    """
    if path.suffix.lower() == SUFFIX:
        transform = load_transform(path)
        return VectorMap(path, transform.map, transform.fingerprint, transform.summary())
    if path.suffix.lower() == ".onnx":
        what = "is a model of recordings, not a transform or a head to apply to vectors"
        fix = (
            "Give the .npz of `mrlspk rotate`, or a head of `mrlspk train --vectors`. To embed recordings with this "
            f"model: mrlspk embed DIR --model {path} -o FILE.npz"
        )
        raise CheckpointError(what, path, fix)
    from mrlspk.inference.torch_backend import load_checkpoint, map_of  # a transform needs no PyTorch
    from mrlspk.models.checkpoints import schema

    loaded = load_checkpoint(ModelFile(path, str(path)))
    if not isinstance(loaded.architecture, HeadArchitecture):
        what = "has a network of its own, and cannot be applied to vectors"
        raise CheckpointError(what, path, f"Embed the recordings with it: mrlspk embed DIR --model {path} -o FILE.npz")
    summary = loaded.contents.get(schema.TRANSFORM)
    return VectorMap(path, map_of(loaded.encoder), loaded.architecture.fingerprint, summary)
