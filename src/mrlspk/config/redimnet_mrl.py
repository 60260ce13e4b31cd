"""Describe redimnet-mrl's configuration: its models, its keys and the new key of each."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

import yaml
from pydantic import Field, NonNegativeFloat, PositiveInt

from mrlspk.config.architecture import ReDimNetConfig
from mrlspk.config.base import StrictModel


class PredecessorModel(StrictModel):
    """Section ``model`` of redimnet-mrl's configuration; the layers that it describes are not those that were built."""

    name: str
    embed_dim: PositiveInt
    mrl_dims: tuple[PositiveInt, ...] = Field(min_length=1)
    mrl_weights: tuple[NonNegativeFloat, ...] | None = None
    F: PositiveInt = 72
    C: PositiveInt = 12
    block_1d_type: str = "att"
    block_2d_type: str = "convnext_like"
    pooling_func: str = "ASTP"
    out_channels: PositiveInt = 512
    feat_type: str = "pt"


class PredecessorAdvanced(StrictModel):
    """Section ``advanced`` of redimnet-mrl's configuration."""

    use_pretrained: bool = True
    model_name: str = "b2"
    train_type: str = "ptn"
    pretrained_dataset: str = "vox2"
    freeze_backbone_epochs: int = 9999
    pretrained_checkpoint: str | None = None
    progressive_mrl: bool = False
    progressive_schedule: tuple[int, ...] = ()
    mixed_datasets: bool = False
    dataset_sampling_weights: tuple[float, ...] = ()


class PredecessorConfig(StrictModel):
    """The training configuration in a redimnet-mrl checkpoint; sections that describe no layers are not checked."""

    model: PredecessorModel
    advanced: PredecessorAdvanced = PredecessorAdvanced()
    backbone: ReDimNetConfig | None = None
    loss: dict[str, Any] = Field(default_factory=dict)
    training: dict[str, Any] = Field(default_factory=dict)
    data: dict[str, Any] = Field(default_factory=dict)
    hardware: dict[str, Any] = Field(default_factory=dict)
    logging: dict[str, Any] = Field(default_factory=dict)
    evaluation: dict[str, Any] = Field(default_factory=dict)
    seed: int = 0
    deterministic: bool = False


PUBLISHED_WIDTH = 192  # of every published ReDimNet


@dataclass(frozen=True)
class PredecessorValues:
    """The values of a redimnet-mrl file, by dotted key."""

    values: Mapping[str, Any]

    def get(self, key: str) -> Any:
        """Return the value of ``key``, or None."""
        return self.values.get(key)

    def number(self, key: str) -> float | None:
        """Return the value of ``key`` as a number; None if it is missing or not a number."""
        return as_number(self.values.get(key))

    @property
    def is_whole(self) -> bool:
        """Whether the file is complete: redimnet-mrl did not run without section ``advanced``."""
        return any(key.startswith("advanced.") for key in self.values)

    @property
    def from_scratch(self) -> bool:
        """Whether training starts from random weights, which is the default of a complete file."""
        return not self.values.get("advanced.use_pretrained", not self.is_whole)

    @property
    def full_width(self) -> int | None:
        """The largest of the widths, or None."""
        dims = self.get("model.mrl_dims")
        whole = [dim for dim in dims if isinstance(dim, int)] if isinstance(dims, list) else []
        return max(whole, default=None)

    @property
    def trains_head_alone(self) -> bool:
        """Whether the backbone stays frozen for the whole run."""
        if self.from_scratch:
            return False
        epochs = self.number("advanced.freeze_backbone_epochs")
        if epochs is None:
            return "advanced.freeze_backbone_epochs" in self.values or not self.is_whole
        limit = self.number("training.num_epochs")
        return epochs >= (9999 if limit is None else min(limit, 9999)) and epochs > 0


def as_number(value: Any) -> float | None:
    """Return a number, also of text such as 1e-4 (which YAML reads as text); else None."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


TOP = "top level"


@dataclass(frozen=True)
class OldKey:
    """A dotted key of redimnet-mrl; ``new`` is its key here, or None.

    Attributes:
        remark: What changed, or why the key was dropped; empty if the meaning is the same.
    """

    old: str
    new: str | None
    remark: str

    @property
    def section(self) -> str:
        """Its section."""
        return self.old.split(".")[0] if "." in self.old else TOP


@cache
def old_keys() -> Mapping[str, OldKey]:
    """Return every key of redimnet-mrl by its dotted name, in the order of its file."""
    text = files("mrlspk.config").joinpath("migration.yaml").read_text(encoding="utf-8")
    rows = (
        OldKey(key if section == TOP else f"{section}.{key}", **entry)
        for section, entries in yaml.safe_load(text).items()
        for key, entry in entries.items()
    )
    return {row.old: row for row in rows}


def flatten(content: Mapping[Any, Any]) -> Iterator[tuple[str, Any]]:
    """Yield the dotted keys of a file and their values; a mapping that is a value stays whole.

    An empty section yields nothing; a section with a value in place of keys is yielded as a key.
    """
    sections = {row.section for row in old_keys().values()} - {TOP}
    for name, value in content.items():
        if name in sections and value is None:
            continue
        if isinstance(value, Mapping) and name not in old_keys():
            yield from ((f"{name}.{key}", inner) for key, inner in value.items())
        else:
            yield str(name), value


def nearest_old_key(key: str) -> str | None:
    """Return the key of redimnet-mrl nearest to an unknown one, or None."""
    return next(iter(difflib.get_close_matches(key, old_keys(), 1, 0.7)), None)


def render_tables() -> str:
    """Return the tables of docs/migration.md, one under the name of each section."""
    pieces: list[str] = []
    section = ""
    for row in old_keys().values():
        if row.section != section:
            section = row.section
            heading = "Top level" if section == TOP else f"`{section}`"
            pieces.append(f"\n### {heading}\n\n| old key | new key | remark |\n|---|---|---|\n")
        cells = f"`{row.old}`", f"`{row.new}`" if row.new else "none", row.remark
        pieces.append("| " + " | ".join(cell for cell in cells).rstrip() + " |\n")
    return "".join(pieces)
