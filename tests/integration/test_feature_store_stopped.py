"""Extractions that are killed, stopped, or started twice end with the same store."""

import signal
import time
from collections import Counter

import numpy as np
import pytest

from extraction_processes import Child, contents

pytestmark = pytest.mark.process

N_KILLS = 6


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "features"


def assert_resumes_to_the_same(root, folder):
    """Finish an extraction, and compare its files with those of an undisturbed one."""
    undisturbed = folder.with_name("undisturbed")
    for target in (folder, undisturbed):
        with Child(root, target) as child:
            while child.next_moment():
                pass
            assert child.exit_code() == 0
    assert contents(folder) == contents(undisturbed)


def test_two_processes_compute_one_store_once(tiny_corpus, folder):
    moments = Counter()
    with Child(tiny_corpus.root, folder) as first:
        assert first.next_moment() == "not in place"  # it holds the lock, and writes the key
        with Child(tiny_corpus.root, folder) as second:
            assert second.next_moment() == "waiting"
            second.resume()
            while moment := first.next_moment():
                moments[moment] += 1
            assert first.exit_code() == 0
            second.moment = None
            assert second.next_moment() is None  # it neither pools nor writes
            assert second.exit_code() == 0
    assert moments["pooled"] == 64  # 128 crops in twos


def test_extraction_killed_again_and_again_ends_with_the_same_bytes(tiny_corpus, folder):
    generator = np.random.default_rng(20)
    killed_at, n_done = Counter(), []
    for number in range(N_KILLS):
        with Child(tiny_corpus.root, folder) as child:
            for _ in range(generator.integers(1, 12)):
                assert child.next_moment() is not None
            killed_at[child.moment] += 1
            if number % 2:  # let it run, so that the kill also comes between two moments
                child.resume()
                time.sleep(generator.uniform(0, 0.004))
            assert child.send(signal.SIGKILL) == -signal.SIGKILL
        n_done.append(sum(name.endswith(".sha256") for name in contents(folder)))
    assert min(killed_at[moment] for moment in ("pooled", "half written", "not in place")) >= 1, killed_at
    assert n_done == sorted(n_done)
    assert 0 < n_done[-1] < 32, n_done
    assert_resumes_to_the_same(tiny_corpus.root, folder)
    assert sum(name.endswith(".npy") for name in contents(folder)) == 32


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)])
def test_extraction_with_workers_resumes_after_a_signal(tiny_corpus, folder, number, exit_code):
    with Child(tiny_corpus.root, folder, num_workers=1) as child:
        while child.next_moment() != "pooled" or not list(folder.glob("*/shard-00002.sha256")):
            pass
        assert child.send(number) == exit_code
    if number == signal.SIGTERM:
        assert not list(folder.glob("*/*.partial"))
    assert_resumes_to_the_same(tiny_corpus.root, folder)
