"""Two processes on gloo, each of which is asked for everything; expected values are counted by hand."""

import multiprocessing

import pytest
import torch

from mrlspk.distributed import ALONE, Ranks
from rank_processes import speak

LIMIT_SECONDS = 120


@pytest.fixture(scope="module")
def heard(tmp_path_factory):
    address = tmp_path_factory.mktemp("gloo") / "meeting"
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["rank_processes"])
    answers = context.Queue()
    processes = [context.Process(target=speak, args=(number, address, answers)) for number in (0, 1)]
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


def both(heard, name):
    return [each[name] for each in heard]


def test_the_first_process_is_one_of_them(heard):
    assert both(heard, "is_first") == [True, False]


def test_every_item_is_taken_by_one_process(heard):
    assert both(heard, "part") == ["ace", "bd"]


def test_sums_are_over_both_and_the_same_in_both(heard):
    assert both(heard, "sum") == [[3.0, 0.2, 1.0]] * 2


def test_what_the_first_gives_is_had_by_both(heard):
    assert both(heard, "share") == [{"from": 0}] * 2
    assert both(heard, "share_tensors") == [[[0.0, 0.0], [5]]] * 2


def test_what_each_gives_is_had_by_both_in_order(heard):
    assert both(heard, "gather") == [[("number", 0), ("number", 1)]] * 2
    assert both(heard, "gather_rows") == [[[1, 2], [3, 4], [11, 12], [13, 14]]] * 2


def test_gradients_of_gathered_rows_are_summed_over_what_both_computed(heard):
    # d/dx of w x² in the first and 2 w x² in the second: 3 w 2 x, for x of 1, 2, 3, 4 and w of 1, 10, 100, 1000
    assert both(heard, "gradient") == [
        ([[1.0], [2.0], [3.0], [4.0]], [[6.0], [120.0]]),
        ([[1.0], [2.0], [3.0], [4.0]], [[1800.0], [24000.0]]),
    ]


@pytest.mark.parametrize("ranks", [ALONE, Ranks(0, 4, are_started=False)], ids=["alone", "planned"])
def test_who_has_nobody_to_speak_to_hears_itself(ranks):
    assert ranks.is_alone
    assert ranks.is_first
    assert ranks.all_reduce([1.5, 2.0]) == [1.5, 2.0]
    assert ranks.broadcast("value") == "value"
    assert ranks.all_gather("value") == ["value"]
    rows = torch.ones(2, 3, requires_grad=True)
    assert ranks.all_gather_rows(rows) is rows
    ranks.broadcast_tensors([rows])
    ranks.barrier()


def test_one_process_takes_everything():
    assert ALONE.shard([1, 2, 3]) == [1, 2, 3]
