"""Margin over the epochs."""

import pytest

from mrlspk.losses import scheduled_margin


@pytest.mark.parametrize(
    ("epoch", "expected"), [(0, 0.0), (20, 0.0), (25, 0.05), (30.5, 0.105), (40, 0.2), (41, 0.2), (500, 0.2)]
)
def test_margin_rises_linearly_between_its_epochs(epoch, expected):
    assert scheduled_margin(epoch, start_epoch=20, full_epoch=40, margin=0.2) == pytest.approx(expected)


@pytest.mark.parametrize(("start", "full"), [(0, 0), (5, 5), (5, 0)])
def test_margin_without_a_rise_is_full_from_the_start(start, full):
    assert scheduled_margin(0, start_epoch=start, full_epoch=full, margin=0.2) == 0.2


@pytest.mark.parametrize(("epoch", "expected"), [(0, 0.2), (1, 0.2), (2, 0.3), (2.5, 0.35), (4, 0.5), (9, 0.5)])
def test_margin_rises_from_where_it_starts(epoch, expected):
    found = scheduled_margin(epoch, start_epoch=1, full_epoch=4, margin=0.5, start_margin=0.2)
    assert found == pytest.approx(expected)


def test_margin_can_fall():
    assert scheduled_margin(1, start_epoch=0, full_epoch=2, margin=0.1, start_margin=0.3) == pytest.approx(0.2)
    assert scheduled_margin(0, start_epoch=0, full_epoch=0, margin=0.2, start_margin=0.1) == 0.2
