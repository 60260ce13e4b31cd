"""Every fault that is planted twice into a corpus of 500 good recordings is found, and nothing else."""

from collections import Counter

import pytest

from mrlspk.data.checks.kinds import KINDS
from planted_faults import N_GOOD, link_good, plant

pytestmark = [pytest.mark.slow, pytest.mark.process]


@pytest.fixture(scope="module")
def root(tmp_path_factory, shared):
    made = tmp_path_factory.mktemp("planted") / "corpus"
    made.mkdir()
    link_good(shared / "speech", made)
    return made


def test_planted_faults_are_found_and_none_invented(run, root, shared):
    good = run("data", "check", root, "--decode", "all", "--jobs", 1, "--json")
    assert (good.exit_code, good.json["utterances"], good.json["problems"]) == (0, N_GOOD, [])
    planted = plant(shared / "speech", root)
    outcome = run("data", "check", root, "--decode", "all", "--jobs", 2, "--json")
    assert outcome.exit_code == 3
    found = Counter((each["kind"], each["where"]) for each in outcome.json["problems"])
    assert set(found) == planted
    assert max(found.values()) == 1
    assert {each["fix"] for each in outcome.json["problems"]} == {KINDS[kind].fix for kind, _ in planted}
