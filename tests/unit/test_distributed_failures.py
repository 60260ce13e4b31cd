import pytest

from mrlspk.distributed import ALONE, failing_together, on_rank_zero
from mrlspk.errors import ConfigError, DataError
from two_processes import in_two


def fail(text):
    raise DataError(text, "a.wav", "Mend it.")


def caught(do):
    """Return what an error says of itself; None where there is none."""
    try:
        do()
    except DataError as error:
        return type(error), error.what, error.where, error.fix, error.exit_code
    return None


def first_only(ranks):
    """Return who calls it, what all get, and the error of the first in all."""
    calls = []
    found = on_rank_zero(ranks, lambda: calls.append(ranks.rank) or f"by {ranks.rank}")
    return calls, found, caught(lambda: on_rank_zero(ranks, lambda: fail("of the first")))


def block_of(ranks, failing):
    """Return the error that a block raises in which some processes fail."""

    def block():
        with failing_together(ranks):
            if ranks.rank in failing:
                fail(f"of {ranks.rank}")

    return caught(block)


def blocks(ranks):
    return [block_of(ranks, failing) for failing in ((), (0,), (1,), (0, 1))]


def is_told(ranks):
    """Return whether another process shows an error that one had."""
    try:
        with failing_together(ranks):
            if ranks.rank == 1:
                fail("of one")
    except DataError as error:
        return error.is_told


def error(what):
    return DataError, what, "a.wav", "Mend it.", 3


def test_first_process_acts_and_fails_for_all():
    assert in_two(first_only) == [
        ([0], "by 0", error("of the first")),
        ([], "by 0", error("of the first")),
    ]


def test_error_of_one_process_is_raised_in_all_and_of_two_errors_the_first():
    expected = [None, error("of 0"), error("of 1"), error("of 0")]
    assert in_two(blocks) == [expected, expected]


def test_alone_values_and_errors_pass_as_they_are():
    assert on_rank_zero(ALONE, lambda: 7) == 7
    raised = ConfigError("none")
    with pytest.raises(ConfigError) as found, failing_together(ALONE):
        raise raised
    assert found.value is raised


def test_error_of_all_is_shown_by_the_first_alone():
    assert in_two(is_told) == [False, True]
