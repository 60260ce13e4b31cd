from pathlib import Path

import pytest

from mrlspk.errors import UsageError
from mrlspk.evaluation.comparison import Difference, ModelEer, common_dims, compare_results
from mrlspk.evaluation.model_scores import TrialResult
from mrlspk.evaluation.scoring import WidthResult


def result(path, *eers):
    widths = tuple(WidthResult(dim, eer, 0.5, ()) for dim, eer in zip((64, 128), eers, strict=True))
    return TrialResult(path, "0" * 64, "--trials", Path(), 10, 20, widths)


def test_every_two_models_are_compared_at_every_width_of_every_list():
    a = [result("first", 0.25, 0.125), result("second", 0.5, 0.5)]
    b = [result("first", 0.125, 0.25), result("second", 0.5, 0.25)]
    first, second = compare_results({"a": a, "b": b})
    assert (first.path, second.path) == ("first", "second")
    assert [width.dim for width in first.results] == [64, 128]
    assert first.results[0].models == (ModelEer("a", 0.25), ModelEer("b", 0.125))
    assert first.results[0].pairs == (Difference("a", "b", -0.125),)  # below zero: b makes fewer errors
    assert [width.pairs[0].delta_eer for width in second.results] == [0, -0.25]


def test_three_models_make_three_pairs():
    (trials,) = compare_results({name: [result("list", 0.1, 0.1)] for name in "abc"})
    assert [(pair.a, pair.b) for pair in trials.results[0].pairs] == [("a", "b"), ("a", "c"), ("b", "c")]


def test_common_widths_rise():
    assert common_dims({"a": (64, 128, 192), "b": (32, 64, 192)}) == (64, 192)


def test_models_without_a_common_width_are_named_with_theirs():
    with pytest.raises(UsageError, match="a: 64, 128; b: 192"):
        common_dims({"a": (64, 128), "b": (192,)})
