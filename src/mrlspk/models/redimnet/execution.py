"""Choose how the parts of a network are called: eagerly, compiled, or with activation checkpointing."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

type Streams = tuple[Tensor, ...]

NORMS = nn.BatchNorm1d, nn.BatchNorm2d, nn.SyncBatchNorm
COUNTS = "running_mean", "running_var", "num_batches_tracked"  # buffers that a BatchNorm writes in training mode
# Limit of graphs behind the one compiled call; further parts would run uncompiled. Each part of a backbone has a graph
# per batch size, and another one for frozen parameters.
MOST_GRAPHS = 256


@dataclass(frozen=True)
class Calls:
    """The way to call parts; parameters and their names do not depend on it.

    Attributes:
        compiled: Call parts through torch.compile while gradients are on. Without gradients, as in validation and
            extraction, where every file has another length, parts are called plainly, as in the saved model.
        recomputed: Keep only the output of a stage, and compute its activations again in the backward pass (Chen et
            al. 2016, arXiv:1604.06174).
    """

    compiled: bool = False
    recomputed: bool = False

    def call(self, part: nn.Module, x: Any) -> Tensor:
        """Return ``part(x)``; a part without parameters is not compiled."""
        is_compiled = self.compiled and torch.is_grad_enabled() and any(True for _ in part.parameters())
        result: Tensor = _compiled()(part, x) if is_compiled else part(x)
        return result

    def stage(
        self, run: Callable[[Streams], list[Tensor]], parts: Sequence[nn.Module], streams: Sequence[Tensor]
    ) -> list[Tensor]:
        """Return ``run(streams)``, which calls ``parts``; if recomputed, without keeping its activations."""
        seen = tuple(streams)  # a copy: the backbone appends to its list
        if not (self.recomputed and _is_trained(parts, seen)):
            return run(seen)

        def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
            return nullcontext(), statistics_kept(parts)

        result: list[Tensor] = checkpoint(run, seen, use_reentrant=False, context_fn=contexts)
        return result


@contextmanager
def statistics_kept(parts: Iterable[nn.Module]) -> Iterator[None]:
    """Let every BatchNorm in training mode write its statistics to copies, which are discarded.

    The first pass has counted the batch already, and the second one has to run the same kernels.
    """
    norms = [module for part in parts for module in part.modules() if isinstance(module, NORMS) and module.training]
    own = [(norm, name, getattr(norm, name)) for norm in norms for name in COUNTS]
    own = [(norm, name, values) for norm, name, values in own if values is not None]
    try:
        for norm, name, values in own:
            setattr(norm, name, values.clone())
        yield
    finally:
        for norm, name, values in own:
            setattr(norm, name, values)


def _is_trained(parts: Sequence[nn.Module], streams: Streams) -> bool:
    """Return whether a training pass needs gradients of the parts; adapters may be the only trained parameters."""
    if not torch.is_grad_enabled() or not any(module.training for part in parts for module in part.modules()):
        return False
    parameters = (parameter for part in parts for parameter in part.parameters())
    return any(values.requires_grad for values in (*streams, *parameters))


@cache
def _compiled() -> Callable[[nn.Module, Any], Tensor]:
    """Return the compiled call: one for all parts, which are its arguments, so that a copied network uses its own.

    Shapes are static, since training crops have one length.
    """
    import torch._dynamo  # takes a second, so only when compiling

    torch._dynamo.config.recompile_limit = MOST_GRAPHS
    compiled: Callable[[nn.Module, Any], Tensor] = torch.compile(_call, dynamic=False)
    return compiled


def _call(part: nn.Module, x: Any) -> Any:
    return part(x)
