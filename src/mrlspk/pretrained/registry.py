"""Read the registry of published models from ``registry.yaml``."""

from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote, urljoin, urlsplit

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, TypeAdapter

from mrlspk.errors import MrlspkError
from mrlspk.pretrained.similar_names import did_you_mean, similar_names

type Family = Literal["redimnet", "redimnet2", "redimnet-mrl", "onnx"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Rate = Annotated[float, Field(ge=0, le=1)]


class PublishedModel(BaseModel):
    """One published file: a checkpoint, or an ONNX speaker model."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Name in mrlspk: {family}-{model}-{dataset}-{train}, or the file without .onnx.")
    family: Family = Field(description="Layout of the file.")
    file: str = Field(description="File name as published.")
    base_url: str = Field(description="URL of the release, with a trailing slash.")
    sha256: Sha256 | None = Field(None, description="Null until it is known.")
    bytes: PositiveInt | None = Field(None, description="Size of the file; null until it is known.")
    licence: str = Field(description="Licence of the weights and other terms of use.")
    non_commercial: bool = Field(description="Whether a training corpus is for non-commercial use only.")
    training_set: str = Field(description="Corpora that it was trained on.")
    parameters: PositiveFloat | None = Field(None, description="Millions, as published; null if unknown.")
    gmacs: PositiveFloat | None = Field(None, description="10^9 multiply-accumulates, as published.")
    published_eer: dict[str, Rate] | None = Field(None, description="EER by trial list, as the publisher states it.")
    eer_source: str | None = Field(None, description="Where the EER is published, and how it was scored.")
    source: str = Field(description="Where the file is announced.")

    @property
    def suffix(self) -> str:
        """The suffix of the file here."""
        return ".onnx" if self.family == "onnx" else ".pt"

    @property
    def url(self) -> str:
        """The URL of the file."""
        return urljoin(self.base_url, quote(self.file, safe=""))

    def sources(self, mirror: str | None) -> tuple[str, ...] | tuple[Path, ...]:
        """Return where to look for the file, in order.

        Without a mirror that is its URL. In a mirror (URL or folder) it is its name here, as in a cache folder, then
        its published name, then the path of its URL, as in a proxy.
        """
        if mirror is None:
            return (self.url,)
        release = urlsplit(self.base_url).path.strip("/")
        places = dict.fromkeys([f"{self.name}{self.suffix}", self.file, f"{release}/{self.file}"])
        if mirror.lower().startswith(("http://", "https://")):
            base = mirror.rstrip("/")
            return tuple(f"{base}/{quote(place)}" for place in places)
        return tuple(Path(mirror).expanduser() / place for place in places)


def list_models() -> tuple[PublishedModel, ...]:
    """Return every published model, in the order of the registry."""
    return tuple(_models_by_name().values())


def is_published(name: str) -> bool:
    """Say whether a published model has this name."""
    return name in _models_by_name()


def find_model(name: str) -> PublishedModel:
    """Return the published model of this name.

    Raises:
        MrlspkError: If there is none; the message names similar ones.
    """
    models = _models_by_name()
    if name in models:
        return models[name]
    guess = did_you_mean(similar_names(name, models))
    raise MrlspkError("no published model of this name", name, f"{guess}`mrlspk pretrained list` shows all names.")


@cache
def _models_by_name() -> dict[str, PublishedModel]:
    """Read the registry."""
    groups = yaml.safe_load(files("mrlspk.pretrained").joinpath("registry.yaml").read_text(encoding="utf-8"))
    entries = [_entry(group["defaults"], model) for group in groups for model in group["models"]]
    models = TypeAdapter(tuple[PublishedModel, ...]).validate_python(entries)
    return {model.name: model for model in models}


def _entry(defaults: dict[str, Any], model: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a model; without a published EER, ``eer_source`` is left out."""
    entry = defaults | model
    if "published_eer" not in entry:
        entry.pop("eer_source", None)
    return entry
