"""One optimiser step: forward and backward passes, and what is done where they fail."""

import logging
import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.optim import Optimizer

from mrlspk.distributed import ALONE, Ranks
from mrlspk.errors import MrlspkError
from mrlspk.training.device_memory import ran_out_of_memory
from mrlspk.training.modules import TrainedModule
from mrlspk.training.statistics import Statistics

log = logging.getLogger("mrlspk.training")

MOST_PARTS = 2  # that a batch is split into where memory runs out
LEAST_PART = 2  # crops; batch normalisation needs as many

type Batch = tuple[Tensor, ...]


@dataclass(frozen=True)
class StepResult:
    """What came of a step.

    Attributes:
        loss: Mean over its crops, of all processes; not a finite number where the step was left out.
        loss_by_dim: The same of each width that was taken.
        gradient_norm: Before clipping.
        is_done: Whether weights were changed; false where it was left out.
        asks: Sums over all processes of what each of them gave.
    """

    loss: float
    loss_by_dim: dict[int, float]
    gradient_norm: float
    is_done: bool
    asks: tuple[float, ...] = ()


@dataclass
class Stepper:
    """Takes optimiser steps on the mean gradient of all batches of a group, over all processes.

    A step whose loss is no finite number, or whose gradient is none where no loss scale explains it, is left out:
    weights, optimiser and statistics of normalisations stay as they were. Where a GPU runs out of memory, every batch
    is from then on taken in two parts, so that the step is of the same crops.

    Attributes:
        fabric: Whose precision and device hold.
        module: A `TrainedModule`, as Fabric wraps it.
        optimiser: As Fabric wraps it.
        max_grad_norm: Clip to it; None for no clipping.
        ranks: The processes that share the work.
        n_parts: Parts that each batch is taken in.
        crops_side_by_side: Crops that a split must not part.
    """

    fabric: Fabric
    module: Any
    optimiser: Any
    max_grad_norm: float | None
    ranks: Ranks = ALONE
    n_parts: int = 1
    crops_side_by_side: int = 1
    _statistics: Statistics = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.look_at_modes()

    def look_at_modes(self) -> None:
        """Take note of which normalisations are trained; to be called when that has changed."""
        self._statistics = Statistics.of(self.module)

    def step(self, group: Sequence[Batch], *, asks: Sequence[float] = ()) -> StepResult:
        """Do one optimiser step.

        Args:
            group: Batches of what the module takes; all have the same number of crops.
            asks: Numbers whose sums over all processes are wanted too.

        Raises:
            MrlspkError: If memory runs out and smaller parts cannot be taken.
        """
        self._statistics.keep()
        values = self._gradients(group)
        if values is None:
            self._take_smaller_parts(group)
            values = self._gradients(group)
            if values is None:
                raise self._no_room(len(group[0][1]) // self.n_parts, "that was a batch in parts already")
        try:
            return self._change_weights(values, asks)
        except RuntimeError as error:
            if not ran_out_of_memory(error):
                raise
            raise self._no_room(len(group[0][1]) // self.n_parts, "the optimiser found none") from error

    def _change_weights(self, values: dict[int, list[tuple[float, Tensor]]], asks: Sequence[float]) -> StepResult:
        """Clip the gradient and take the step, or leave it out; return what came of it."""
        norm = self.fabric.clip_gradients(
            self.module, self.optimiser, max_norm=self.max_grad_norm or math.inf, error_if_nonfinite=False
        )
        loss, by_dim, summed = self._over_all(values, asks)
        gradient_norm = float(norm) if norm is not None else math.nan
        is_done = math.isfinite(loss) and (self._is_scaled or norm is None or math.isfinite(gradient_norm))
        if is_done or self._is_scaled:  # the scaler leaves such a step out by itself, and has to lower its scale
            self.optimiser.step()
        if not is_done:
            self._statistics.bring_back()
        return StepResult(loss, by_dim, gradient_norm, is_done, summed)

    @property
    def _is_scaled(self) -> bool:
        """Whether losses are scaled, so that gradients overflow now and then by design."""
        return getattr(self.fabric.strategy.precision, "scaler", None) is not None

    def _gradients(self, group: Sequence[Batch]) -> dict[int, list[tuple[float, Tensor]]] | None:
        """Leave the mean gradient in the parameters; return losses with their shares; None where memory ran out.

        Losses are by width, the total at 0.
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
                raise self._no_room(
                    len(group[0][1]) // self.n_parts, "the other processes wait for this one"
                ) from error
            return None
        return found

    def _over_all(
        self, values: dict[int, list[tuple[float, Tensor]]], asks: Sequence[float]
    ) -> tuple[float, dict[int, float], tuple[float, ...]]:
        """Return the mean loss, that of each width, and the sums of ``asks``, over all processes."""
        flat = [(dim, share, loss) for dim, pairs in sorted(values.items()) for share, loss in pairs]
        numbers = torch.stack([loss.float() for _, _, loss in flat]).tolist()  # one wait for the GPU
        weighted, shares = defaultdict[int, list[float]](list), defaultdict[int, list[float]](list)
        for (dim, share, _), number in zip(flat, numbers, strict=True):
            weighted[dim].append(share * number)
            shares[dim].append(share)
        means = [sum(weighted[dim]) / sum(shares[dim]) for dim in weighted]
        sums = self.ranks.all_reduce([*means, *asks])
        total, *by_dim = (value / self.ranks.world_size for value in sums[: len(means)])
        return total, dict(zip(list(weighted)[1:], by_dim, strict=True)), tuple(sums[len(means) :])

    def _take_smaller_parts(self, group: Sequence[Batch]) -> None:
        """Free what the failed pass held, and take batches in two parts from now on.

        Raises:
            MrlspkError: If they are in two parts already, or cannot be parted.
        """
        batch = len(group[0][1])
        part, rest = divmod(batch, 2 * self.n_parts)
        if self.n_parts >= MOST_PARTS:
            raise self._no_room(batch // self.n_parts, "its batches are taken in two parts already")
        if part < LEAST_PART or rest or part % self.crops_side_by_side:
            raise self._no_room(batch, f"a batch of {batch} cannot be halved")
        self.n_parts *= 2
        self._statistics.bring_back()
        self.optimiser.zero_grad(set_to_none=True)
        if self.fabric.device.type == "cuda":
            torch.cuda.empty_cache()
        log.warning(
            "memory ran out with batches of %d: from now on each is taken in two parts of %d, with twice the "
            "accumulation; lower training.batch_size for the next run",
            batch,
            part,
        )

    def _no_room(self, batch: int, why: str) -> Exception:
        """Return the error of memory that cannot be had."""
        return MrlspkError(
            f"the GPU has run out of memory at {batch} crops at once: {why}",
            "training.batch_size",
            "Lower it and raise training.accumulation_steps by as much, take hardware.gradient_checkpointing=true or "
            "hardware.precision=bf16, and go on with --resume auto --allow-changes (mrlspk gpu-profile: what fits).",
        )


def wrap(fabric: Fabric, module: TrainedModule, optimiser: Optimizer) -> tuple[Any, Any]:
    """Return module and optimiser as Fabric wraps them; the first call puts the module on the device."""
    wrapped, wrapped_optimiser = fabric.setup(module, optimiser)
    return wrapped, wrapped_optimiser


def _split(batch: Batch, n_parts: int) -> list[Batch]:
    if n_parts == 1:
        return [batch]
    return list(zip(*(entry.chunk(n_parts) for entry in batch), strict=True))
