"""What every layout of checkpoint files says, once it is read."""

import json
import math
import re
import reprlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ValidationError

from mrlspk.config.architecture import Architecture
from mrlspk.errors import CheckpointError
from mrlspk.models.checkpoints.transfer import SHOWN, shown_name

_SHORT = reprlib.Repr(maxstring=80, maxother=80)

DEEPEST, LARGEST = 16, 2**63  # how deep a configuration may be, and how large a number in it

type Family = Literal["redimnet", "redimnet2", "redimnet-mrl", "mrlspk"]


@dataclass(frozen=True)
class Layout:
    """A checkpoint file whose configuration is valid, and whose weights are not yet looked at.

    Attributes:
        family: Which layout it is.
        architecture: The network that its own configuration describes.
        state: Its weights, by their names in the file.
        names: Beginnings of the network's names, with what they are in the file.
        described: The configuration as the file has it.
        left_out: Beginnings of names that are known and of no use to an encoder.
        config: The resolved configuration of the training run; None for published models.
        contents: All entries of the file but the weights.
    """

    family: Family
    architecture: Architecture
    state: dict[str, Any]
    described: dict[str, Any]
    names: Mapping[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    config: dict[str, Any] | None = None
    contents: dict[str, Any] = field(default_factory=dict)

    def name_in_file(self, name: str) -> str:
        """Return what the file calls the network's entry ``name``."""
        for ours, theirs in self.names.items():
            if name.startswith(ours):
                return theirs + name.removeprefix(ours)
        return name


def checked_state(state: Any, path: Path) -> dict[str, Any]:
    """Return the weights of a file, which must be a dict by name.

    Raises:
        CheckpointError: If they are not.
    """
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise CheckpointError(
            f"expected a dict of weights by name, found a {type(state).__name__}",
            path,
            "Give a checkpoint whose weights are a state dict.",
        )
    return state


def validate_options[Options: BaseModel](model: type[Options], values: Any, path: Path, where: str) -> Options:
    """Return a file's configuration as ``model``, types taken strictly: no text for a number, no 1 for true.

    Raises:
        CheckpointError: If an option or its value is not among the known ones; each is named.
    """
    try:
        return model.model_validate_json(json.dumps(values), strict=True)  # strict JSON takes lists for tuples
    except ValidationError as error:
        problems = "; ".join(_problem(entry) for entry in error.errors()[:SHOWN])
        raise CheckpointError(
            problems, f"{path}: {where}", "This mrlspk builds no network for it; a later version may."
        ) from error


def plain_options(values: Any, path: Path, where: str) -> dict[str, Any]:
    """Return a file's configuration as JSON has it: text, numbers, truth values, lists, and dicts by text.

    Raises:
        CheckpointError: If it holds anything else, or is no dict.
    """
    if not isinstance(values, dict):
        raise CheckpointError(
            f"its {where} is a {type(values).__name__}, expected a dict of options",
            path,
            "Give a checkpoint that says what network it is of.",
        )
    plain: dict[str, Any] = plain_entry(values, path, where, own=False)
    return plain


def plain_entry(value: Any, path: Path, where: str, *, own: bool = True) -> Any:
    """Return an entry of a checkpoint out of plain values; ``own`` is one that a run of ours wrote, see `_plain`.

    Raises:
        CheckpointError: If it holds anything else.
    """
    try:
        return _plain(value, depth=0, own=own)
    except TypeError as error:
        raise CheckpointError(
            f"its {where} holds {error}, expected text, numbers, lists and dicts", path, "Give a checkpoint without it."
        ) from error


def _plain(value: Any, *, depth: int, own: bool) -> Any:
    """Return ``value`` out of plain types; what is ``own`` may have numbers as keys, and any numbers."""
    if depth > DEEPEST:
        raise TypeError(f"lists within lists, more than {DEEPEST} deep")
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int) and abs(value) <= LARGEST:
        return int(value)
    if isinstance(value, float) and (own or math.isfinite(value)):
        return float(value)
    if isinstance(value, list | tuple):
        return [_plain(item, depth=depth + 1, own=own) for item in value]
    if isinstance(value, dict) and all(isinstance(key, str) or (own and isinstance(key, int)) for key in value):
        return {key: _plain(item, depth=depth + 1, own=own) for key, item in value.items()}
    raise TypeError(f"a {type(value).__name__}" if not isinstance(value, int | float | dict) else _odd(value))


def _odd(value: float | dict[Any, Any]) -> str:
    return "a dict whose keys are not text" if isinstance(value, dict) else "a number beyond bounds"


def _problem(entry: Any) -> str:
    option = ".".join(map(shown_name, map(str, entry["loc"])))
    if entry["type"] == "extra_forbidden":
        return f"option {option}={_shown(entry['input'])} is not known"
    if entry["type"] == "missing":
        return f"option {option} is missing"
    message = str(entry["msg"]).removeprefix("Value error, ")
    if entry["type"] == "value_error":
        return f"{option}: {message}" if option else message
    return f"option {option}={_shown(entry['input'])} is not supported: {message}"


def _shown(value: Any) -> str:
    """Return a value of a file for a message: short, and without control characters."""
    plain = isinstance(value, str) and re.fullmatch(r"[\w+.-]{1,40}", value)
    return str(value) if plain else _SHORT.repr(value)
