"""Load the model of another toolkit that a head is trained on, before anything else of a run."""

from dataclasses import dataclass, replace
from pathlib import Path

import torch
from pydantic import ValidationError

from mrlspk.config import Config
from mrlspk.config.architecture import BaseFile, HeadArchitecture
from mrlspk.config.sources import as_config_error
from mrlspk.errors import CheckpointError, ConfigError, DataError
from mrlspk.inference.base_file import check_width, find_base
from mrlspk.inference.external_base import (
    SUFFIX,
    BaseSource,
    as_loaded,
    find_source,
    load_external_model,
    open_base,
    place_base,
    with_head_on,
)
from mrlspk.inference.model_file import ModelFile, locate_model
from mrlspk.inference.speaker_models.loading import load_speaker_model
from mrlspk.inference.torch_backend import load_checkpoint
from mrlspk.models.checkpoints import LoadedModel, read_checkpoint, schema
from mrlspk.models.checkpoints.model_card import BaseCard
from mrlspk.models.external_encoder import ExternalEncoder
from mrlspk.models.head_transforms import AffineMap, head_of
from mrlspk.pretrained.own_models import UNKNOWN_LICENCE, find_own_model
from mrlspk.pretrained.registry import find_model, is_published
from mrlspk.reading import is_file
from mrlspk.rotation.map_file import OTHER_VECTORS
from mrlspk.rotation.transform_file import load_transform
from mrlspk.vectors.unit_vectors import UnitVectors

TRANSFORM = ".npz"
DEFAULT_DIMS = 64, 128  # beside the full width
RESERVED = "config"  # a description beside a base model of this name would replace the run's config.yaml


@dataclass(frozen=True, eq=False)
class StartModel:
    """A head on the embeddings of a model of another toolkit, which a run starts from.

    Attributes:
        file: That was asked for.
        loaded: The head in it; one that changes nothing for a model without a head. The model is attached.
        source: Where the model is; None if only its vectors are at hand.
    """

    file: ModelFile
    loaded: LoadedModel
    source: BaseSource | None


def find_start(config: Config, *, cache_dir: Path | None, mirror: str | None) -> StartModel | None:
    """Return the model that a run starts from, if it is of another toolkit or a head on one; None otherwise.

    Raises:
        CheckpointError: If it is missing, damaged or refused, or its base model is; if it has a network of its own, and
            the run is on vectors.
        DataError: If it is no transform.
        DownloadError: If it is a published model that cannot be fetched.
    """
    name = config.base_model
    if name is None or not (_is_external(name, cache_dir) or config.data.vectors):
        return None
    file = locate_model(name, cache_dir=cache_dir, mirror=mirror)
    loaded = load_start(file, has_vectors=bool(config.data.vectors))
    return StartModel(file, loaded, _source(file, loaded))


def load_start(model: ModelFile, *, has_vectors: bool = False) -> LoadedModel:
    """Return the model in a file of any kind; of a head, the base model is loaded too and attached.

    Args:
        model: The file.
        has_vectors: Whether the embeddings are at hand: a head then needs no base model, and a network is refused.

    Raises:
        CheckpointError: As `find_start`.
        DataError: If an .npz file is no transform.
    """
    suffix = model.path.suffix.lower()
    if suffix == SUFFIX:
        model.check_family("onnx")
        return load_external_model(model)
    if suffix == TRANSFORM:
        loaded = _load_transform(model.path)
    else:
        loaded = load_checkpoint(model)
        open_base(loaded, model.path)
    encoder = loaded.encoder
    if has_vectors and not isinstance(encoder, ExternalEncoder):
        fix = "Leave `init_from` out: the file of vectors names their model."
        raise CheckpointError("has a network of its own, which is not trained on vectors", model.path, fix)
    if not has_vectors and isinstance(encoder, ExternalEncoder) and not encoder.is_attached:
        raise CheckpointError(
            "is a head on vectors, and names no base model", model.path, "Give `vectors=FILE` to train it on."
        )
    return loaded


def check_fits_vectors(start: StartModel, vectors: UnitVectors) -> None:
    """Check that vectors are of the width and, as far as both say, of the model of a start.

    Raises:
        DataError: If they are not.
    """
    architecture, name, where = start.loaded.architecture, start.file.typed, vectors.paths[0]
    assert isinstance(architecture, HeadArchitecture)
    if vectors.dim != architecture.in_features:
        what = f"expected {architecture.in_features} values a vector, as {name} has, got {vectors.dim}"
        raise DataError(what, where, OTHER_VECTORS)
    known = architecture.fingerprint, vectors.origin.fingerprint
    if None not in known and known[0] != known[1]:
        raise DataError(f"is of the model {known[1]}, and {name} of {known[0]}", where, OTHER_VECTORS)


def configure_start(config: Config, start: StartModel | None) -> Config:
    """Return the configuration of a run that starts from a model of another toolkit: with widths that it can have.

    Widths that nobody has set are those of its head, or 64, 128 and the width of the model.

    Raises:
        ConfigError: If more than a head is to be trained, crops are too short for the model, or a width is wider than
            its embeddings.
    """
    if start is None:
        return config
    model, width = start.file.typed, start.loaded.encoder.pooled_dim
    seconds = start.loaded.encoder.min_samples / config.data.sample_rate
    if config.data.chunk_duration < seconds and not config.data.vectors:
        what = f"{model} makes no embedding of less than {seconds:g} s, got {config.data.chunk_duration:g}"
        raise ConfigError(what, "data.chunk_duration", "Raise it.")
    if not config.trains_head_alone:
        key = "training.lora" if config.training.lora else "training.freeze_backbone_epochs"
        what = f"{model} is run as it is: only a head on its embeddings is trained"
        raise ConfigError(what, key, f"Set {key} to null.")
    dims = config.model.matryoshka_dims
    if "matryoshka_dims" not in config.model.model_fields_set:
        own = start.loaded.encoder.dims
        dims = own if len(own) > 1 else default_dims(width)
    if dims[-1] > width:
        what = f"a head on the {width} values of {model} has at most as many, got {dims[-1]}"
        raise ConfigError(what, "model.matryoshka_dims", f"Give widths up to {width}.")
    return with_dims(config, dims)


def _is_external(name: str, cache_dir: Path | None) -> bool:
    """Return whether a path or name is of a model of another toolkit, or of a head on one.

    Raises:
        CheckpointError: If there is no such model, or the file is damaged or refused.
    """
    path = Path(name)
    if path.suffix.lower() in {SUFFIX, TRANSFORM}:
        return True
    if is_file(path, CheckpointError):
        architecture = read_checkpoint(path).get(schema.ARCHITECTURE)
        return isinstance(architecture, dict) and architecture.get("family") == "head"
    if is_published(name):
        return find_model(name).family == "onnx"
    if cache_dir is not None and (own := find_own_model(name, cache_dir)):
        return own.family == "head"
    locate_model(name, cache_dir=cache_dir)  # says that there is none
    return False


def _load_transform(path: Path) -> LoadedModel:
    """Return the transform in a file as a head on its base model, if it names one."""
    transform = load_transform(path)
    moved = transform.map
    head = head_of(AffineMap(torch.from_numpy(moved.weight), torch.from_numpy(moved.bias)))
    if transform.base is None:
        return as_loaded(head, transform.dims, base=None, fingerprint=transform.fingerprint)
    base_path = find_base(transform.base, path)
    if base_path.suffix.lower() != SUFFIX:
        what = f"its base model {base_path.name} is a checkpoint, whose own network a head is trained on"
        raise CheckpointError(what, path, f"Start from {base_path}.")
    backend = load_speaker_model(base_path).backend
    check_width(backend, base_path, expected=transform.embed_dim, of=path)
    loaded = with_head_on(backend, transform.base, head, transform.dims)
    beneath = BaseCard(
        model=transform.base.file,
        sha256=transform.base.sha256,
        family="onnx",
        licence=UNKNOWN_LICENCE,
        non_commercial=None,
        training_set=None,
    )
    source = {"file": transform.base.file, "sha256": transform.base.sha256, "base": beneath.model_dump(mode="json")}
    return replace(loaded, family="transform", contents={schema.CONVERTED_FROM: source})


def _source(file: ModelFile, loaded: LoadedModel) -> BaseSource | None:
    """Return where the base model of a start is."""
    architecture = loaded.architecture
    if not isinstance(architecture, HeadArchitecture) or architecture.base is None:
        return None
    if loaded.family == "onnx":
        return BaseSource(architecture.base, file.path)
    return find_source(loaded, file.path)


def with_base_in_run(loaded: LoadedModel) -> LoadedModel:
    """Return the model of a start with its base model called as in the folder of the run."""
    architecture = loaded.architecture
    if not isinstance(architecture, HeadArchitecture) or architecture.base is None:
        return loaded
    return replace(loaded, architecture=architecture.model_copy(update={"base": _name_in_run(architecture.base)}))


def place_in_run(source: BaseSource, run_dir: Path) -> None:
    """Put the base model of a start into the folder of its run.

    Raises:
        MrlspkError: If another file of its name is there, or it cannot be written.
    """
    place_base(replace(source, file=_name_in_run(source.file)), run_dir)


def _name_in_run(base: BaseFile) -> BaseFile:
    path = Path(base.file)
    return base.model_copy(update={"file": f"base{path.suffix}"}) if path.stem == RESERVED else base


def default_dims(width: int) -> tuple[int, ...]:
    """Return the prefix widths of a head on embeddings of ``width`` values, if nobody names others."""
    return (*(dim for dim in DEFAULT_DIMS if dim < width), width)


def with_dims(config: Config, dims: tuple[int, ...]) -> Config:
    """Return a configuration with other widths.

    Raises:
        ConfigError: If its other settings do not fit them.
    """
    model = config.model.model_dump() | {"matryoshka_dims": dims}
    try:
        return Config.model_validate(config.model_dump() | {"model": model})
    except ValidationError as error:
        raise as_config_error(error, {}) from error
