"""Sample rates of corpora counted by hand."""

import numpy as np
import pytest

from mrlspk.data.checks.rates import check_rates


def found(*rates):
    ids = [f"a/{place}.wav" for place in range(len(rates))]
    return [(each.kind, each.where, each.message) for each in check_rates("corpus", ids, np.array(rates, np.int32))]


def test_one_file_in_ten_of_another_rate_is_told_by_its_name():
    expected = ("other_rate", "a/9.wav", "expected 16000 Hz as of nearly all files, got 44100 Hz")
    assert found(*[16_000] * 9, 44_100) == [expected]


def test_two_files_in_ten_make_one_problem_of_the_corpus():
    message = "expected one sample rate, got files 8 of 16000 Hz, 2 of 44100 Hz"
    assert found(*[16_000] * 8, 44_100, 44_100) == [("mixed_rates", "corpus", message)]


@pytest.mark.parametrize("rates", [(), (16_000,) * 3, (8_000, 0, 16_000), (8_000, 11_025)])
def test_unknown_rates_and_those_below_the_model_are_left_out(rates):
    assert found(*rates) == []
