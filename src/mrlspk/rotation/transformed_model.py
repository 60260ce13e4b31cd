"""Run a model with a transform after it: a Matryoshka model of any speaker model.

The file of the transform names the file of its base model, which lies beside it.
"""

from mrlspk.errors import CheckpointError
from mrlspk.inference.backend import LoadedBackend
from mrlspk.inference.backend_registry import MapLoader
from mrlspk.inference.base_file import LoadBase, check_width, find_base
from mrlspk.inference.mapped_backend import MappedBackend
from mrlspk.inference.model_file import ModelFile
from mrlspk.rotation.transform_file import load_transform


def _load(model: ModelFile, load_base: LoadBase) -> LoadedBackend:
    """Return the backend of a transform (.npz) and its base model.

    Raises:
        DataError: If the file is no transform.
        CheckpointError: If it names no base model, or that file is absent, another one or of another width.
        UsageError, MissingDependencyError: As of `load_backend`, of the base model.
    """
    transform = load_transform(model.path)
    if transform.base is None:
        fix = "Make it with `mrlspk rotate MODEL --speech DIR -o FILE.npz`; `mrlspk vectors apply` takes it as it is."
        raise CheckpointError("is a transform of vectors, and names no base model", model.path, fix)
    path = find_base(transform.base, model.path)
    base = load_base(ModelFile(path, str(path)))
    check_width(base, path, expected=transform.embed_dim, of=model.path)
    return LoadedBackend(MappedBackend(base, transform.map))


load_transformed_model = MapLoader(_load)
