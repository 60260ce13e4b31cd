import numpy as np
import pytest

from mrlspk.inference.buckets import Buckets


def batches_of(lengths, *, batch_size=4, batch_samples=1000, most_ahead=100, most_samples=1000):
    """Return the positions of each batch, in the order in which they are due."""
    buckets = Buckets(
        batch_size=batch_size, batch_samples=batch_samples, most_ahead=most_ahead, most_samples=most_samples
    )
    found = []
    for position, length in enumerate(lengths):
        if length:
            buckets.add(position, position, np.zeros(length, np.float32))
        found += [each.entries for each in buckets.due(position + 1)]
    return found, [each.entries for each in buckets.take_all()]


def test_equal_lengths_share_a_batch():
    assert batches_of([5, 7] * 4 + [9]) == ([[0, 2, 4, 6], [1, 3, 5, 7]], [[8]])


@pytest.mark.parametrize(("batch_samples", "first"), [(15, [0, 1, 2]), (14, [0, 1]), (1, [0])])
def test_batch_holds_no_more_than_its_samples(batch_samples, first):
    assert batches_of([5] * 3, batch_samples=batch_samples)[0][0] == first


def test_waveform_waits_for_a_few_positions_only():
    assert batches_of([5, 7, 0, 0, 7, 7], most_ahead=4) == ([[0], [1, 4]], [[5]])


def test_oldest_batch_goes_when_too_many_samples_wait():
    assert batches_of([60, 50, 60, 40], most_samples=150) == ([[0, 2]], [[1], [3]])
