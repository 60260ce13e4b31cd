"""The search for a batch, on a made-up GPU."""

import pytest

from made_up_card import MadeUpCard, MadeUpProbe
from mrlspk.errors import MrlspkError
from mrlspk.training.memory.card import CardMemory
from mrlspk.training.memory.model import Line, MemoryModel, MemoryPoint
from mrlspk.training.memory.search import Found, check_fits, confirm_batch, probe_card, search_at, search_card


def measure_of(fixed, per_crop, total):
    """Passes that take ``fixed`` and so much a crop, and fail above ``total``; it notes what it was asked."""

    def measure(batch):
        measure.asked.append(batch)
        peak = fixed + per_crop * batch
        return MemoryPoint(batch, peak) if peak <= total else None

    measure.asked = []
    return measure


def found_with(batch, *, usable, points=()):
    return Found(CardMemory(usable / 0.9, usable / 0.9, usable / 0.9), MemoryModel((Line(0, 1),)), points, batch)


def test_the_search_doubles_until_memory_runs_out():
    measure = measure_of(100, 10, total=1000)
    model, points = probe_card(measure, usable_mib=900)
    assert measure.asked == [2, 4, 8, 16, 32, 64, 128]
    assert [point.batch for point in points] == [2, 4, 8, 16, 32, 64]
    assert model.peak_mib(80) == pytest.approx(900)


def test_the_search_ends_beyond_the_limit():
    measure = measure_of(100, 10, total=100_000)
    probe_card(measure, usable_mib=300)
    assert measure.asked == [2, 4, 8, 16, 32]


def test_nothing_fits_a_card_that_fails_at_the_smallest_batch():
    model, points = probe_card(measure_of(100, 10, total=110), usable_mib=100)
    assert points == []
    assert model.largest_batch(100) == 0


def test_a_batch_that_fails_when_measured_gives_way_to_the_next_that_does_not():
    measure = measure_of(0, 10, total=900)
    found = confirm_batch(measure, found_with(104, usable=1000))
    assert measure.asked == [104, 96, 88]
    assert (found.batch, [(point.batch, point.peak_mib) for point in found.points]) == (88, [(88, 880)])


def test_a_batch_above_the_limit_is_not_confirmed():
    assert confirm_batch(measure_of(1000, 10, total=5000), found_with(16, usable=900)).batch == 0


def test_a_batch_that_was_measured_is_not_measured_again():
    measure = measure_of(0, 10, total=900)
    assert confirm_batch(measure, found_with(64, usable=1000, points=(MemoryPoint(64, 640),))).batch == 64
    assert measure.asked == []


def test_the_largest_batch_is_within_the_share_of_the_free_memory(monkeypatch):
    card = MadeUpCard(10_000, others=2000, context=500).install(monkeypatch)
    found = search_card(MadeUpProbe(card, fixed=750, per_crop=10))
    # free: 10,000 - 2,500; of that 0.9: 6,750; (6,750 - 750) / 10 crops
    assert (found.card.free_mib, found.batch) == (7500, 600)
    assert found.points[-1].batch == 1024 or max(point.batch for point in found.points) == 600
    assert found.model.peak_mib(600) == pytest.approx(6750)
    assert next(point.peak_mib for point in found.points if point.batch == 600) == 6750


def test_kernels_that_the_first_pass_loads_do_not_count_as_free(monkeypatch):
    card = MadeUpCard(10_000).install(monkeypatch)

    class LoadingProbe(MadeUpProbe):
        def begin(self, batch_size):
            self.card.context = 700
            super().begin(batch_size)

    assert search_card(LoadingProbe(card)).card.free_mib == 9300


def test_a_limit_is_held_by_the_allocator_and_let_go(monkeypatch):
    card = MadeUpCard(80_000, context=500).install(monkeypatch)
    found = search_card(MadeUpProbe(card, per_crop=100), limit_mib=8192)
    assert card.fractions == [pytest.approx((8192 - 512) / 80_000), 1.0]
    assert max(point.peak_mib for point in found.points) <= 8192 - 512
    assert found.batch == 64  # 0.9 * (8,192 - 512) / 100 = 69.1
    assert card.reserved == 0


def test_the_fastest_batch_is_chosen_within_the_memory(monkeypatch):
    card = MadeUpCard(10_000).install(monkeypatch)
    speeds = {2: 10, 4: 20, 8: 40, 16: 60, 24: 90, 32: 80, 48: 70, 64: 70}
    probe = MadeUpProbe(card, per_crop=100, seconds=lambda batch: batch / speeds.get(batch, 65))
    assert search_card(probe).batch == 88  # 0.9 * 10,000 / 100 = 90
    found = search_card(probe, fastest=True)
    assert found.batch == 24
    speed_of = {point.batch: point.utterances_per_second for point in found.points}
    assert {batch: speed_of[batch] for batch in speeds} == pytest.approx(speeds)


def test_a_fastest_batch_beyond_the_memory_is_not_chosen(monkeypatch):
    card = MadeUpCard(10_000).install(monkeypatch)
    found = search_card(MadeUpProbe(card, per_crop=145, seconds=lambda _batch: 1.0), fastest=True)
    assert 64 in [point.batch for point in found.points]  # 9,280 of 10,000 MiB, but 9,000 may be taken
    assert found.batch == 56


def test_a_batch_that_makes_the_target_is_measured_too(monkeypatch):
    card = MadeUpCard(10_000).install(monkeypatch)
    probe = MadeUpProbe(card, per_crop=100)
    found = search_at(probe, search_card(probe), 50)
    assert found.batch == 50
    assert [point.batch for point in found.points] == [2, 4, 8, 16, 32, 50, 64, 88]
    assert card.fraction == 1


def test_a_card_without_room_is_an_error_that_says_what_would_help(monkeypatch):
    card = MadeUpCard(10_000, others=9000).install(monkeypatch)
    with pytest.raises(
        MrlspkError, match="not even a batch of 2 fits into 10000 MiB, of which 1000 are free"
    ) as caught:
        check_fits(search_card(MadeUpProbe(card, fixed=5000)))
    assert "gradient_checkpointing" in str(caught.value)


def test_the_smallest_batch_holds_the_crops_that_stand_side_by_side(monkeypatch):
    card = MadeUpCard(1000).install(monkeypatch)
    found = search_card(MadeUpProbe(card, per_crop=400))
    check_fits(found)
    with pytest.raises(MrlspkError, match="not even a batch of 4 fits"):
        check_fits(found, least=4)
