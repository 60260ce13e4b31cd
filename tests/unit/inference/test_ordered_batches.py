from itertools import count, islice

import numpy as np
import pytest

from mrlspk.inference import ordered_batches
from mrlspk.inference.ordered_batches import Pending, embed_in_order


class Model:
    """Embeds a waveform as its first two samples, and remembers the batches."""

    def __init__(self):
        self.batches = []

    def __call__(self, waveforms):
        self.batches.append((len(waveforms), waveforms.shape[1]))
        return waveforms[:, :2].copy()


def items(lengths):
    """Yield items whose waveforms begin with their numbers; without a waveform for a length of 0."""
    for number, length in enumerate(lengths):
        yield Pending(number, np.full(length, number, np.float32) if length else None)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 100])
def test_items_come_in_order_with_their_own_vectors(batch_size):
    lengths = [5, 7, 0, 5, 5, 7, 9, 0, 0, 5, 7, 7, 7, 5]
    found = list(embed_in_order(items(lengths), Model(), batch_size=batch_size))
    assert [each.item for each in found] == list(range(len(lengths)))
    for each, length in zip(found, lengths, strict=True):
        assert each.waveform is None
        assert (each.vector is None) if length == 0 else each.vector.tolist() == [each.item, each.item]


def test_equal_lengths_are_embedded_together():
    model = Model()
    list(embed_in_order(items([5, 7] * 8), model, batch_size=4))
    assert model.batches == [(4, 5), (4, 7), (4, 5), (4, 7)]


@pytest.mark.parametrize(("batch_size", "most_ahead"), [(1, 0), (4, 15)])
def test_endless_items_of_different_lengths_are_read_a_few_ahead(batch_size, most_ahead):
    read = []

    def endless():
        for number in count():
            assert number < 100, "read too far"
            read.append(number)
            yield Pending(number, np.full(10 + number, number, np.float32))

    for each in islice(embed_in_order(endless(), Model(), batch_size=batch_size), 50):
        assert len(read) - 1 - each.item <= most_ahead


def test_item_without_a_waveform_waits_for_none():
    stream = embed_in_order(items([0] * 5), Model(), batch_size=4)
    assert next(stream).item == 0
    source = items([0, 5, 5, 5])
    assert next(embed_in_order(source, Model(), batch_size=4)).item == 0
    assert next(source).item == 1


def test_waveforms_that_wait_are_few_samples(monkeypatch):
    monkeypatch.setattr(ordered_batches, "MAX_PENDING_SAMPLES", 100)
    source = items([60, 50, 40, 30])
    assert next(embed_in_order(source, Model(), batch_size=4)).item == 0
    assert next(source).item == 2
