"""The memory of a made-up GPU, and passes on it that succeed or fail."""

import gc
import weakref

import pytest
import torch

from made_up_card import MadeUpCard, MadeUpProbe
from mrlspk.training.device_errors import ran_out_of_memory
from mrlspk.training.memory.card import held_to, imagined_card, measure_on_card, read_card

GPU = MadeUpProbe.device


@pytest.fixture
def card(monkeypatch):
    return MadeUpCard(10_000, others=1500, context=500).install(monkeypatch)


@pytest.mark.usefixtures("card")
def test_free_memory_is_what_context_and_other_programs_leave():
    found = read_card(GPU)
    assert (found.total_mib, found.limit_mib, found.free_mib) == (10_000, 10_000, 8000)
    assert found.usable_mib == pytest.approx(0.9 * 8000)


def test_what_the_process_holds_itself_counts_as_free(card, monkeypatch):
    card.reserve(1000)
    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)  # as where tensors are still there
    assert read_card(GPU).free_mib == 8000


@pytest.mark.usefixtures("card")
@pytest.mark.parametrize(("limit", "free"), [(6000, 6000 - 512), (9000, 8000), (10_000, 8000), (99_999, 8000)])
def test_a_limit_leaves_no_more_than_the_card_has(limit, free):
    found = read_card(GPU, limit_mib=limit)
    assert (found.limit_mib, found.free_mib) == (min(limit, 10_000), free)


def test_a_card_that_is_not_here_has_a_context_too():
    assert imagined_card(8192).free_mib == 8192 - 512
    assert imagined_card(100).free_mib == 0


def test_the_allocator_is_held_to_the_free_memory_and_let_go(card):
    with held_to(read_card(GPU, limit_mib=6000), GPU):
        assert card.fraction == pytest.approx((6000 - 512) / 10_000)
    assert card.fraction == 1


def test_the_allocator_is_let_go_after_an_error(card):
    card.fraction = 0.8
    with pytest.raises(ZeroDivisionError), held_to(read_card(GPU), GPU):
        _ = 1 / 0
    assert card.fraction == 0.8


def test_a_point_has_the_peak_and_the_speed(card):
    point = measure_on_card(MadeUpProbe(card, fixed=100, per_crop=10, seconds=lambda batch: 2 + batch))(8)
    assert (point.batch, point.peak_mib, point.utterances_per_second) == (8, 180, 8 / 10)
    assert point.saved_mib is None


def test_the_peak_of_a_batch_is_not_that_of_an_earlier_one(card):
    measure = measure_on_card(MadeUpProbe(card))
    assert [measure(batch).peak_mib for batch in (64, 8)] == [640, 80]


class Activation:
    """Stands for a tensor that a pass holds."""


class LeakyProbe(MadeUpProbe):
    """Its frames hold activations, in cycles too; above four crops it fails."""

    def __init__(self, card, error):
        super().__init__(card)
        self.error, self.held = error, []

    def take(self, batch_size):
        activation, cycle = Activation(), []
        cycle.append((activation, cycle))
        self.held.append(weakref.ref(activation))
        if batch_size > 4:
            raise type(self.error)(*self.error.args)
        super().take(batch_size)


def test_running_out_of_memory_leaves_nothing_behind(monkeypatch):
    card = MadeUpCard(10_000).install(monkeypatch, collects=True)
    gc.disable()  # what is freed here is freed by the measurement
    try:
        probe = LeakyProbe(card, torch.OutOfMemoryError("no room"))
        measure = measure_on_card(probe)
        before = measure(4)
        assert measure(8) is None
        assert [ref() for ref in probe.held if ref() is not None] == []
        assert card.reserved == 0
        assert measure(4) == before
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
def test_libraries_say_it_in_their_own_words(card, error):
    assert ran_out_of_memory(error)
    assert measure_on_card(LeakyProbe(card, error))(8) is None


def test_another_error_is_not_taken_for_a_lack_of_memory(card):
    with pytest.raises(RuntimeError, match="illegal memory access"):
        measure_on_card(LeakyProbe(card, RuntimeError("CUDA error: an illegal memory access was encountered")))(8)
