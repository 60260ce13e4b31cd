import numpy as np
import pytest

from mrlspk.inference.spans import count_samples, equal_windows, middle_of, slice_spans, whole_span

SPANS = np.array([[2, 5], [10, 14]])  # samples 2, 3, 4, 10, 11, 12 and 13


@pytest.mark.parametrize(
    ("first", "last", "expected"),
    [
        (0, 7, [[2, 5], [10, 14]]),
        (1, 5, [[3, 5], [10, 12]]),
        (0, 3, [[2, 5]]),
        (3, 4, [[10, 11]]),
        (6, 9, [[13, 14]]),
        (4, 4, []),
    ],
)
def test_slice_counts_the_samples_of_the_spans(first, last, expected):
    assert slice_spans(SPANS, first, last).tolist() == expected


def test_middle_may_begin_and_end_within_spans():
    assert middle_of(SPANS, 3).tolist() == [[4, 5], [10, 12]]  # leaves out 2, 3 and 12, 13
    assert middle_of(SPANS, 7).tolist() == SPANS.tolist()


@pytest.mark.parametrize(
    ("longest", "expected"),
    [
        (7, [[[2, 5], [10, 14]]]),
        (6.5, [[[2, 5]], [[10, 13]]]),  # two windows of three; 13 is left out
        (3, [[[2, 4]], [[4, 5], [10, 11]], [[11, 13]]]),
        (1, [[[each, each + 1]] for each in (2, 3, 4, 10, 11, 12, 13)]),
    ],
)
def test_windows_are_the_fewest_of_equal_length(longest, expected):
    assert [window.tolist() for window in equal_windows(SPANS, longest)] == expected


def test_whole_span_has_every_sample():
    assert count_samples(whole_span(9)) == 9
    assert count_samples(SPANS) == 7


def test_slice_agrees_with_numpy():
    rng = np.random.default_rng(0)
    for _ in range(50):
        spans = np.sort(rng.choice(100, 8, replace=False)).reshape(-1, 2)
        samples = np.concatenate([np.arange(start, end) for start, end in spans])
        first, last = sorted(rng.integers(0, len(samples) + 5, 2))
        taken = [np.arange(start, end) for start, end in slice_spans(spans, first, last)]
        assert np.concatenate([*taken, []]).tolist() == samples[first:last].tolist()
