"""Run a model with a transform after it: a Matryoshka model of any speaker model.

The file of the transform names the file of its base model, which lies beside it.
"""

import hashlib
import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mrlspk.errors import CheckpointError
from mrlspk.files import file_sha256
from mrlspk.inference.backend import Backend, LoadedBackend
from mrlspk.inference.backend_registry import load_backend
from mrlspk.inference.model_file import ModelFile
from mrlspk.rotation.transform import BaseModel, Transform
from mrlspk.rotation.transform_file import load_transform


class TransformedBackend:
    """A model as a `Backend` whose embeddings a transform maps to new ones.

    Args:
        base: The model.
        transform: Of its embeddings.
    """

    def __init__(self, base: Backend, transform: Transform) -> None:
        self._base, self._transform = base, transform

    @property
    def dims(self) -> tuple[int, ...]:
        """The prefix widths of the transform, rising."""
        return self._transform.dims

    @property
    def embed_dim(self) -> int:
        """The full width."""
        return self._transform.embed_dim

    @property
    def sample_rate(self) -> int:
        """Hz of the waveforms."""
        return self._base.sample_rate

    @property
    def min_samples(self) -> int:
        """The fewest samples of a waveform."""
        return self._base.min_samples

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the fingerprint of the base model and of the transform."""
        found = hashlib.sha256(json.dumps(self._base.fingerprint).encode())
        for values in (self._transform.mean, self._transform.matrix, self._transform.scales):
            found.update(values.astype("<f8").tobytes())
        return found.hexdigest()

    @property
    def runtime(self) -> Mapping[str, str]:
        """Of the base model."""
        return self._base.runtime

    @property
    def concurrency(self) -> int:
        """Of the base model."""
        return self._base.concurrency

    def embed(self, waveforms: NDArray[np.float32]) -> NDArray[np.float32]:
        """Map (batch, samples) in [-1, 1] to (batch, embed_dim), not of unit length; not finite without a direction."""
        with np.errstate(invalid="ignore"):
            return self._transform.apply(self._base.embed(waveforms))


def load_transformed_model(model: ModelFile, device: str) -> LoadedBackend:
    """Return the backend of a transform (.npz) and its base model.

    Raises:
        DataError: If the file is no transform.
        CheckpointError: If it names no base model, or that file is absent, another one or of another width.
        UsageError: If no device is called ``device``.
        MissingDependencyError: If this machine has no such device, or the runtime is not installed.
    """
    transform = load_transform(model.path)
    if transform.base is None:
        fix = "Make it with `mrlspk rotate MODEL --speech DIR -o FILE.npz`; `mrlspk vectors apply` takes it as it is."
        raise CheckpointError("is a transform of vectors, and names no base model", model.path, fix)
    path = find_base(transform.base, model.path)
    base = load_backend(ModelFile(path, str(path)), device=device, backend="auto").backend
    if base.embed_dim != transform.embed_dim:
        what = f"expected {transform.embed_dim} values, as the transform {model.path} has, got {base.embed_dim}"
        raise CheckpointError(what, path)
    return LoadedBackend(TransformedBackend(base, transform))


def find_base(base: BaseModel, transform_path: Path) -> Path:
    """Return the file of a base model, which lies beside the transform.

    Raises:
        CheckpointError: If its name is a path, or the file is absent or another one.
    """
    if Path(base.file).name != base.file:
        raise CheckpointError("expected a file name as the base model, got a path", transform_path, "Make it again.")
    path = transform_path.with_name(base.file)
    if not path.is_file():
        raise CheckpointError(f"its base model {base.file} is not beside it", transform_path, "Copy it there.")
    if (found := file_sha256(path)) != base.sha256:
        what = f"expected the base model of {transform_path}, with the SHA-256 {base.sha256}, got {found}"
        raise CheckpointError(what, path, "Put the file there that the transform was fitted to.")
    return path
