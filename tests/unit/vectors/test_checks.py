from pathlib import Path

import numpy as np
import pytest

from mrlspk.errors import DataError
from mrlspk.vectors.checks import check_vectors, refuse_unusable, usable_rows
from mrlspk.vectors.table import VectorTable

PATH = Path("v.npz")
NAN, INF = np.nan, np.inf


def problems_of(ids, rows, labels=None):
    table = VectorTable(ids, np.array(rows, np.float32))
    return [(each.kind, each.severity, each.where) for each in check_vectors(table, PATH, labels)]


def test_sound_vectors_have_no_problem():
    assert problems_of(("a/1", "b/1"), [[1, 2], [2, 1]]) == []
    assert problems_of(("u1", "u2"), [[1, 2], [2, 1]], {"u1": "a", "u2": "b", "u3": "c"}) == []


def test_every_problem_is_reported():
    ids = ("a/1", "a/1", "b/1", "b/2", "c", "d 1/2", "d/3")
    rows = [[1, 2], [2, 1], [NAN, INF], [0, 0], [3, 1], [1, 2], [1, 3]]
    assert problems_of(ids, rows) == [
        ("repeated_id", "error", "a/1"),
        ("id", "warning", "d 1/2"),
        ("non_finite", "error", "b/1"),
        ("zero", "error", "b/2"),
        ("duplicate", "warning", "d 1/2"),
        ("no_speaker", "warning", "c"),
    ]


@pytest.mark.parametrize(("value", "usable"), [(1e25, False), (1e-25, False), (1e10, True), (1e-10, True)])
def test_vectors_whose_length_float32_cannot_square_are_unusable(value, usable):
    rows = np.array([[value, value], [1, 2]], np.float32)
    assert [kind for kind, *_ in problems_of(("a/1", "b/1"), rows)] == ([] if usable else ["length"])
    assert usable_rows(VectorTable(("a/1", "b/1"), rows)).tolist() == [usable, True]


def test_id_without_a_label_is_an_error_if_labels_are_given():
    assert problems_of(("u1", "u2"), [[1, 2], [2, 1]], {"u1": "a"}) == [("no_speaker", "error", "u2")]


def test_labels_of_other_ids_are_one_error_with_examples_of_both():
    table = VectorTable(("u1", "u2", "u3", "u4"), np.eye(4, dtype=np.float32))
    (problem,) = check_vectors(table, PATH, {"x1": "a", "x2": "b"})
    assert (problem.kind, problem.severity, problem.where) == ("no_speaker", "error", "v.npz")
    assert problem.message == (
        "4 of 4 ids have no speaker: expected labels of ids such as u1, u2, u3, got those of x1, x2"
    )


def test_ids_that_all_lack_a_speaker_are_one_warning():
    assert problems_of(("u1", "u2"), [[1, 2], [2, 1]]) == [("no_speaker", "warning", "v.npz")]


@pytest.mark.parametrize(
    ("ids", "rows", "told"),
    [
        (("u", "u"), [[1, 2], [2, 1]], "v.npz: u: expected each id once, got it 2 times\n"),
        (("u", "v"), [[1, 0], [0, 0]], "v.npz: v: expected a direction, got zeros only\n"),
        (
            ("u", "v"),
            [[1, NAN], [0, 0]],
            r"v.npz: u: expected finite values, got 1 that are not \(and 1 more error\)\n",
        ),
    ],
)
def test_unusable_vectors_are_refused(ids, rows, told):
    with pytest.raises(DataError, match=told):
        refuse_unusable(VectorTable(ids, np.array(rows, np.float32)), PATH)


def test_equal_vectors_and_odd_ids_are_usable():
    refuse_unusable(VectorTable(("u 1", "v"), np.ones((2, 2), np.float32)), PATH)
