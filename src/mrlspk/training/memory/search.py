"""The search for a batch on a GPU: rising sizes, a line through their peaks, and the batch that is seen to fit."""

import math
from dataclasses import dataclass, replace
from itertools import pairwise

from mrlspk.errors import MrlspkError
from mrlspk.training.memory.card import CardMemory, Measure, held_to, measure_on_card, read_card
from mrlspk.training.memory.model import MAX_BATCH, MIN_BATCH, Line, MemoryModel, MemoryPoint, fit_line, round_down
from mrlspk.training.memory.probe import Probe

FITTED_POINTS = 3  # the largest batches; small ones show fixed costs rather than those of a crop


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
        card: Whose memory was searched.
        model: Memory by batch size.
        points: What was measured, or counted, by rising batch.
        batch: The one chosen; 0 where none fits.
    """

    card: CardMemory
    model: MemoryModel
    points: tuple[MemoryPoint, ...]
    batch: int


def check_fits(found: Found, *, least: int = MIN_BATCH) -> None:
    """Refuse a card that has no room for the smallest batch.

    Args:
        found: What a search came to.
        least: Crops of the smallest batch.

    Raises:
        MrlspkError: If there is no room for it.
    """
    if found.batch >= least:
        return
    card, smallest = found.card, next(iter(found.points), None)
    needed = f"{smallest.batch} take {smallest.peak_mib:.0f} MiB" if smallest else "memory ran out"
    raise MrlspkError(
        f"not even a batch of {least} fits into {card.limit_mib:.0f} MiB, of which {card.free_mib:.0f} are free and "
        f"{card.usable_mib:.0f} may be taken: {needed}",
        "memory",
        "Take hardware.precision=bf16, hardware.gradient_checkpointing=true, a shorter data.chunk_duration, a smaller "
        "model, or train the head only (training.freeze_backbone_epochs=null).",
    )


def search_card(probe: Probe, *, limit_mib: float | None = None, fastest: bool = False) -> Found:
    """Return the largest batch that the GPU of a probe has room for, or the fastest of those.

    Args:
        probe: On a GPU.
        limit_mib: Plan for a card of this size: the allocator is held to what would be free there.
        fastest: Choose by crops a second, and try sizes between the powers of two for it too.
    """
    measure = measure_on_card(probe)
    measure(MIN_BATCH)  # kernels are loaded into CUDA's context, before it is asked what that leaves
    card = read_card(probe.device, limit_mib=limit_mib)
    with held_to(card, probe.device):
        model, points = probe_card(measure, card.usable_mib)
        found = confirm_batch(measure, Found(card, model, tuple(points), model.largest_batch(card.usable_mib)))
        return choose_fastest(measure, found) if fastest else found


def search_at(probe: Probe, found: Found, batch_size: int) -> Found:
    """Return the search with ``batch_size``, which is no larger than the one found, measured too and chosen."""
    if batch_size == found.batch:
        return found
    with held_to(found.card, probe.device):
        point = measure_on_card(probe)(batch_size)
    return replace(found, points=_with(found.points, point), batch=batch_size)


def probe_card(measure: Measure, usable_mib: float) -> tuple[MemoryModel, list[MemoryPoint]]:
    """Measure passes of 2, 4, 8 … crops until memory is full; return the line of their peaks, and the points.

    Args:
        measure: Returns the point of a batch size, or None where the card has no room for it.
        usable_mib: Larger batches than the first beyond it are not tried.
    """
    points: list[MemoryPoint] = []
    batch = MIN_BATCH
    while batch <= MAX_BATCH and (point := measure(batch)) is not None:
        points.append(point)
        if point.peak_mib > usable_mib:
            break
        batch *= 2
    last = [(point.batch, point.peak_mib) for point in points[-FITTED_POINTS:]]
    if len(last) > 1:
        return MemoryModel((fit_line(last),)), points
    # One point alone says nothing of what a crop adds: no batch above it is taken to fit, nor any where none was.
    return MemoryModel((Line(0.0, last[0][1] / last[0][0] if last else math.inf),)), points


def confirm_batch(measure: Measure, found: Found) -> Found:
    """Return the search with the largest round batch that is seen to fit, from the one found down; 0 if none is."""
    batch, points = found.batch, found.points
    while batch:
        point = next((point for point in points if point.batch == batch), None) or measure(batch)
        points = _with(points, point)
        if point is not None and point.peak_mib <= found.card.usable_mib:
            break
        batch = round_down(int(0.95 * batch))
    return replace(found, points=points, batch=batch)


def choose_fastest(measure: Measure, found: Found) -> Found:
    """Return the search with the batch of most crops a second within the memory, sizes half-way between tried too."""
    between = {round_down((low.batch + high.batch) // 2) for low, high in pairwise(found.points)}
    points = found.points
    for batch in sorted(between - {point.batch for point in points}):
        if batch < found.batch:
            points = _with(points, measure(batch))
    fitting = [point for point in points if point.peak_mib <= found.card.usable_mib]
    fastest = max(fitting, key=lambda point: point.utterances_per_second or 0.0, default=None)
    return replace(found, points=points, batch=fastest.batch if fastest else 0)


def _with(points: tuple[MemoryPoint, ...], point: MemoryPoint | None) -> tuple[MemoryPoint, ...]:
    """Return the points with one more, in order."""
    if point is None or any(point.batch == known.batch for known in points):
        return points
    return tuple(sorted((*points, point), key=lambda each: each.batch))
