"""How the parts of a network are called: as they are, compiled, or a stage anew in the backward pass."""

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
COUNTS = "running_mean", "running_var", "num_batches_tracked"  # what a BatchNorm in training mode writes
# Graphs behind the one compiled call, beyond which parts would go uncompiled: each part of a backbone has one for each
# batch size, and one more where its parameters are frozen.
MOST_GRAPHS = 256


@dataclass(frozen=True)
class Calls:
    """The way to call parts; parameters, their names and copies of the network know nothing of it.

    Attributes:
        compiled: Through torch.compile where gradients are on. Without them, thus in validation and extraction, where
            every file has another length, parts are called as they are, and give what the saved model gives.
        recomputed: A stage keeps nothing but what leaves it (Chen et al. 2016, arXiv:1604.06174); where its inner
            values are needed for gradients, it is called once more.
    """

    compiled: bool = False
    recomputed: bool = False

    def call(self, part: nn.Module, x: Any) -> Tensor:
        """Return what ``part`` makes of ``x``; one without parameters is not worth compiling."""
        is_compiled = self.compiled and torch.is_grad_enabled() and any(True for _ in part.parameters())
        result: Tensor = _compiled()(part, x) if is_compiled else part(x)
        return result

    def stage(
        self, run: Callable[[Streams], list[Tensor]], parts: Sequence[nn.Module], streams: Sequence[Tensor]
    ) -> list[Tensor]:
        """Return what ``run`` makes of ``streams`` by ``parts``, with nothing kept that can be computed anew."""
        seen = tuple(streams)  # as they are now: the backbone adds to its own
        if not (self.recomputed and _is_trained(parts, seen)):
            return run(seen)

        def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
            return nullcontext(), statistics_kept(parts)

        result: list[Tensor] = checkpoint(run, seen, use_reentrant=False, context_fn=contexts)
        return result


@contextmanager
def statistics_kept(parts: Iterable[nn.Module]) -> Iterator[None]:
    """Let every BatchNorm in training mode write its statistics to copies, which are thrown away.

    The first pass has counted the batch. Kernels and what they save are those of the first pass: it cannot be told
    by them to leave the statistics out.
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
    """Return whether a pass is one of training that gradients go back through; adapters may be all that is trained."""
    if not torch.is_grad_enabled() or not any(module.training for part in parts for module in part.modules()):
        return False
    parameters = (parameter for part in parts for parameter in part.parameters())
    return any(values.requires_grad for values in (*streams, *parameters))


@cache
def _compiled() -> Callable[[nn.Module, Any], Tensor]:
    """Return the compiled call: one for all parts, which come to it as arguments, so that a copy of one is its own.

    Shapes are compiled in, since training crops have one length, and parts of other shapes are no reason to think not.
    """
    import torch._dynamo  # a second of imports, for those alone who compile

    torch._dynamo.config.recompile_limit = MOST_GRAPHS
    compiled: Callable[[nn.Module, Any], Tensor] = torch.compile(_call, dynamic=False)
    return compiled


def _call(part: nn.Module, x: Any) -> Any:
    return part(x)
