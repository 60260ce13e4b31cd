"""Rebuild the model before its rotation or training, for `eval` with baselines."""

import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from mrlspk.errors import CheckpointError, UsageError
from mrlspk.files import file_sha256
from mrlspk.inference.backend import Backend
from mrlspk.inference.mapped_backend import MappedBackend
from mrlspk.inference.model_file import locate_model
from mrlspk.inference.torch_backend import TorchBackend, load_checkpoint, map_of
from mrlspk.models.checkpoints import LoadedModel, network_of, schema
from mrlspk.models.checkpoints.schema import BaseModelFile, Provenance
from mrlspk.models.encoder import Encoder
from mrlspk.models.external_encoder import ExternalEncoder, identity_head
from mrlspk.models.head import MatryoshkaHead
from mrlspk.models.head_transforms import AffineMap, head_of
from mrlspk.models.headed_model import HeadedModel
from mrlspk.rotation.closed_form import read_rotation

log = logging.getLogger("mrlspk.evaluation")

AS_WRITTEN = "Give the checkpoint as it was written, or leave out `baselines`."
NO_BASELINES = "Leave out `baselines`: there is no earlier model to compare it with."
NOT_RECORDED = "it does not say which model it was made from"


@dataclass(frozen=True, eq=False)
class Origin:
    """The model that another one was made from.

    Attributes:
        encoder: In evaluation mode, on the model's device; its embedding is not rotated.
        rotation: (embed_dim, embed_dim), the rotation of that embedding; None if there was none.
        base: The model of another toolkit whose embeddings the encoder maps; None for a network of ours.
    """

    encoder: HeadedModel
    rotation: NDArray[np.float64] | None
    base: Backend | None = None

    @property
    def backend(self) -> Backend:
        """The encoder as an inference backend."""
        if self.base is not None:
            return MappedBackend(self.base, map_of(self.encoder))
        assert isinstance(self.encoder, Encoder)
        return TorchBackend(self.encoder)


def find_origin(
    loaded: LoadedModel, path: Path, *, backend: Backend | None = None, cache_dir: Path | None, mirror: str | None
) -> Origin:
    """Return the model that ``loaded`` was made from, one step back, as its provenance says.

    A rotation is undone. A trained head has the head before it in its checkpoint. Other runs name the file of their
    base model. A model of one width that no run wrote is its own origin.

    Args:
        loaded: The model.
        path: Its file.
        backend: That runs it; needed of a head on a model of another toolkit.
        cache_dir: Folder of fetched models; None: no base model can be loaded.
        mirror: URL or folder with copies of the published files.

    Raises:
        CheckpointError: If the file does not record its base model, is damaged, or names a missing or changed file.
        DownloadError: If it names a published model that cannot be fetched.
        UsageError: If it names a file and there is no ``cache_dir``.
    """
    contents, kind, own = loaded.contents, loaded.provenance.kind, loaded.encoder
    rotation = read_rotation(contents[schema.ROTATION], path).matrix if schema.ROTATION in contents else None
    if kind in {"head_run", "rotated"} and schema.OWN_HEAD in contents:
        head = _own_head(contents[schema.OWN_HEAD], own.pooled_dim, path)
        encoder = own.with_head(head, (head.linear.out_features,)).eval()
    elif kind == "rotated":
        encoder = _before_rotation(own, rotation, contents, path)
    elif kind in {"head_run", "network_run"}:
        encoder = _load_base(loaded, path, cache_dir=cache_dir, mirror=mirror)
    elif len(own.dims) == 1:
        encoder = own
    else:
        raise CheckpointError(
            NOT_RECORDED,
            path,
            "Give a checkpoint that `mrlspk train` or `mrlspk rotate` wrote, or leave out `baselines`.",
        )
    _check_rotation(rotation, encoder, path)
    return Origin(encoder.to(own.device), rotation, backend.base if isinstance(backend, MappedBackend) else None)


def _before_rotation(
    encoder: HeadedModel, rotation: NDArray[np.float64] | None, contents: dict[str, Any], path: Path
) -> HeadedModel:
    if rotation is None:
        missing = schema.OWN_HEAD if schema.TRANSFORM in contents else schema.ROTATION
        raise CheckpointError(f"it is a rotated model, but its entry `{missing}` is missing", path, AS_WRITTEN)
    _check_rotation(rotation, encoder, path)
    return encoder.rotated(rotation.T, encoder.dims).eval()


def _check_rotation(rotation: NDArray[np.float64] | None, origin: HeadedModel, path: Path) -> None:
    if rotation is not None and len(rotation) != origin.embed_dim:
        raise CheckpointError(
            f"its rotation is {len(rotation)} × {len(rotation)}, but its base embedding has {origin.embed_dim} values",
            path,
            AS_WRITTEN,
        )


def _own_head(entry: Any, in_features: int, path: Path) -> MatryoshkaHead:
    """Return the head that a checkpoint holds beside that of its model.

    Raises:
        CheckpointError: If it does not fit ``in_features`` pooled values.
    """
    weight, bias = (entry.get(key) if isinstance(entry, dict) else None for key in ("weight", "bias"))
    if not (isinstance(weight, Tensor) and isinstance(bias, Tensor)):
        problem = "expected a weight and a bias"
    elif weight.ndim != 2 or not len(weight) or weight.shape[1] != in_features or bias.shape != weight.shape[:1]:
        shapes = f"{tuple(weight.shape)} and {tuple(bias.shape)}"
        problem = f"a weight and a bias of shapes {shapes} do not fit {in_features} pooled values"
    elif not all(each.is_floating_point() and each.isfinite().all() for each in (weight, bias)):
        problem = "expected finite floating-point numbers"
    else:
        return head_of(AffineMap(weight.double(), bias.double()))
    raise CheckpointError(f"its {schema.OWN_HEAD} is damaged: {problem}", path, AS_WRITTEN)


def _load_base(loaded: LoadedModel, path: Path, *, cache_dir: Path | None, mirror: str | None) -> HeadedModel:
    """Return the base model of a run, from the file that its checkpoint names.

    Of a head on a model of another toolkit, it is that model, which the backend has, or the earlier head on it.
    """
    base, own = _named_base(loaded.provenance, path), loaded.encoder
    if isinstance(own, ExternalEncoder) and base.family == "onnx":
        return own.with_head(identity_head(own.pooled_dim), (own.pooled_dim,))
    if cache_dir is None:
        raise UsageError(f"{path} was trained from {base.model}, and there is no folder of fetched models", "cache_dir")
    try:
        file = locate_model(base.model, cache_dir=cache_dir, mirror=mirror)
    except CheckpointError as error:
        raise CheckpointError(
            f"it was trained from {base.model}, which cannot be found: {error.what}",
            path,
            "Restore that file (a relative path starts at the working directory), or leave out `baselines`.",
        ) from error
    if base.sha256 is None:
        log.warning("%s does not record the SHA-256 of %s: the present file is used", path, base.model)
    elif (found := file_sha256(file.path)) != base.sha256:
        raise CheckpointError(
            f"it was trained from {base.model} of SHA-256 {base.sha256}, and {file.path} is now another file ({found})",
            path,
            "Restore that file, or leave out `baselines`.",
        )
    found_base = load_checkpoint(file)
    if not isinstance(own, ExternalEncoder):
        return network_of(found_base, file.path)
    if getattr(found_base.encoder, "base_fingerprint", None) != own.base_fingerprint:
        raise CheckpointError(f"is on another model than {path}", file.path, AS_WRITTEN)
    return found_base.encoder


def _named_base(provenance: Provenance, path: Path) -> BaseModelFile:
    """Return the name of the base model of a run.

    Raises:
        CheckpointError: If there was none, or the embedding before the run was not its own.
    """
    if provenance.base is None and provenance.problem is None:
        raise CheckpointError("it was trained from random weights: there is no base model", path, NO_BASELINES)
    if provenance.random_head:
        raise CheckpointError(
            f"its head was trained from random weights, and its entry `{schema.OWN_HEAD}` (the head before rotation) "
            "is missing",
            path,
            AS_WRITTEN,
        )
    if provenance.base is None:
        raise CheckpointError(provenance.problem or NOT_RECORDED, path, AS_WRITTEN)
    return provenance.base
