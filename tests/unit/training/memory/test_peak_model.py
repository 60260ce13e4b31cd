"""Lines, round batches and the batches that make a target."""

import math

import pytest

from mrlspk.training.memory.gpu_search import planned_gpu
from mrlspk.training.memory.peak_model import Line, MemoryPoint, line_through, round_down, split_target


def test_line_goes_through_two_points():
    line = line_through(MemoryPoint(2, 130.0), MemoryPoint(4, 160.0))
    assert (line.fixed_mib, line.mib_per_crop, line.peak_mib(8)) == pytest.approx((100, 15, 220))


@pytest.mark.parametrize(
    ("batch", "expected"), [(0, 0), (1, 0), (2, 2), (3, 2), (7, 4), (8, 8), (15, 8), (16, 16), (65, 64), (103, 96)]
)
def test_round_down_to_powers_of_two_then_multiples_of_eight(batch, expected):
    assert round_down(batch) == expected


@pytest.mark.parametrize(("usable", "expected"), [(111.9, 0), (112, 2), (148, 8), (1000, 144), (math.inf, 1024)])
def test_largest_batch_is_the_largest_round_one_that_fits(usable, expected):
    assert Line(100, 6).largest_batch(usable) == expected


def test_more_memory_never_gives_a_smaller_batch():
    model = Line(70, 113.5)
    batches = [model.largest_batch(planned_gpu(1024 * gib).usable_mib) for gib in range(1, 81)]
    assert batches == sorted(batches)
    assert batches[-1] > batches[7] > batches[0]


@pytest.mark.parametrize(
    ("largest", "target", "expected"),
    [(64, None, (64, 1)), (64, 64, (64, 1)), (64, 48, (48, 1)), (64, 512, (64, 8)), (64, 100, (50, 2)), (2, 3, (2, 2))],
)
def test_accumulation_reaches_the_target_in_the_fewest_steps(largest, target, expected):
    assert split_target(largest, target) == expected


@pytest.mark.parametrize(
    ("largest", "target", "n_processes", "expected"),
    [(64, 512, 8, (64, 1)), (64, 512, 2, (64, 4)), (64, 300, 2, (50, 3)), (64, 3, 8, (2, 1)), (64, None, 8, (64, 1))],
)
def test_processes_share_the_target(largest, target, n_processes, expected):
    assert split_target(largest, target, n_processes=n_processes) == expected


@pytest.mark.parametrize(("largest", "target", "expected"), [(64, 100, (52, 2)), (66, None, (64, 1)), (10, 16, (8, 2))])
def test_crops_of_one_speaker_stay_together(largest, target, expected):
    assert split_target(largest, target, multiple_of=4) == expected
