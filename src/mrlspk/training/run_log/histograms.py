"""Weights and gradients of a model as histograms."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor, nn

BINS = 64


@dataclass(frozen=True)
class Histogram:
    """How many values lie between each edge and the next; there is one edge more than counts."""

    counts: list[int]
    edges: list[float]


def histogram(values: Tensor, *, bins: int = BINS) -> Histogram | None:
    """Return that of the finite among ``values``, of any shape; None where there are none.

    Each bin has its lower edge, the last its upper edge too; equal values lie in the middle of a range of 1.
    It is made by whole-number counting, the same at each run on a GPU too.
    """
    flat = values.detach().flatten().float()
    flat = flat[flat.isfinite()]
    if not flat.numel():
        return None
    low, high = (edge.item() for edge in flat.aminmax())
    if low == high:
        low, high = low - 0.5, high + 0.5
    edges = torch.linspace(low, high, bins + 1, device=flat.device)
    place = torch.bucketize(flat, edges[1:-1], right=True)
    counts: list[int] = torch.bincount(place, minlength=bins).tolist()
    found: list[float] = edges.tolist()
    return Histogram(counts, found)


def module_histograms(module: nn.Module) -> Iterator[tuple[str, Histogram]]:
    """Yield those of all parameters, and of their gradients where they have one, by name."""
    for name, parameter in module.named_parameters():
        for kind, values in (("parameters", parameter), ("gradients", parameter.grad)):
            found = None if values is None else histogram(values)
            if found is not None:
                yield f"{kind}/{name}", found
