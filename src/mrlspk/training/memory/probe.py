"""What is tried at rising batch sizes: a training step, or the pass that stores the vectors of a frozen network."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Protocol

import torch
from torch import Tensor


class Probe(Protocol):
    """One pass of a run over random waveforms, at any batch size."""

    @property
    def device(self) -> torch.device:
        """Where it runs."""

    def take(self, batch_size: int) -> None:
        """Do one pass over ``batch_size`` crops."""

    def begin(self, batch_size: int) -> None:
        """Do the first passes at a batch size: those that make what later ones find there."""

    def forget(self) -> None:
        """Drop what the last pass left, or one that failed half-way."""

    def resident(self) -> Iterator[Tensor]:
        """Yield what stays in memory between passes."""

    def between_phases(self, note: Callable[[], None]) -> AbstractContextManager[None]:
        """Call ``note`` where one part of a pass ends and another begins, so that each is a straight line."""
