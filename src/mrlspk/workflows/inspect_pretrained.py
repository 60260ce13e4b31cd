"""What a checkpoint file holds, and what of it loads."""

from dataclasses import dataclass
from pathlib import Path

from mrlspk.files import file_sha256
from mrlspk.models.checkpoints import ModelInspection, inspect_model


@dataclass(frozen=True)
class InspectedModel:
    """A file, and what it says of itself."""

    path: Path
    sha256: str
    bytes: int
    model: ModelInspection


def inspect_pretrained(path: Path) -> InspectedModel:
    """Return what the checkpoint in ``path`` holds, whether or not all of it loads.

    Raises:
        CheckpointError: If the file is no checkpoint, or its configuration holds anything unknown.
    """
    model = inspect_model(path)
    return InspectedModel(path, file_sha256(path), path.stat().st_size, model)
