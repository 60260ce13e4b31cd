"""Find the model beneath a head or a transform, which lies beside its file."""

import shlex
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
        raise CheckpointError(f"its base model {base.file} is not beside it", beside, _bring_along(beside))
    if (found := file_sha256(path)) != base.sha256:
        what = f"expected the base model of {beside}, with the SHA-256 {base.sha256}, got {found}"
        raise CheckpointError(what, path, "Put the file there that it was made from.")
    return path


def _bring_along(beside: Path) -> str:
    """Return how to have a base model where its head is; a transform cannot hold it."""
    if beside.suffix.lower() == ".npz":
        return "Copy it there."
    whole = f"mrlspk pretrained convert {shlex.quote(beside.name)} -o whole.pt --bundle"
    return f"Copy it there, or put both into one file where they came from: {whole}"


def check_width(base: Backend, path: Path, *, expected: int, of: Path) -> None:
    """Check the width of a base model's embeddings.

    Raises:
        CheckpointError: If they do not have the ``expected`` number of values that the file ``of`` maps.
    """
    if base.embed_dim != expected:
        raise CheckpointError(f"expected {expected} values, as {of} maps, got {base.embed_dim}", path)
