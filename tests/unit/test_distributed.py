"""Collective operations and errors of two processes on gloo; expected values are counted by hand."""

import multiprocessing

import pytest
import torch

from mrlspk.distributed import ALONE, Ranks, on_rank_zero, raising_on_all_ranks
from mrlspk.errors import ConfigError, DataError
from rank_processes import answer_all
from two_processes import in_two

pytestmark = pytest.mark.process

LIMIT_SECONDS = 120


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    address = tmp_path_factory.mktemp("gloo") / "meeting"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["rank_processes"])
    answers = context.Queue()
    processes = [context.Process(target=answer_all, args=(number, address, answers)) for number in (0, 1)]
    for process in processes:
        process.start()
    try:
        found = dict(answers.get(timeout=LIMIT_SECONDS) for _ in processes)
    finally:
        for process in processes:
            process.join(LIMIT_SECONDS)
            process.kill()
    assert [process.exitcode for process in processes] == [0, 0]
    return [found[number] for number in (0, 1)]


def both(results, name):
    return [each[name] for each in results]


def test_is_first_holds_for_rank_zero_only(results):
    assert both(results, "is_first") == [True, False]


def test_shard_gives_each_item_to_one_process(results):
    assert both(results, "shard") == ["ace", "bd"]


def test_all_reduce_sums_over_both_processes(results):
    assert both(results, "all_reduce") == [[3.0, 0.2, 1.0]] * 2


def test_broadcast_gives_both_the_value_of_the_first(results):
    assert both(results, "broadcast") == [{"from": 0}] * 2
    assert both(results, "broadcast_tensors") == [[[0.0, 0.0], [5]]] * 2


def test_all_gather_returns_values_and_rows_by_rank(results):
    assert both(results, "all_gather") == [[("number", 0), ("number", 1)]] * 2
    assert both(results, "all_gather_rows") == [[[1, 2], [3, 4], [11, 12], [13, 14]]] * 2


def test_gradients_of_gathered_rows_are_summed_over_processes(results):
    # d/dx of w x² in the first and 2 w x² in the second: 3 w 2 x, for x of 1, 2, 3, 4 and w of 1, 10, 100, 1000
    assert both(results, "gradient") == [
        ([[1.0], [2.0], [3.0], [4.0]], [[6.0], [120.0]]),
        ([[1.0], [2.0], [3.0], [4.0]], [[1800.0], [24000.0]]),
    ]


@pytest.mark.parametrize("ranks", [ALONE, Ranks(0, 4, are_started=False)], ids=["alone", "planned"])
def test_process_that_is_alone_gets_its_own_values(ranks):
    assert ranks.is_alone
    assert ranks.is_first
    assert ranks.all_reduce([1.5, 2.0]) == [1.5, 2.0]
    assert ranks.broadcast("value") == "value"
    assert ranks.all_gather("value") == ["value"]
    rows = torch.ones(2, 3, requires_grad=True)
    assert ranks.all_gather_rows(rows) is rows
    ranks.broadcast_tensors([rows])
    ranks.barrier()


def test_shard_of_one_process_is_everything():
    assert ALONE.shard([1, 2, 3]) == [1, 2, 3]


def fail(text):
    raise DataError(text, "a.wav", "Mend it.")


def caught(do):
    """Return the fields of the error that ``do`` raises, or None."""
    try:
        do()
    except DataError as error:
        return type(error), error.what, error.where, error.fix, error.exit_code
    return None


def first_only(ranks):
    """Return the ranks that called, the result, and the error of the first."""
    calls = []
    found = on_rank_zero(ranks, lambda: calls.append(ranks.rank) or f"from {ranks.rank}")
    return calls, found, caught(lambda: on_rank_zero(ranks, lambda: fail("of the first")))


def block_of(ranks, failing):
    """Return the error of a block in which some processes fail."""

    def block():
        with raising_on_all_ranks(ranks):
            if ranks.rank in failing:
                fail(f"of {ranks.rank}")

    return caught(block)


def blocks(ranks):
    return [block_of(ranks, failing) for failing in ((), (0,), (1,), (0, 1))]


def is_shown_elsewhere(ranks):
    """Return whether another process shows the error of one."""
    try:
        with raising_on_all_ranks(ranks):
            if ranks.rank == 1:
                fail("of one")
    except DataError as error:
        return error.is_shown_elsewhere


def error(what):
    return DataError, what, "a.wav", "Mend it.", 3


def test_on_rank_zero_returns_or_raises_in_all():
    assert in_two(first_only) == [
        ([0], "from 0", error("of the first")),
        ([], "from 0", error("of the first")),
    ]


def test_error_of_the_lowest_rank_is_raised_in_all():
    expected = [None, error("of 0"), error("of 1"), error("of 0")]
    assert in_two(blocks) == [expected, expected]


def test_alone_values_and_errors_pass_unchanged():
    assert on_rank_zero(ALONE, lambda: 7) == 7
    raised = ConfigError("none")
    with pytest.raises(ConfigError) as found, raising_on_all_ranks(ALONE):
        raise raised
    assert found.value is raised


def test_error_of_all_is_shown_by_the_first_only():
    assert in_two(is_shown_elsewhere) == [False, True]
