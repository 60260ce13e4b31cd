"""Take one optimiser step; skip non-finite ones, and halve batches when memory runs out."""

import logging
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.optim import Optimizer

from mrlspk.distributed import ALONE, Ranks
from mrlspk.errors import MrlspkError
from mrlspk.training.device_memory import ran_out_of_memory
from mrlspk.training.trained_module import TrainedModule

log = logging.getLogger("mrlspk.training")

MAX_PARTS = 2  # of a batch, after memory ran out
MIN_PART = 2  # crops; batch normalisation needs two

type Batch = tuple[Tensor, ...]


@dataclass(frozen=True)
class StepResult:
    """Result of an optimiser step.

    Attributes:
        loss: Mean over its crops, of all processes; not finite if the step was skipped.
        loss_by_dim: The same by width.
        gradient_norm: Before clipping.
        is_done: Whether weights were changed; false if the step was skipped.
        asks: Sums over all processes of the ``asks`` of `Stepper.step`.
    """

    loss: float
    loss_by_dim: dict[int, float]
    gradient_norm: float
    is_done: bool
    asks: tuple[float, ...] = ()


@dataclass(frozen=True)
class NormStatistics:
    """Running means, variances and counts of the normalisations in training mode, and a copy to restore them from."""

    current: list[Tensor]
    saved: list[Tensor]

    @classmethod
    def of(cls, module: nn.Module) -> "NormStatistics":
        """Return the statistics of a module in its current mode."""
        norms = [each for each in module.modules() if isinstance(each, _BatchNorm) and each.training]
        current = [buffer for norm in norms for buffer in norm.buffers()]
        return cls(current, [buffer.clone() for buffer in current])

    @torch.no_grad()
    def save(self) -> None:
        """Copy the current values."""
        if self.current:
            torch._foreach_copy_(self.saved, self.current)

    @torch.no_grad()
    def restore(self) -> None:
        """Set the statistics back to the saved values."""
        if self.current:
            torch._foreach_copy_(self.current, self.saved)


@dataclass
class Stepper:
    """Takes optimiser steps on the mean gradient of all batches of a group, over all processes.

    A step with a non-finite loss is skipped, and so is one with a non-finite gradient unless a loss scale explains it:
    weights, optimiser and normalisation statistics stay as they were. After a GPU ran out of memory, every batch is
    processed in two parts; a step still has the same crops.

    Attributes:
        fabric: Sets precision and device.
        module: A `TrainedModule`, as Fabric wraps it.
        optimiser: As Fabric wraps it.
        max_grad_norm: Clip the gradient to this norm; None for no clipping.
        ranks: The processes that share the work.
        n_parts: Parts that each batch is processed in.
        crops_side_by_side: Neighbouring crops that a split must keep together.
    """

    fabric: Fabric
    module: Any
    optimiser: Any
    max_grad_norm: float | None
    ranks: Ranks = ALONE
    n_parts: int = 1
    crops_side_by_side: int = 1
    _statistics: NormStatistics = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.note_modes()

    def note_modes(self) -> None:
        """Note which normalisations are in training mode; call it after that has changed."""
        self._statistics = NormStatistics.of(self.module)

    def step(self, group: Sequence[Batch], *, asks: Sequence[float] = ()) -> StepResult:
        """Take one optimiser step.

        Args:
            group: Batches of inputs of the module; all have the same number of crops.
            asks: Numbers to sum over all processes.

        Raises:
            MrlspkError: If memory runs out and batches cannot be split further.
        """
        self._statistics.save()
        values = self._gradients(group)
        if values is None:
            self._split_batches(group)
            values = self._gradients(group)
            if values is None:
                raise self._out_of_memory(len(group[0][1]) // self.n_parts, "the batch is split already")
        try:
            return self._change_weights(values, asks)
        except RuntimeError as error:
            if not ran_out_of_memory(error):
                raise
            raise self._out_of_memory(len(group[0][1]) // self.n_parts, "the optimiser had no room") from error

    def _change_weights(self, values: dict[int, list[tuple[float, Tensor]]], asks: Sequence[float]) -> StepResult:
        """Clip the gradient and take the step, or skip it; return the result."""
        norm = self.fabric.clip_gradients(
            self.module, self.optimiser, max_norm=self.max_grad_norm or math.inf, error_if_nonfinite=False
        )
        loss, by_dim, summed = self._over_all(values, asks)
        gradient_norm = float(norm) if norm is not None else math.nan
        is_done = math.isfinite(loss) and (self._is_scaled or norm is None or math.isfinite(gradient_norm))
        if is_done or self._is_scaled:  # the scaler skips such a step itself, and has to lower its scale
            self.optimiser.step()
        if not is_done:
            self._statistics.restore()
        return StepResult(loss, by_dim, gradient_norm, is_done, summed)

    @property
    def _is_scaled(self) -> bool:
        """Whether losses are scaled: gradients then overflow now and then by design."""
        return getattr(self.fabric.strategy.precision, "scaler", None) is not None

    def _gradients(self, group: Sequence[Batch]) -> dict[int, list[tuple[float, Tensor]]] | None:
        """Accumulate the mean gradient; return the losses of each part with its share; None if memory ran out.

        Losses are by width; the total is at 0.
        """
        self.optimiser.zero_grad(set_to_none=True)
        parts = [part for batch in group for part in _split(batch, self.n_parts)]
        n_crops = sum(len(part[1]) for part in parts)
        found: dict[int, list[tuple[float, Tensor]]] = defaultdict(list)
        try:
            for number, part in enumerate(parts, start=1):
                share = len(part[1]) / n_crops
                with self.fabric.no_backward_sync(self.module, enabled=number < len(parts)):
                    value = self.module(*self.fabric.to_device(part))
                    self.fabric.backward(value.total * share)
                for dim, loss in ((0, value.total.detach()), *value.by_dim.items()):
                    found[dim].append((share, loss))
        except RuntimeError as error:
            if not ran_out_of_memory(error):
                raise
            if self.ranks.world_size > 1:
                raise self._out_of_memory(
                    len(group[0][1]) // self.n_parts, "the other processes wait for this one"
                ) from error
            return None
        return found

    def _over_all(
        self, values: dict[int, list[tuple[float, Tensor]]], asks: Sequence[float]
    ) -> tuple[float, dict[int, float], tuple[float, ...]]:
        """Return the mean loss, the mean loss of each width, and the sums of ``asks``, over all processes."""
        flat = [(dim, share, loss) for dim, pairs in sorted(values.items()) for share, loss in pairs]
        numbers = torch.stack([loss.float() for _, _, loss in flat]).tolist()  # one synchronisation with the GPU
        weighted, shares = defaultdict[int, list[float]](list), defaultdict[int, list[float]](list)
        for (dim, share, _), number in zip(flat, numbers, strict=True):
            weighted[dim].append(share * number)
            shares[dim].append(share)
        means = [sum(weighted[dim]) / sum(shares[dim]) for dim in weighted]
        sums = self.ranks.all_reduce([*means, *asks])
        total, *by_dim = (value / self.ranks.world_size for value in sums[: len(means)])
        return total, dict(zip(list(weighted)[1:], by_dim, strict=True)), tuple(sums[len(means) :])

    def _split_batches(self, group: Sequence[Batch]) -> None:
        """Free the memory of the failed pass, and process batches in two parts from now on.

        Raises:
            MrlspkError: If they are in two parts already, or cannot be halved.
        """
        batch = len(group[0][1])
        part, rest = divmod(batch, 2 * self.n_parts)
        if self.n_parts >= MAX_PARTS:
            raise self._out_of_memory(batch // self.n_parts, "batches are in two parts already")
        if part < MIN_PART or rest or part % self.crops_side_by_side:
            raise self._out_of_memory(batch, f"a batch of {batch} cannot be halved")
        self.n_parts *= 2
        self._statistics.restore()
        self.optimiser.zero_grad(set_to_none=True)
        if self.fabric.device.type == "cuda":
            torch.cuda.empty_cache()
        log.warning(
            "memory ran out at batches of %d: from now on each is processed in two parts of %d, with twice the "
            "accumulation; lower training.batch_size for the next run",
            batch,
            part,
        )

    def _out_of_memory(self, batch: int, why: str) -> Exception:
        """Return the error of a GPU without room for a batch."""
        return MrlspkError(
            f"the GPU ran out of memory at {batch} crops at once: {why}",
            "training.batch_size",
            "Lower it and raise training.accumulation_steps by the same factor, or set "
            "hardware.gradient_checkpointing=true or hardware.precision=bf16. Resume with "
            "`resume=auto` and `allow_changes=True`. "
            "`mrlspk gpu-profile` measures what fits.",
        )


def wrap(fabric: Fabric, module: TrainedModule, optimiser: Optimizer) -> tuple[Any, Any]:
    """Return module and optimiser as Fabric wraps them; the module is moved to the device."""
    wrapped, wrapped_optimiser = fabric.setup(module, optimiser)
    return wrapped, wrapped_optimiser


def _split(batch: Batch, n_parts: int) -> list[Batch]:
    if n_parts == 1:
        return [batch]
    return list(zip(*(entry.chunk(n_parts) for entry in batch), strict=True))
