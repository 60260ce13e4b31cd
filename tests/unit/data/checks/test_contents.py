from collections import Counter

import numpy as np
import pytest

from mrlspk.data.checks.contents import Contents, Format, spread
from mrlspk.data.checks.kinds import KINDS
from mrlspk.data.checks.summary import EXCLUDING, SHOWN_PLACES, excluded_utterances, problem_summary
from mrlspk.data.problems import error, warning


def counts(values):
    return spread(values)["histogram"]["counts"]


def test_whole_numbers_of_a_narrow_range_have_a_bin_each():
    found = spread([1, 2, 2, 5])
    assert found["histogram"] == {"edges": [0.5, 1.5, 2.5, 3.5, 4.5, 5.5], "counts": [1, 2, 0, 0, 1]}
    assert (found["min"], found["median"], found["mean"], found["max"]) == (1, 2, 2.5, 5)


@pytest.mark.parametrize("values", [[0.1, 1.5, 1000.0], [0.0, 2.0, 90.0], [3.3], [5, 5, 5], [1, 700]])
def test_histogram_counts_every_value_once(values):
    assert sum(counts(values)) == len(values)
    assert counts(values)[0] >= 1
    assert counts(values)[-1] >= 1 or len(set(values)) == 1


def test_bins_of_a_wide_range_grow_with_the_value():
    edges = np.array(spread([0.5, 8.0, 3600.0])["histogram"]["edges"])
    assert np.diff(np.log(edges)) == pytest.approx(np.log(7200) / 30)


def test_contents_of_parts_add_up():
    one, other = Format("aac", 16_000, 1), Format("opus", 48_000, 2)
    parts = [Contents(np.float32([1, 2]), Counter({one: 2})), Contents(np.float32([4]), Counter({one: 1, other: 1}))]
    values = Contents.joined(parts).values()
    assert values["durations"]["mean"] == pytest.approx(7 / 3)
    assert [(each["codec"], each["files"]) for each in values["formats"]] == [("aac", 3), ("opus", 1)]
    assert Contents.joined([]).values() == {"formats": []}


def test_summary_counts_kinds_errors_first_and_shows_first_places():
    problems = [warning("silent", f"a/{number}.wav", "silence") for number in range(9)]
    problems += [warning("clipped", "b/1.wav", "loud"), error("unreadable", "c/1.wav", "no audio")]
    summary = problem_summary(problems)
    assert [(each["kind"], each["count"]) for each in summary] == [("unreadable", 1), ("silent", 9), ("clipped", 1)]
    assert [each["where"] for each in summary[1]["first"]] == [f"a/{number}.wav" for number in range(SHOWN_PLACES)]
    assert summary[1]["fix"] == KINDS["silent"].fix


def test_harmful_problems_of_utterances_exclude_them_and_no_others():
    problems = [
        warning("silent", "a/1.wav", ""),
        error("too_short", "a/1.wav", ""),
        warning("clipped", "a/2.wav", ""),
        warning("two_voices", "b/1.wav", ""),
        warning("two_voices", "b/1.wav", ""),
        warning("one_voice", "b", ""),
        error("unreadable", "folder", ""),
    ]
    found = excluded_utterances(problems, ["b/1.wav", "a/1.wav", "a/2.wav"])
    assert found == {"a/1.wav": ["silent", "too_short"], "b/1.wav": ["two_voices"]}
    assert set(KINDS) >= EXCLUDING
