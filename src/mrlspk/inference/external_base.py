"""Run the model of another toolkit beneath a head: load it, attach it, and keep its files with a checkpoint."""

import shutil
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from mrlspk.config.architecture import BaseFile, HeadArchitecture
from mrlspk.errors import CheckpointError, MrlspkError, UsageError
from mrlspk.files import file_sha256, whole_file
from mrlspk.inference.backend import Backend
from mrlspk.inference.base_file import LoadBase, check_width, find_base
from mrlspk.inference.graph_file import is_ours
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.speaker_models.backend import SpeakerModelBackend
from mrlspk.inference.speaker_models.description import as_plain, settings_path
from mrlspk.inference.speaker_models.graph_safety import ONE_FILE, parse_graph, weight_files
from mrlspk.inference.speaker_models.loading import load_bundled_model, load_speaker_model
from mrlspk.models.checkpoints import LoadedModel, StateDictReport, schema
from mrlspk.models.checkpoints.bundled_base import AS_WRITTEN, BundledBase, read_bundled_base
from mrlspk.models.checkpoints.schema import Provenance
from mrlspk.models.external_encoder import ExternalEncoder, identity_head
from mrlspk.models.head import MatryoshkaHead
from mrlspk.partial_files import write_errors

SUFFIX = ".onnx"
NOTHING_IN_FILE = StateDictReport(0, (), (), (), (), 1.0)  # the head is not in the file of its base model


@dataclass(frozen=True)
class BaseSource:
    """Where a base model is.

    Attributes:
        file: Its name and SHA-256.
        path: Of its file; None if it is bundled.
        bundled: The model inside a checkpoint; None if it is a file.
    """

    file: BaseFile
    path: Path | None = None
    bundled: BundledBase | None = None


def load_external_model(model: ModelFile) -> LoadedModel:
    """Return a speaker model of another toolkit as the base of a head that changes nothing yet; it needs no audio.

    Raises:
        CheckpointError: If the file is damaged or refused, nothing describes its front end, or mrlspk exported it.
        MissingDependencyError: If a package is not installed.
    """
    if is_ours(model.path):
        what = "was exported from a checkpoint"
        raise CheckpointError(what, model.path, "Start from that checkpoint: a head is trained on its network.")
    backend = load_speaker_model(model.path).backend
    base = BaseFile(file=model.path.name, sha256=file_sha256(model.path))
    return with_head_on(backend, base, identity_head(backend.embed_dim), (backend.embed_dim,))


def with_head_on(backend: Backend, base: BaseFile, head: MatryoshkaHead, dims: tuple[int, ...]) -> LoadedModel:
    """Return a head on the embeddings of a model as if it had been read from a file."""
    loaded = as_loaded(head, dims, base=base, fingerprint=backend.fingerprint)
    assert isinstance(loaded.encoder, ExternalEncoder)
    attach(loaded.encoder, backend)
    described = as_plain(backend.description) if isinstance(backend, SpeakerModelBackend) else {}
    return replace(loaded, family="onnx", described=described)


def as_loaded(
    head: MatryoshkaHead, dims: tuple[int, ...], *, base: BaseFile | None, fingerprint: str | None
) -> LoadedModel:
    """Return a head on the embeddings of a model, which is not attached, as if it had been read from a file.

    Args:
        head: In evaluation mode.
        dims: Its prefix widths.
        base: File of the model; None if only its embeddings are at hand.
        fingerprint: Of the model; None if unknown.
    """
    in_features = head.linear.in_features
    return LoadedModel(
        ExternalEncoder(head, dims, base_fingerprint=fingerprint).eval(),
        HeadArchitecture(in_features=in_features, base=base, fingerprint=fingerprint, matryoshka_dims=dims),
        "mrlspk",
        NOTHING_IN_FILE,
        described={},
        config=None,
        contents={},
        provenance=Provenance(kind="published"),
    )


def attach(encoder: ExternalEncoder, backend: Backend) -> None:
    """Let an encoder compute the embeddings of its base model by a backend."""
    encoder.attach(
        backend.embed,
        min_samples=backend.min_samples,
        concurrency=backend.concurrency,
        runtime=backend.runtime,
    )


def find_source(loaded: LoadedModel, path: Path) -> BaseSource | None:
    """Return where the base model of a head is: in its checkpoint or beside it; None if it has none.

    Raises:
        CheckpointError: If it is absent, damaged or another one.
    """
    architecture = loaded.architecture
    if not isinstance(architecture, HeadArchitecture) or architecture.base is None:
        return None
    if bundled := read_bundled_base(loaded.contents, architecture.base, path):
        return BaseSource(architecture.base, bundled=bundled)
    return BaseSource(architecture.base, find_base(architecture.base, path))


def open_base(loaded: LoadedModel, path: Path, *, load_base: LoadBase | None = None) -> Backend | None:
    """Load the base model of a head, attach it to the encoder and return it; None if it has none.

    Args:
        loaded: The head.
        path: Its file.
        load_base: Loads the base model from its file; None: as a speaker model of another toolkit.

    Raises:
        CheckpointError: If the base model is absent, is another one, or makes other embeddings than it did.
    """
    source, encoder = find_source(loaded, path), loaded.encoder
    if source is None:
        return None
    assert isinstance(loaded.architecture, HeadArchitecture)
    assert isinstance(encoder, ExternalEncoder)
    backend = _open(source, path, load_base)
    where = source.path or path
    check_width(backend, where, expected=loaded.architecture.in_features, of=path)
    _check_fingerprint(backend, loaded.architecture, source, path)
    attach(encoder, backend)
    return backend


def _open(source: BaseSource, path: Path, load_base: LoadBase | None) -> Backend:
    if source.path is None:
        assert source.bundled is not None
        return load_bundled_model(source.bundled.content, source.bundled.settings, path)
    if load_base:
        return load_base(ModelFile(source.path, str(source.path)))
    return load_speaker_model(source.path).backend


def _check_fingerprint(backend: Backend, architecture: HeadArchitecture, source: BaseSource, head: Path) -> None:
    """Check that weights beside the base model and the YAML file that describes it are those of the training."""
    if architecture.fingerprint in {None, backend.fingerprint}:
        return
    changed = "its description or its weights have changed"
    if source.path is None:
        raise CheckpointError(f"its base model makes other embeddings than in training: {changed}", head, AS_WRITTEN)
    what = f"makes other embeddings than {head} was trained on: {changed}"
    raise CheckpointError(what, source.path, f"Restore {settings_path(source.path).name} and the weights beside it.")


def check_bundle(source: BaseSource | None) -> None:
    """Check, before any work, that there is a base model that can be put into a checkpoint.

    Raises:
        UsageError: If there is none.
        CheckpointError: If it keeps its weights in other files.
    """
    if source is None:
        what = "only a head on a model of another toolkit has a base model to put into its file"
        raise UsageError(what, fix="Leave it out.", parameter="bundle")
    _bundle(source)


def bundle_entry(loaded: LoadedModel, path: Path) -> dict[str, Any]:
    """Return the entry that puts the base model of a head into its checkpoint; nothing if it has none.

    Raises:
        CheckpointError: If the base model is absent, another one, or keeps its weights in other files.
    """
    source = find_source(loaded, path)
    return {schema.BASE_MODEL: _bundle(source).entry()} if source else {}


def _bundle(source: BaseSource) -> BundledBase:
    """Return a base model to put into a checkpoint.

    Raises:
        CheckpointError: If it keeps its weights in other files.
    """
    if source.path is None:
        assert source.bundled is not None
        return source.bundled
    if source.path.suffix.lower() != SUFFIX:
        what = "is a checkpoint, and cannot be put into another one"
        raise CheckpointError(what, source.path, "Keep it beside the head.")
    if weight_files(parse_graph(source.path), source.path):
        raise CheckpointError("keeps its weights in other files, and cannot be bundled", source.path, ONE_FILE)
    settings = settings_path(source.path)
    return BundledBase(source.path.read_bytes(), settings.read_text(encoding="utf-8") if settings.is_file() else None)


def place_base(source: BaseSource, folder: Path) -> None:
    """Put a base model, the YAML file that describes it and weights beside it into a folder.

    They are copies: whoever writes the original again, or edits the YAML file, does not change the model of the head.

    Raises:
        MrlspkError: If another file of one of these names is there, or one cannot be written.
    """
    target = folder / source.file.file
    if source.path is None:
        assert source.bundled is not None
        if source.bundled.settings is not None:
            _write(source.bundled.settings.encode(), settings_path(target))
        _write(source.bundled.content, target)
        return
    if source.path.suffix.lower() == SUFFIX:
        settings = settings_path(source.path)
        if settings.is_file():
            _place(settings, settings_path(target))
        for weights in weight_files(parse_graph(source.path), source.path):
            _place(source.path.parent / weights, folder / weights)
    _place(source.path, target)


def _place(source: Path, target: Path) -> None:
    """Copy a file, unless it is there."""
    if target.exists():
        if file_sha256(target) != file_sha256(source):
            what = "is another file than the base model has"
            raise MrlspkError(what, target, "Remove it, or choose another folder.")
        return
    with write_errors(target):
        target.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(target, force=False) as partial:
        shutil.copyfile(source, partial)


def _write(content: bytes, target: Path) -> None:
    """Write a file, unless it is there."""
    if target.exists() and target.read_bytes() == content:
        return
    with whole_file(target, force=False) as partial:
        partial.write_bytes(content)
