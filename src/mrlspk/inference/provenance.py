"""Describe where a model comes from: base model, licence, training data, source file."""

from pathlib import Path
from typing import Any

from pydantic import ValidationError

from mrlspk.config import Config
from mrlspk.config.value_problems import problem_text
from mrlspk.errors import CheckpointError
from mrlspk.files import file_sha256
from mrlspk.inference.model_file import ModelFile
from mrlspk.models.checkpoints import LoadedModel, schema
from mrlspk.models.checkpoints.model_card import BaseCard, DataCard, read_card
from mrlspk.models.checkpoints.schema import BaseModelFile, Provenance
from mrlspk.pretrained.own_models import UNKNOWN_LICENCE
from mrlspk.pretrained.registry import PublishedModel, find_model, is_published
from mrlspk.pretrained.verification import published_as

EXTERNAL = {"onnx", "transform"}  # layouts of models of other toolkits, without or with a transform


def describe_base(file: ModelFile, loaded: LoadedModel, *, cache_dir: Path | None) -> BaseCard:
    """Return the description of a model: from the registry, the user's own models, or its model card.

    Args:
        file: Its file. A published file is also recognised by its SHA-256.
        loaded: The model in it.
        cache_dir: Folder of fetched models, where the SHA-256 of some is recorded.

    Raises:
        CheckpointError: If its model card is damaged.
    """
    sha256, front_end = file_sha256(file.path), None
    if loaded.family in EXTERNAL:
        front_end = loaded.described.get("front_end")
    if published := file.published or published_as(sha256, cache_dir):
        return _published_card(published, sha256).model_copy(update={"front_end": front_end})
    card = read_card(loaded.contents, file.path) if loaded.family == "mrlspk" else None
    beneath = card.base if card else _converted_from(loaded, file.path, cache_dir)
    terms = file.own or beneath
    return BaseCard(
        model=_shown(file.typed),
        sha256=sha256,
        family=loaded.architecture.family if loaded.family == "mrlspk" else loaded.family,
        licence=terms.licence if terms else UNKNOWN_LICENCE,
        non_commercial=terms.non_commercial if terms else None,
        training_set=_training_set(card.data) if card else None,
        front_end=front_end,
        base=beneath,
    )


def describe_source(path: Path, loaded: LoadedModel, base: BaseCard) -> dict[str, Any]:
    """Return the entry `converted_from`: the original file and its terms, to be carried by files made from it.

    Args:
        path: The original file.
        loaded: The model in it.
        base: See `describe_base`.
    """
    source = {"file": path.name, "family": loaded.family, "sha256": base.sha256, "config": loaded.described}
    return source | {"base": base.model_dump(mode="json")}


def provenance_of_run(config: Config, base: BaseCard | None) -> Provenance:
    """Return the provenance of the checkpoints of a run; ``base`` describes the model that it started from."""
    model, file = config.base_model, None
    if model is not None:
        file = BaseModelFile(
            model=model,
            family=base.family if base else None,
            sha256=base.sha256 if base else None,
        )
    return Provenance(
        kind="head_run" if config.trains_head_alone else "network_run",
        base=file,
        random_head=config.head.start == "random",
    )


def provenance_of_converted(loaded: LoadedModel, base: BaseCard) -> Provenance:
    """Return the provenance of a model that is written in our layout: its own, if it was in that layout before."""
    if loaded.family == "mrlspk":
        return loaded.provenance
    return Provenance(kind="converted", base=base_file(base))


def base_file(base: BaseCard) -> BaseModelFile:
    """Return the part of a base model's description that names its file."""
    return BaseModelFile(model=base.model, family=base.family, sha256=base.sha256)


def resumed_base(config: Config, loaded: LoadedModel, path: Path) -> BaseCard | None:
    """Return the base model of the run that wrote a checkpoint; None if it started from random weights.

    Without a model card in the checkpoint, its configuration names the base model.

    Raises:
        CheckpointError: If its model card is damaged.
    """
    card, model = read_card(loaded.contents, path), config.base_model
    if card is not None or model is None:
        return card.base if card else None
    if is_published(model):
        return _published_card(find_model(model), None)
    return BaseCard(
        model=_shown(model),
        sha256=None,
        family=loaded.architecture.family,
        licence=UNKNOWN_LICENCE,
        non_commercial=None,
        training_set=None,
    )


def _converted_from(loaded: LoadedModel, path: Path, cache_dir: Path | None) -> BaseCard | None:
    """Return the model that a file of ours was converted from; None if it does not name one.

    Raises:
        CheckpointError: If the entry is damaged.
    """
    source = loaded.contents.get(schema.CONVERTED_FROM)
    if not isinstance(source, dict):
        return None
    sha256 = source.get("sha256")
    published = published_as(sha256, cache_dir) if isinstance(sha256, str) else None
    if published:
        return _published_card(published, sha256)
    try:
        return BaseCard.model_validate(source["base"]) if source.get("base") else None
    except ValidationError as error:
        raise CheckpointError(
            f"its {schema.CONVERTED_FROM} is damaged: {problem_text(error.errors()[0])}", path, "Convert it again."
        ) from error


def _published_card(model: PublishedModel, sha256: str | None) -> BaseCard:
    return BaseCard(
        model=model.name,
        sha256=sha256,
        family=model.family,
        licence=model.licence,
        non_commercial=model.non_commercial,
        training_set=model.training_set,
    )


def _shown(typed: str) -> str:
    """Return a name or path as typed; of an absolute path the file name, since a model card goes to other machines."""
    return Path(typed).name if Path(typed).is_absolute() else typed


def _training_set(data: DataCard) -> str:
    return f"{data.folder}: {data.utterances:,} utterances of {data.speakers:,} speakers"
