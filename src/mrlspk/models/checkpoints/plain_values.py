"""Check that entries of a checkpoint are plain values, and validate its configuration."""

import json
import math
import re
import reprlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from mrlspk.config.value_problems import problem_text
from mrlspk.errors import CheckpointError
from mrlspk.models.checkpoints.state_dict_report import SHOWN, shown_name

_SHORT = reprlib.Repr(maxstring=80, maxother=80)
# Prefixes of all names in a state dict: of DistributedDataParallel, torch.compile, and a module that holds the network.
WRAPPERS = "module.", "_orig_mod.", "model."
DEEPEST, LARGEST = 16, 2**63  # how deep a configuration may be, and how large a number in it


@contextmanager
def reading_entries(path: Path) -> Iterator[None]:
    """Turn the absence of an entry, or an entry of another type, into an error of its checkpoint.

    Raises:
        CheckpointError: If the block raises KeyError or TypeError.
    """
    try:
        yield
    except (KeyError, TypeError) as error:
        raise CheckpointError(f"is incomplete or damaged: {error!r}", path, "Give it as it was written.") from error


def checked_state(state: Any, path: Path) -> dict[str, Any]:
    """Return the weights of a file, without the prefixes that wrappers of the network put before every name.

    Raises:
        CheckpointError: If they are no dict by name.
    """
    if not isinstance(state, dict) or not all(isinstance(name, str) for name in state):
        raise CheckpointError(
            f"expected a dict of weights by name, found a {type(state).__name__}",
            path,
            "Give a checkpoint whose weights are a state dict.",
        )
    return _unwrapped(state)


def _unwrapped(state: dict[str, Any]) -> dict[str, Any]:
    """Return weights without the prefixes that wrappers put before every name."""
    while prefix := next((each for each in WRAPPERS if state and all(name.startswith(each) for name in state)), None):
        state = {name.removeprefix(prefix): values for name, values in state.items()}
    return state


def validate_options[Options: BaseModel](model: type[Options], values: Any, path: Path, where: str) -> Options:
    """Return a file's configuration as ``model``, with strict types: no text for a number, no 1 for true.

    Raises:
        CheckpointError: If an option or its value is not known; each is named.
    """
    try:
        return model.model_validate_json(json.dumps(values), strict=True)  # strict JSON takes lists for tuples
    except ValidationError as error:
        problems = "; ".join(_problem(entry) for entry in error.errors()[:SHOWN])
        raise CheckpointError(
            problems, f"{path}: {where}", "This mrlspk builds no network for it; a later version may."
        ) from error


def plain_options(values: Any, path: Path, where: str) -> dict[str, Any]:
    """Return a file's configuration as JSON values: text, finite numbers, booleans, lists, and dicts by text.

    Raises:
        CheckpointError: If it is no dict, or holds anything else.
    """
    if not isinstance(values, dict):
        raise CheckpointError(
            f"its {where} is a {type(values).__name__}, expected a dict of options",
            path,
            "Give a checkpoint that describes its network.",
        )
    plain: dict[str, Any] = plain_entry(values, path, where, own=False)
    return plain


def plain_entry(value: Any, path: Path, where: str, *, own: bool = True) -> Any:
    """Return an entry of a checkpoint as plain values; one of our ``own`` may have numbers as keys, and NaN.

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
    """Return ``value`` as plain types; see `plain_entry`."""
    if depth > DEEPEST:
        raise TypeError(f"lists nested more than {DEEPEST} deep")
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
    message = problem_text(entry)
    if entry["type"] == "value_error":
        return f"{option}: {message}" if option else message
    return f"option {option}={_shown(entry['input'])} is not supported: {message}"


def _shown(value: Any) -> str:
    """Return a value for a message: short, without control characters."""
    plain = isinstance(value, str) and re.fullmatch(r"[\w+.-]{1,40}", value)
    return str(value) if plain else _SHORT.repr(value)
