"""Inspect a checkpoint, convert it to mrlspk's layout, or keep it under a name of the user's own."""

import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from mrlspk.errors import CheckpointError, UsageError
from mrlspk.evaluation.calibration_file import CalibrationFile, calibration_path, own_calibration_path
from mrlspk.files import claimed_file, file_sha256
from mrlspk.inference.external_base import bundle_entry, check_bundle, find_source, place_base
from mrlspk.inference.graph_file import graph_metadata, is_ours, read_graph
from mrlspk.inference.missing_model import missing_model
from mrlspk.inference.model_file import ModelFile
from mrlspk.inference.onnx_backend import open_session
from mrlspk.inference.provenance import base_file, describe_base, describe_source, provenance_of_converted
from mrlspk.inference.torch_backend import load_checkpoint
from mrlspk.models.checkpoints import (
    ModelInspection,
    check_suffix,
    inspect_entries,
    load_entries,
    portable_entries,
    read_checkpoint,
    schema,
    write_checkpoint,
    write_entries,
)
from mrlspk.models.checkpoints.model_card import read_card
from mrlspk.models.checkpoints.schema import Provenance
from mrlspk.models.graph_metadata import GraphMetadata
from mrlspk.pretrained import list_models
from mrlspk.pretrained.own_models import (
    UNKNOWN_LICENCE,
    ModelFacts,
    OwnModel,
    add_own_model,
    check_name,
    own_model_path,
)
from mrlspk.rotation.transform import Transform
from mrlspk.rotation.transform_file import load_transform
from mrlspk.training.network.adapter_files import WEIGHTS, with_adapter
from mrlspk.workflows.carried_calibration import calibration_to_carry, put_calibration
from mrlspk.workflows.describe_model import DescribedModel, describe_model
from mrlspk.workflows.model_recipe import ModelRecipe, read_recipe

log = logging.getLogger("mrlspk.evaluation")


@dataclass(frozen=True)
class ConvertedModel:
    """A model written to ``path``; ``family`` is the layout of its source, ``calibration`` is beside it."""

    path: Path
    family: str
    dims: tuple[int, ...]
    sha256: str
    bytes: int
    calibration: Path | None = None


def convert_pretrained(
    model: ModelFile,
    output: Path,
    *,
    cache_dir: Path | None,
    adapter: Path | None = None,
    bundle: bool = False,
    force: bool = False,
) -> ConvertedModel:
    """Write ``model`` to ``output`` in mrlspk's layout; the result records the file that it was converted from.

    The base model of a head is put beside it, unless it is inside.

    Args:
        model: Checkpoint of any layout.
        output: File to write.
        cache_dir: Folder of fetched models.
        adapter: Folder of LoRA adapters trained on ``model``: they are merged into it, and their head replaces its own.
        bundle: Put the base model of a head into the file.
        force: Overwrite ``output``.

    Raises:
        CheckpointError: If the file is not a checkpoint or does not load completely, the adapter is of another one, or
            the base model of a head is absent.
        UsageError: If ``output`` ends in neither .pt nor .safetensors, or there is no base model to bundle.
        MrlspkError: If ``output`` exists and ``force`` is false.
        MissingDependencyError: If a package for this format is not installed.
    """
    check_suffix(output)
    if bundle and output.suffix != ".pt":
        raise UsageError("a base model can be inside a .pt file only", fix="Write a .pt file.", parameter="bundle")
    with claimed_file(output, force=force) as claim:
        loaded = load_checkpoint(model)
        target = calibration_path(ModelFile(output, str(output)))
        calibration = calibration_to_carry(model, loaded, target, force=force)
        beneath = find_source(loaded, model.path)
        if bundle:
            check_bundle(beneath)
        base = describe_base(model, loaded, cache_dir=cache_dir)
        source = describe_source(model.path, loaded, base)
        provenance = provenance_of_converted(loaded, base)
        if adapter is not None:
            loaded = with_adapter(loaded, adapter)
            if calibration is not None:
                log.warning("%s is of the model without the adapter: calibrate the new one", calibration.path)
                calibration = None
            provenance = Provenance(kind="adapter", base=base_file(base))
            source["adapter_sha256"] = file_sha256(adapter / WEIGHTS)
        entries = {schema.CONVERTED_FROM: source} | portable_entries(replace(loaded, provenance=provenance))
        if bundle:
            entries |= bundle_entry(loaded, model.path)
        elif beneath and beneath.path:
            place_base(beneath, output.parent)
        write_checkpoint(claim, entries)
    carried = put_calibration(calibration, target, force=force)
    size = output.stat().st_size
    return ConvertedModel(output, loaded.family, loaded.encoder.dims, file_sha256(output), size, carried)


@dataclass(frozen=True)
class AddedModel:
    """A model that has been added, the path of its copy, and that of its calibration, if it has one."""

    model: OwnModel
    path: Path
    calibration: Path | None = None


def add_pretrained(
    file: Path, name: str, *, licence: str | None = None, cache_dir: Path, force: bool = False
) -> AddedModel:
    """Copy the model in ``file`` to the cache under a name, without training state; a head with its base model inside.

    Args:
        file: Any checkpoint that loads completely.
        name: Name of the model.
        licence: Licence of the weights; None: from its model card or the registry.
        cache_dir: Folder of fetched models and of the user's own.
        force: Replace a model of this name.

    Raises:
        UsageError: If the name is not allowed.
        CheckpointError: If the file is not a model or does not load completely.
        MrlspkError: If there is a model of this name and ``force`` is false, or if a file cannot be written.
    """
    check_name(name, cache_dir, force=force)
    if file.is_dir():
        raise missing_model(str(file))
    source = ModelFile(file, str(file))
    loaded = load_checkpoint(source)
    card = read_card(loaded.contents, file) if loaded.family == "mrlspk" else None
    known = describe_base(source, loaded, cache_dir=cache_dir)
    facts = ModelFacts(
        family=loaded.architecture.family,
        dims=loaded.encoder.dims,
        licence=licence or known.licence,
        non_commercial=known.non_commercial,
        card=card.entry() if card else None,
    )
    provenance = provenance_of_converted(loaded, known)
    entries = portable_entries(replace(loaded, provenance=provenance)) | bundle_entry(loaded, file)
    place = own_model_path(name, cache_dir)
    target = own_calibration_path(place)
    calibration = calibration_to_carry(source, loaded, target, force=force)
    added = datetime.now(UTC).replace(microsecond=0)
    write = partial(write_entries, entries=entries)
    model = add_own_model(name, facts, write, cache_dir=cache_dir, added=added, force=force)
    return AddedModel(model, place, put_calibration(calibration, target, force=force))


@dataclass(frozen=True)
class InspectedModel:
    """A file and the inspection of its contents.

    Attributes:
        path: Of the file.
        sha256: Of the file.
        bytes: Of the file.
        model: What it holds.
        recipe: How the model was made; None of files of other layouts.
        calibration: Beside the file; None without one.
        calibration_problem: Why it does not fit; None if it does.
    """

    path: Path
    sha256: str
    bytes: int
    model: ModelInspection
    recipe: ModelRecipe | None
    calibration: CalibrationFile | None
    calibration_problem: str | None


def inspect_pretrained(file: ModelFile) -> InspectedModel:
    """Return the layout, configuration and entries of a checkpoint, whether or not all of it loads.

    Raises:
        CheckpointError: If the file is not a checkpoint, or its configuration has unknown keys or values.
    """
    path = file.path
    entries = read_checkpoint(path)
    model = inspect_entries(dict(entries), path)
    recipe = read_recipe(entries, path) if model.family == "mrlspk" else None
    calibration, problem = None, None
    beside = calibration_path(file)
    if model.report.is_whole and beside.is_file():
        try:
            calibration = calibration_to_carry(file, load_entries(dict(entries), path), beside, force=True)
        except CheckpointError as error:
            problem = error.what
    return InspectedModel(path, file_sha256(path), path.stat().st_size, model, recipe, calibration, problem)


@dataclass(frozen=True)
class InspectedGraph:
    """An exported model and its description."""

    path: Path
    sha256: str
    bytes: int
    metadata: GraphMetadata


def inspect_exported(path: Path) -> InspectedGraph | None:
    """Return the description in a .onnx file that `mrlspk export` wrote; None if another program wrote it.

    Raises:
        CheckpointError: If the file is damaged.
        MissingDependencyError: If ONNX Runtime is not installed.
    """
    if not is_ours(path):
        return None
    properties = open_session(read_graph(path), path).get_modelmeta().custom_metadata_map
    return InspectedGraph(path, file_sha256(path), path.stat().st_size, graph_metadata(properties, path))


@dataclass(frozen=True)
class InspectedTransform:
    """A transform of embeddings, and the size and SHA-256 of its file."""

    path: Path
    sha256: str
    bytes: int
    transform: Transform


def inspect_transform(path: Path) -> InspectedTransform:
    """Return the transform in an .npz file.

    Raises:
        DataError: If it is not a transform, or is damaged.
    """
    return InspectedTransform(path, file_sha256(path), path.stat().st_size, load_transform(path))


@dataclass(frozen=True)
class InspectedSpeakerModel:
    """An ONNX speaker model of another toolkit, and its licence as the registry has it."""

    described: DescribedModel
    licence: str


def inspect_speaker_model(model: ModelFile) -> InspectedSpeakerModel:
    """Return what an ONNX speaker model of another toolkit is, recognised in the registry by name or SHA-256.

    Raises:
        CheckpointError: If the file is damaged or refused, or its description does not fit it.
        MissingDependencyError: If a package is not installed.
    """
    described = describe_model(model)
    by_sha256 = {each.sha256: each for each in list_models() if each.sha256}
    published = model.published or by_sha256.get(described.sha256)
    return InspectedSpeakerModel(described, published.licence if published else UNKNOWN_LICENCE)
