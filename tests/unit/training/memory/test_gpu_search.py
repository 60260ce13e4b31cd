"""Search for a batch on a fake GPU."""

import gc
import math
import weakref
from functools import partial
from itertools import groupby

import pytest
import torch

from fake_gpu import FakeGpu, FakeProbe
from mrlspk.training.device_memory import ran_out_of_memory
from mrlspk.training.memory.gpu_search import (
    BatchSearch,
    GpuMemory,
    limited_to,
    measure_batches,
    measure_on_gpu,
    planned_gpu,
    read_gpu,
    search_gpu,
)
from mrlspk.training.memory.peak_model import MemoryPoint, round_down

GPU = FakeProbe.device


def measure_of(fixed, per_crop, total):
    """Passes that take ``fixed`` and so much a crop, and fail above ``total``; it notes what it was asked."""

    def measure(batch):
        measure.asked.append(batch)
        peak = fixed + per_crop * batch
        return MemoryPoint(batch, peak) if peak <= total else None

    measure.asked = []
    return measure


def test_search_doubles_until_memory_runs_out_then_halves_the_gap():
    measure = measure_of(100, 10, total=1000)  # 90 crops
    points = measure_batches(measure, usable_mib=900)  # 80 of them
    assert measure.asked == [2, 4, 8, 16, 32, 64, 128, 96, 80, 88]
    assert [(point.batch, point.peak_mib) for point in points if point.peak_mib > 800] == [(80, 900), (88, 980)]


def test_search_stops_at_the_first_batch_above_the_limit():
    measure = measure_of(100, 10, total=100_000)
    measure_batches(measure, usable_mib=300)
    assert measure.asked == [2, 4, 8, 16, 32, 24]


def test_search_asks_for_no_more_than_the_largest_batch_allowed():
    measure = measure_of(0, 1, total=math.inf)
    measure_batches(measure, usable_mib=math.inf)
    assert measure.asked[-2:] == [512, 1024]


def test_nothing_is_measured_beyond_the_smallest_batch_if_it_fails():
    measure = measure_of(100, 10, total=110)
    assert measure_batches(measure, usable_mib=100) == []
    assert measure.asked == [2]


@pytest.mark.parametrize("crops", [2, 3, 5, 8, 13, 40, 63, 64, 100, 511, 1000, 1023, 5000])
def test_the_largest_round_batch_that_fits_is_found(crops):
    points = measure_batches(measure_of(0, 1, total=math.inf), usable_mib=crops)
    assert max(point.batch for point in points if point.peak_mib <= crops) == round_down(min(crops, 1024))


def test_largest_batch_stays_within_the_usable_memory(monkeypatch):
    gpu = FakeGpu(10_000, others=2000, context=500).install(monkeypatch)
    found = search_gpu(FakeProbe(gpu, fixed=750, per_crop=10))
    # free: 10,000 - 2,500; of that 0.9: 6,750; (6,750 - 750) / 10 crops
    assert (found.gpu.free_mib, found.batch) == (7500, 600)
    assert found.peak_mib(600) == 6750


def test_kernels_loaded_by_the_first_pass_are_not_free_memory(monkeypatch):
    gpu = FakeGpu(10_000).install(monkeypatch)

    class LoadingProbe(FakeProbe):
        def take(self, batch_size):
            self.gpu.context = 700
            super().take(batch_size)

    assert search_gpu(LoadingProbe(gpu)).gpu.free_mib == 9300


def test_search_limits_the_allocator_and_restores_it(monkeypatch):
    gpu = FakeGpu(80_000, context=500).install(monkeypatch)
    found = search_gpu(FakeProbe(gpu, per_crop=100), limit_mib=8192)
    assert gpu.fractions == [pytest.approx((8192 - 512) / 80_000), 1.0]
    assert max(point.peak_mib for point in found.points) <= 8192 - 512
    assert found.batch == 64  # 0.9 * (8,192 - 512) / 100 = 69.1
    assert gpu.reserved == 0


def test_fastest_batch_is_chosen_among_those_that_fit(monkeypatch):
    gpu = FakeGpu(10_000).install(monkeypatch)
    speeds = {2: 10, 4: 20, 8: 40, 16: 60, 24: 90, 32: 80, 48: 70, 64: 70}
    probe = FakeProbe(gpu, per_crop=100, seconds=lambda batch: batch / speeds.get(batch, 65))
    assert search_gpu(probe).batch == 88  # 0.9 * 10,000 / 100 = 90
    found = search_gpu(probe, fastest=True)
    assert found.batch == 24
    speed_of = {point.batch: point.utterances_per_second for point in found.points}
    assert {batch: speed_of[batch] for batch in speeds} == pytest.approx(speeds)


def test_fastest_batch_above_the_usable_memory_is_not_chosen(monkeypatch):
    gpu = FakeGpu(10_000).install(monkeypatch)
    found = search_gpu(FakeProbe(gpu, per_crop=145, seconds=lambda _batch: 1.0), fastest=True)
    assert 64 in [point.batch for point in found.points]  # 9,280 of 10,000 MiB, but 9,000 are usable
    assert found.batch == 56


def test_peak_between_measured_batches_is_that_of_the_larger():
    points = tuple(MemoryPoint(batch, 10.0 * batch) for batch in (2, 4, 8))
    found = BatchSearch(GpuMemory(100, 100, 100), points, 8)
    assert [found.peak_mib(batch) for batch in (2, 3, 4, 6, 8)] == [20, 40, 40, 80, 80]


@pytest.fixture
def gpu(monkeypatch):
    return FakeGpu(10_000, others=1500, context=500).install(monkeypatch)


@pytest.mark.usefixtures("gpu")
def test_free_memory_excludes_context_and_other_programs():
    found = read_gpu(GPU)
    assert (found.total_mib, found.limit_mib, found.free_mib) == (10_000, 10_000, 8000)
    assert found.usable_mib == pytest.approx(0.9 * 8000)


def test_memory_held_by_this_process_counts_as_free(gpu):
    gpu.reserve(1000)
    assert read_gpu(GPU).free_mib == 8000


@pytest.mark.usefixtures("gpu")
@pytest.mark.parametrize(("limit", "free"), [(6000, 6000 - 512), (9000, 8000), (10_000, 8000), (99_999, 8000)])
def test_limit_does_not_exceed_the_memory_of_the_gpu(limit, free):
    found = read_gpu(GPU, limit_mib=limit)
    assert (found.limit_mib, found.free_mib) == (min(limit, 10_000), free)


def test_planned_gpu_reserves_memory_for_the_context():
    assert planned_gpu(8192).free_mib == 8192 - 512
    assert planned_gpu(100).free_mib == 0


def test_limited_to_limits_the_allocator_and_restores_it(gpu):
    with limited_to(read_gpu(GPU, limit_mib=6000), GPU):
        assert gpu.fraction == pytest.approx((6000 - 512) / 10_000)
    assert gpu.fraction == 1


def test_limited_to_restores_the_allocator_after_an_error(gpu):
    gpu.fraction = 0.8
    with pytest.raises(ZeroDivisionError), limited_to(read_gpu(GPU), GPU):
        _ = 1 / 0
    assert gpu.fraction == 0.8


def test_measure_returns_peak_and_speed(gpu):
    point = measure_on_gpu(FakeProbe(gpu, fixed=100, per_crop=10, seconds=lambda batch: 2 + batch), 8)
    assert (point.batch, point.peak_mib, point.utterances_per_second) == (8, 180, 8 / 10)
    assert point.saved_mib is None


def test_compiled_parts_are_compiled_anew_for_every_batch(gpu, monkeypatch):
    events = []
    monkeypatch.setattr(torch.compiler, "reset", lambda: events.append("reset"))

    class CompiledProbe(FakeProbe):
        compiled = True

        def take(self, batch_size):
            events.append(batch_size)
            super().take(batch_size)

    for batch in (8, 16):
        measure_on_gpu(CompiledProbe(gpu, per_crop=1), batch)
    assert [event for event, _ in groupby(events)] == [8, "reset", 16, "reset"]


def test_measure_resets_the_peak_between_batches(gpu):
    measure = partial(measure_on_gpu, FakeProbe(gpu))
    assert [measure(batch).peak_mib for batch in (64, 8)] == [640, 80]


class Activation:
    """Stands for a tensor that a pass holds."""


class LeakyProbe(FakeProbe):
    """Its frames hold activations, in cycles too; above four crops it fails."""

    def __init__(self, gpu, error):
        super().__init__(gpu)
        self.error, self.held = error, []

    def take(self, batch_size):
        activation, cycle = Activation(), []
        cycle.append((activation, cycle))
        self.held.append(weakref.ref(activation))
        if batch_size > 4:
            raise type(self.error)(*self.error.args)
        super().take(batch_size)


def test_out_of_memory_frees_everything(monkeypatch):
    gpu = FakeGpu(10_000).install(monkeypatch, collects=True)
    gc.disable()  # what is freed here is freed by the measurement
    try:
        probe = LeakyProbe(gpu, torch.OutOfMemoryError("no room"))
        measure = partial(measure_on_gpu, probe)
        before = measure(4)
        assert measure(8) is None
        assert [ref() for ref in probe.held if ref() is not None] == []
        assert gpu.reserved == 0
        assert measure(4).peak_mib == before.peak_mib
    finally:
        gc.enable()


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
        RuntimeError("cuDNN error: CUDNN_STATUS_ALLOC_FAILED"),
        RuntimeError("CUDA error: out of memory"),
    ],
)
def test_out_of_memory_is_recognised_from_every_library(gpu, error):
    assert ran_out_of_memory(error)
    assert measure_on_gpu(LeakyProbe(gpu, error), 8) is None


def test_other_errors_are_not_taken_for_out_of_memory(gpu):
    with pytest.raises(RuntimeError, match="illegal memory access"):
        measure_on_gpu(LeakyProbe(gpu, RuntimeError("CUDA error: an illegal memory access was encountered")), 8)
