"""Start a run on stored vectors: from the vectors as they are, or from a head or transform of theirs."""

from pathlib import Path

import torch

from mrlspk.config.architecture import BaseFile, HeadArchitecture
from mrlspk.errors import DataError
from mrlspk.files import file_sha256
from mrlspk.inference.backend_registry import load_backend
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.torch_backend import load_checkpoint
from mrlspk.models.checkpoints import LoadedModel, StateDictReport
from mrlspk.models.checkpoints.layouts import Family
from mrlspk.models.checkpoints.schema import Provenance
from mrlspk.models.external_encoder import ExternalEncoder, identity_head
from mrlspk.models.head import MatryoshkaHead
from mrlspk.models.head_transforms import AffineMap, head_of
from mrlspk.rotation.transform_file import SUFFIX, load_transform
from mrlspk.training.vector_corpus import VectorData

GRAPH = ".onnx"


def load_vector_start(data: VectorData, origin: ModelFile | None) -> LoadedModel:
    """Return the head that a run on vectors starts from.

    Args:
        data: The vectors.
        origin: The model that made them, or a head or transform of its embeddings; None: the vectors as they are.

    Raises:
        CheckpointError: If ``origin`` is not a model.
        DataError: If the vectors are of another width or, as far as both say, of another model.
    """
    if origin is None:
        return as_loaded(identity_head(data.vectors.dim), fingerprint=data.vectors.origin.fingerprint)
    loaded = _load(origin)
    assert isinstance(loaded.architecture, HeadArchitecture)
    _check_fit(data, loaded.architecture, origin.path)
    return loaded


def as_loaded(
    head: MatryoshkaHead,
    *,
    dims: tuple[int, ...] = (),
    base: BaseFile | None = None,
    fingerprint: str | None = None,
    family: Family = "mrlspk",
) -> LoadedModel:
    """Return a head on another model as a loaded model.

    Args:
        head: In evaluation mode.
        dims: Its prefix widths; empty for the full width.
        base: File of the model.
        fingerprint: Of the model.
        family: Of the file that it was loaded from.
    """
    widths = dims or (head.linear.out_features,)
    architecture = HeadArchitecture(
        matryoshka_dims=widths, in_features=head.linear.in_features, base=base, fingerprint=fingerprint
    )
    return LoadedModel(
        ExternalEncoder(head, widths, base_fingerprint=fingerprint).eval(),
        architecture,
        family,
        StateDictReport(0, (), (), (), (), 1.0),
        described={},
        config=None,
        contents={},
        provenance=Provenance(kind="unknown"),
    )


def _load(origin: ModelFile) -> LoadedModel:
    """Return a transform, a head in a checkpoint, or a head that leaves the embeddings of a model as they are."""
    suffix = origin.path.suffix.lower()
    if suffix == SUFFIX:
        transform = load_transform(origin.path)
        affine = AffineMap(torch.from_numpy(transform.map.weight), torch.from_numpy(transform.map.bias))
        base, fingerprint = transform.base, transform.fingerprint
        return as_loaded(head_of(affine), dims=transform.dims, base=base, fingerprint=fingerprint)
    if suffix != GRAPH:
        loaded = load_checkpoint(origin)
        if isinstance(loaded.architecture, HeadArchitecture):
            return loaded
    backend = load_backend(origin, device="cpu").backend
    base = BaseFile(file=origin.path.name, sha256=file_sha256(origin.path))
    return as_loaded(identity_head(backend.embed_dim), base=base, fingerprint=backend.fingerprint, family="onnx")


def _check_fit(data: VectorData, architecture: HeadArchitecture, path: Path) -> None:
    """Check that vectors are of the width and, as far as both say, of the model of a head."""
    vectors, where = data.vectors, data.vectors.paths[0]
    if vectors.dim != architecture.in_features:
        what = f"expected {architecture.in_features} values a vector, as {path} has, got {vectors.dim}"
        raise DataError(what, where, "Give vectors of that model.")
    known = architecture.fingerprint, vectors.origin.fingerprint
    if None not in known and known[0] != known[1]:
        raise DataError(f"is of the model {known[1]}, and {path} of {known[0]}", where, "Give vectors of that model.")
