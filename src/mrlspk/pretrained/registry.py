"""The published models that can be fetched by name; the data is in ``registry.yaml``."""

import difflib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, urljoin

import yaml
from pydantic import BaseModel, ConfigDict, Field, PositiveInt, TypeAdapter

from mrlspk.errors import MrlspkError

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Rate = Annotated[float, Field(ge=0, le=1)]


class PublishedModel(BaseModel):
    """One published checkpoint file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str = Field(description="Name in mrlspk: {family}-{model}-{dataset}-{train}.")
    file: str = Field(description="File name as published.")
    base_url: str = Field(description="Address of the release, with a slash at its end.")
    sha256: Sha256 | None = Field(description="Null until it is known.")
    bytes: PositiveInt | None = Field(description="Size of the file; null until it is known.")
    licence: str = Field(description="Licence of the weights, and what else binds their use.")
    published_eer: dict[str, Rate] | None = Field(description="EER by trial list, as the publisher states it.")

    @property
    def url(self) -> str:
        """The address of the file."""
        return urljoin(self.base_url, quote(self.file, safe=""))

    def source(self, mirror: str | None) -> str | Path:
        """Return where to get the file: its address, or its place in a mirror (address or folder of such files)."""
        if mirror is None:
            return self.url
        if mirror.startswith(("http://", "https://")):
            return f"{mirror.rstrip('/')}/{quote(self.file, safe='')}"
        return Path(mirror).expanduser() / self.file


def list_models() -> tuple[PublishedModel, ...]:
    """Return every published model, in the order of the registry."""
    return tuple(_models_by_name().values())


def is_published(name: str) -> bool:
    """Say whether ``name`` is that of a published model."""
    return name in _models_by_name()


def find_model(name: str) -> PublishedModel:
    """Return the published model of this name.

    Raises:
        MrlspkError: If there is none; the message names the nearest.
    """
    models = _models_by_name()
    if name in models:
        return models[name]
    by_lower = {known.lower(): known for known in models}
    nearest = difflib.get_close_matches(name.lower(), by_lower, n=3, cutoff=0.5)
    guess = f"Did you mean {' or '.join(by_lower[known] for known in nearest)}? " if nearest else ""
    raise MrlspkError("no published model of this name", name, f"{guess}`mrlspk pretrained list` shows all names.")


@cache
def _models_by_name() -> dict[str, PublishedModel]:
    """Read the registry; each release gives its models its ``base_url``."""
    releases = yaml.safe_load(files("mrlspk.pretrained").joinpath("registry.yaml").read_text(encoding="utf-8"))
    entries = [{**entry, "base_url": release["base_url"]} for release in releases for entry in release["models"]]
    models = TypeAdapter(tuple[PublishedModel, ...]).validate_python(entries)
    return {model.name: model for model in models}
