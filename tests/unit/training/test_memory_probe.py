"""Lines, round batches and the search on a card, with a made-up card in place of a GPU."""

import math
from types import SimpleNamespace

import pytest
import torch

from mrlspk.training.memory_probe import (
    MIB,
    Line,
    MemoryModel,
    confirm_batch,
    fit_line,
    measure_on_card,
    probe_card,
    round_down,
    split_target,
    usable_memory,
)


def card(fixed, per_crop, total):
    """A card whose steps take ``fixed`` and so much a crop, and fail above ``total``; it notes what it was asked."""

    def measure(batch):
        measure.asked.append(batch)
        peak = fixed + per_crop * batch
        return peak if peak <= total else None

    measure.asked = []
    return measure


def test_a_line_goes_through_points_that_lie_on_one():
    line = fit_line([(2, 130.0), (4, 160.0), (8, 220.0)])
    assert (line.fixed_mib, line.mib_per_crop) == pytest.approx((100, 15))


@pytest.mark.parametrize(
    ("batch", "expected"), [(0, 0), (1, 0), (2, 2), (3, 2), (7, 4), (8, 8), (15, 8), (16, 16), (65, 64), (103, 96)]
)
def test_round_batches_are_powers_of_two_below_eight_and_multiples_of_eight_above(batch, expected):
    assert round_down(batch) == expected


def test_the_peak_is_that_of_the_highest_line():
    model = MemoryModel((Line(100, 1), Line(0, 10)))
    assert [model.peak_mib(batch) for batch in (2, 20)] == [102, 200]


@pytest.mark.parametrize(("usable", "expected"), [(111.9, 0), (112, 2), (148, 8), (1000, 144), (math.inf, 1024)])
def test_the_largest_batch_is_the_largest_round_one_within_the_memory(usable, expected):
    assert MemoryModel((Line(100, 6),)).largest_batch(usable) == expected


def test_more_memory_never_gives_a_smaller_batch():
    model = MemoryModel((Line(70, 113.5), Line(98, 112.8)))
    batches = [model.largest_batch(usable_memory(1024 * gib)) for gib in range(1, 81)]
    assert batches == sorted(batches)
    assert batches[-1] > batches[7] > batches[0]


@pytest.mark.parametrize(
    ("largest", "target", "expected"),
    [(64, None, (64, 1)), (64, 64, (64, 1)), (64, 48, (48, 1)), (64, 512, (64, 8)), (64, 100, (50, 2)), (2, 3, (2, 2))],
)
def test_accumulation_reaches_the_target_in_the_fewest_even_steps(largest, target, expected):
    assert split_target(largest, target) == expected


def test_the_search_doubles_until_memory_runs_out():
    measure = card(100, 10, total=1000)
    model, points = probe_card(measure, usable_mib=900)
    assert measure.asked == [2, 4, 8, 16, 32, 64, 128]
    assert [point.batch for point in points] == [2, 4, 8, 16, 32, 64]
    assert model.peak_mib(80) == pytest.approx(900)


def test_the_search_ends_beyond_the_limit():
    measure = card(100, 10, total=100_000)
    probe_card(measure, usable_mib=300)
    assert measure.asked == [2, 4, 8, 16, 32]


def test_nothing_fits_a_card_that_fails_at_the_smallest_batch():
    model, points = probe_card(card(100, 10, total=110), usable_mib=100)
    assert points == []
    assert model.largest_batch(100) == 0


def test_a_batch_that_fails_when_measured_gives_way_to_the_next_that_does_not():
    measure = card(0, 10, total=900)
    largest, point = confirm_batch(measure, 104, usable_mib=1000)
    assert measure.asked == [104, 96, 88]
    assert (largest, point.batch, point.peak_mib) == (88, 88, 880)


def test_a_batch_above_the_limit_is_not_confirmed():
    assert confirm_batch(card(1000, 10, total=5000), 16, usable_mib=900) == (0, None)


class FailingStep:
    """Stands for a step on a GPU that has no room above a batch of 4."""

    def __init__(self):
        self.fabric = SimpleNamespace(device="cuda:0")
        self.held = None

    def take(self, batch_size):
        self.held = batch_size
        if batch_size > 4:
            raise torch.OutOfMemoryError("no room")

    def forget(self):
        self.held = None


def test_running_out_of_memory_is_caught_and_cleaned_up(monkeypatch):
    emptied = []
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda _device: None)
    monkeypatch.setattr(torch.cuda, "synchronize", lambda _device: None)
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda _device: 6 * MIB)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: emptied.append(True))
    step = FailingStep()
    measure = measure_on_card(step)
    assert [measure(2), measure(8), measure(4)] == [6, None, 6]
    assert step.held is None
    assert len(emptied) == 6  # before and after each
