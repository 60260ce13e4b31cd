"""Running statistics of normalisations, kept across a step so that one that fails leaves no trace in them."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


@dataclass(frozen=True)
class Statistics:
    """The running means, variances and counts of the normalisations that are trained, and a copy of them."""

    current: list[Tensor]
    kept: list[Tensor]

    @classmethod
    def of(cls, module: nn.Module) -> "Statistics":
        """Return those of a module in the mode that it is in now."""
        norms = [each for each in module.modules() if isinstance(each, _BatchNorm) and each.training]
        current = [buffer for norm in norms for buffer in norm.buffers()]
        return cls(current, [buffer.clone() for buffer in current])

    @torch.no_grad()
    def keep(self) -> None:
        """Copy what they are now."""
        if self.current:
            torch._foreach_copy_(self.kept, self.current)

    @torch.no_grad()
    def bring_back(self) -> None:
        """Make them again what they were when they were kept."""
        if self.current:
            torch._foreach_copy_(self.current, self.kept)
