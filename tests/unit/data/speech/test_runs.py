import numpy as np
import pytest

from mrlspk.data.speech.runs import drop_short_runs, find_runs, join_runs, to_intervals


def runs(*pairs):
    return np.array(pairs, np.int64).reshape(-1, 2)


@pytest.mark.parametrize(
    ("marked", "expected"),
    [
        ("", runs()),
        ("000", runs()),
        ("111", runs((0, 3))),
        ("0110100", runs((1, 3), (4, 5))),
        ("1001", runs((0, 1), (3, 4))),
    ],
)
def test_find_runs_matches_hand_count(marked, expected):
    np.testing.assert_array_equal(find_runs(np.array([each == "1" for each in marked], bool)), expected)


@pytest.mark.parametrize(
    ("given", "gap", "expected"),
    [
        (runs(), 3, runs()),
        (runs((0, 2), (4, 6), (9, 10)), 3, runs((0, 6), (9, 10))),
        (runs((0, 5), (4, 6)), 1, runs((0, 6))),
    ],
)
def test_join_runs_joins_what_is_closer_than_the_gap(given, gap, expected):
    np.testing.assert_array_equal(join_runs(given, gap=gap), expected)


def test_drop_short_runs_keeps_the_shortest_allowed():
    np.testing.assert_array_equal(drop_short_runs(runs((0, 2), (3, 6)), shortest=3), runs((3, 6)))


def seconds(*pairs, n_frames=1000, energies=None):
    """Return the intervals in frames of runs over an even, audible background."""
    background = np.full(n_frames, -40.0, np.float32) if energies is None else energies
    return (to_intervals(runs(*pairs), background, n_samples=n_frames * 160) // 160).tolist()


def test_a_long_run_is_widened_by_300_and_500_ms():
    assert seconds((200, 400)) == [[170, 450]]


def test_a_short_run_is_widened_by_half_its_length():
    assert seconds((200, 240)) == [[180, 260]]


def test_pauses_of_less_than_a_second_are_kept():
    assert seconds((200, 300), (399, 500)) == [[170, 550]]
    assert seconds((200, 300), (400, 500)) == [[170, 350], [370, 550]]


def test_intervals_end_with_the_recording():
    found = to_intervals(runs((0, 10)), np.full(10, -40.0, np.float32), n_samples=1501)
    np.testing.assert_array_equal(found, runs((0, 1501)))


def test_nothing_50_db_below_the_speech_is_kept_around_it():
    energies = np.full(1000, -40.0, np.float32)
    energies[:190] = -91
    energies[420:] = -91
    assert seconds((200, 400), energies=energies) == [[190, 420]]


def test_a_recording_without_audible_surroundings_keeps_its_runs():
    energies = np.full(1000, -120.0, np.float32)
    energies[200:400] = -40
    assert seconds((200, 400), energies=energies) == [[200, 400]]


def test_no_run_is_no_interval():
    assert seconds() == []
    assert to_intervals(runs(), np.zeros(0, np.float32), n_samples=0).shape == (0, 2)
