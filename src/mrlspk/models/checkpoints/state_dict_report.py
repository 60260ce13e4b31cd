"""Compare the state dict of a file with that of the network that its configuration describes."""

import math
import reprlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeGuard

import torch
from torch import Tensor

SHOWN, LONGEST = 10, 200  # entries that a message names, and characters of each
_SHORT = reprlib.Repr(maxstring=LONGEST)


@dataclass(frozen=True)
class StateDictReport:
    """The entries of a file against those of its network, by their names in the file.

    Attributes:
        loaded: Number of entries that fit.
        missing: Entries of the network that the file does not fill: absent, or listed under ``mismatched``.
        unexpected: Entries of the file that the network does not have.
        mismatched: Entries of both that differ in type or shape, each with both.
        left_out: Known entries of the file that an encoder does not need, such as a classifier over speakers.
        coverage: Share of the network's values that the file fills, in [0, 1].
    """

    loaded: int
    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    mismatched: tuple[str, ...]
    left_out: tuple[str, ...]
    coverage: float

    @property
    def is_whole(self) -> bool:
        """Whether the names of both sides are the same and all entries fit."""
        return not (self.missing or self.unexpected)

    def problems(self) -> str:
        """Return the first entries that are missing, unexpected or mismatched, as one line."""
        differing = {text.partition(" ")[0] for text in self.mismatched}
        listed = [*self.mismatched]
        listed += [f"missing {name}" for name in self.missing if name not in differing]
        listed += [f"unexpected {shown_name(name)}" for name in self.unexpected]
        rest = len(listed) - SHOWN
        return "; ".join(listed[:SHOWN]) + (f"; and {rest} more" if rest > 0 else "")


def shown_name(name: str) -> str:
    """Return the name of an entry for a message: on one line, quoted if it is long or does not print."""
    return name if name.isprintable() and 0 < len(name) <= LONGEST else _SHORT.repr(name)


def is_plain(values: object) -> TypeGuard[Tensor]:
    """Return whether ``values`` is a dense tensor on the CPU."""
    return (
        isinstance(values, Tensor)
        and values.layout == torch.strided
        and values.device.type == "cpu"
        and not (values.is_nested or values.is_quantized)
    )


def compare_states(
    found: Mapping[str, Any], expected: Mapping[str, Tensor], *, left_out: Iterable[str] = ()
) -> StateDictReport:
    """Return the report on ``found`` for a network whose entries are ``expected``, both by their names in the file."""
    ignored = set(left_out)
    mismatched = {name: _difference(name, found[name], expected[name]) for name in expected if name in found}
    wrong = {name: text for name, text in mismatched.items() if text}
    missing = tuple(name for name in expected if name not in found or name in wrong)
    values = {name: math.prod(tensor.shape) for name, tensor in expected.items()}
    total = sum(values.values())
    return StateDictReport(
        loaded=len(expected) - len(missing),
        missing=missing,
        unexpected=tuple(name for name in found if name not in expected and name not in ignored),
        mismatched=tuple(wrong.values()),
        left_out=tuple(name for name in found if name in ignored),
        coverage=(total - sum(values[name] for name in missing)) / total if total else 0.0,
    )


def _difference(name: str, found: Any, expected: Tensor) -> str:
    """Return how an entry differs from that of the network; an empty text if it fits."""
    if not isinstance(found, Tensor):
        return f"{name} is a {type(found).__name__}, not a tensor"
    if not is_plain(found):
        return f"{name} is not a dense tensor stored in the file"
    if found.shape != expected.shape:
        return f"{name} has shape {tuple(found.shape)}, expected {tuple(expected.shape)}"
    if found.is_floating_point() != expected.is_floating_point() or found.is_complex():
        return f"{name} holds {found.dtype}, expected {expected.dtype}"
    if found.untyped_storage().nbytes() < found.numel() * found.element_size():
        return f"{name} claims {found.numel():,} values, more than the file holds of it"
    if not torch.isfinite(found.to(expected.dtype)).all():
        return f"{name} holds values that are not finite in {expected.dtype}"
    if name.endswith("running_var") and found.numel() and found.min() < 0:
        return f"{name} holds a negative variance"
    return ""
