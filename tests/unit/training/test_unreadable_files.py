from dataclasses import dataclass, replace
from types import SimpleNamespace

import pytest

from mrlspk.config import load_config
from mrlspk.distributed import Ranks
from mrlspk.errors import DataError
from mrlspk.training.records import Progress
from mrlspk.training.unreadable_files import new_unreadable, with_unreadable


@dataclass(frozen=True)
class TwoRanks(Ranks):
    """Another process has found something too."""

    world_size: int = 2
    other: tuple[tuple[str, str], ...] = ()

    def all_gather(self, value):
        return [value, dict(self.other)]


def run_of(limit, ranks, found, known=()):
    state = SimpleNamespace(progress=Progress(unreadable=dict.fromkeys(known, "old")))
    config = load_config(None, [f"data.max_unreadable={limit}"])
    return SimpleNamespace(state=state, config=config, ranks=ranks, unreadable=dict.fromkeys(found, "new"))


def test_files_of_all_processes_count_once_and_are_warned_of_once(caplog):
    run = run_of(3, TwoRanks(other=(("b", "theirs"), ("c", "theirs"))), found="ab", known="a")
    assert new_unreadable(run) == {"b": "new"}
    progress = with_unreadable(run, new_unreadable(run))
    assert progress == replace(run.state.progress, unreadable={"a": "old", "b": "theirs", "c": "theirs"})
    assert caplog.messages == [f"{what}; crops of other files replace its crops" for what in ("new", "theirs")]


@pytest.mark.parametrize("rank", [0, 1])
def test_one_file_too_many_over_all_processes_stops_each(rank, caplog):
    run = run_of(2, TwoRanks(rank=rank, other=(("b", "b.wav: gone"),)), found="c", known="a")
    with pytest.raises(DataError, match="3 files cannot be read, expected at most 2") as caught:
        with_unreadable(run, new_unreadable(run))
    assert "\n  b.wav: gone" in caught.value.what
    assert caught.value.is_shown_elsewhere == (rank == 1)
    assert bool(caplog.messages) == (rank == 0)
