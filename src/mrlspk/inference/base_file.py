"""Find the model beneath a head or a transform, which lies beside its file."""

from collections.abc import Callable
from pathlib import Path

from mrlspk.config.architecture import BaseFile
from mrlspk.errors import CheckpointError
from mrlspk.files import file_sha256
from mrlspk.inference.backend import Backend
from mrlspk.inference.model_file import ModelFile
from mrlspk.reading import is_file

type LoadBase = Callable[[ModelFile], Backend]


def find_base(base: BaseFile, beside: Path) -> Path:
    """Return the file of a base model.

    Args:
        base: Its name and SHA-256.
        beside: The file of the head or transform.

    Raises:
        CheckpointError: If the file is absent or another one.
    """
    path = beside.with_name(base.file)
    if not is_file(path, CheckpointError):
        raise CheckpointError(f"its base model {base.file} is not beside it", beside, "Copy it there.")
    if (found := file_sha256(path)) != base.sha256:
        what = f"expected the base model of {beside}, with the SHA-256 {base.sha256}, got {found}"
        raise CheckpointError(what, path, "Put the file there that it was made from.")
    return path


def check_width(base: Backend, path: Path, *, expected: int, of: Path) -> None:
    """Check the width of a base model's embeddings.

    Raises:
        CheckpointError: If they do not have the ``expected`` number of values that the file ``of`` maps.
    """
    if base.embed_dim != expected:
        raise CheckpointError(f"expected {expected} values, as {of} maps, got {base.embed_dim}", path)
