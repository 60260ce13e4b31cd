import math
from pathlib import Path

import pytest

from logged_runs import build, epoch, facts, read_lines, step, tell
from mrlspk.errors import MrlspkError


def test_log_holds_start_every_second_step_and_epoch(tmp_path):
    tell(build(tmp_path, tensorboard=False), step(1), step(2), step(3), step(4), epoch(1))
    lines = read_lines(tmp_path)
    assert [line["event"] for line in lines] == ["run", "step", "step", "epoch"]
    assert (lines[0]["config"]["seed"], lines[0]["effective_batch"]) == (1, 16)
    assert [line["step"] for line in lines[1:]] == [2, 4, 4]
    assert (lines[1]["loss"], lines[1]["loss_by_dim"]) == (0.5, {"4": 1.0, "8": 0.25})
    assert (lines[1]["waiting_share"], lines[1]["memory_mib"], lines[1]["n_skipped"]) == (0.125, 64.0, 0)
    assert lines[3]["validation"]["eer"] == {"4": 0.25, "8": 0.125}


def test_skipped_step_has_a_null_loss(tmp_path):
    tell(build(tmp_path, tensorboard=False), step(1), step(2, math.nan), step(3), step(4, math.inf))
    _, left_out, infinite = read_lines(tmp_path)
    assert (left_out["loss"], left_out["loss_by_dim"]) == (None, {"4": None, "8": None})
    assert left_out["n_skipped"] == 1
    assert infinite["loss"] is None


def test_resumed_run_leaves_the_lines_of_an_uninterrupted_one(tmp_path):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    records = [*map(step, (1, 2, 3, 4)), epoch(1), *map(step, (5, 6, 7, 8)), epoch(2)]
    tell(build(whole, tensorboard=False), *records)
    tell(build(cut, tensorboard=False), *records[:9], ended=False)  # its last checkpoint is of step 6
    tell(build(cut, tensorboard=False), *records[7:], of=facts(6, 2))
    assert [line for line in read_lines(cut) if line["event"] != "run"] == read_lines(whole)[1:]
    starts = [(line["first_step"], line["resumes"]) for line in read_lines(cut) if line["event"] == "run"]
    assert starts == [(0, False), (6, True)]


@pytest.mark.parametrize(("first_epoch", "kept"), [(1, ["run", "step", "step"]), (2, ["run", "step", "step", "epoch"])])
def test_epoch_that_is_validated_again_is_dropped(tmp_path, first_epoch, kept):
    tell(build(tmp_path, tensorboard=False), *map(step, (1, 2, 3, 4)), epoch(1), ended=False)
    tell(build(tmp_path, tensorboard=False), of=facts(4, first_epoch))
    assert [line["event"] for line in read_lines(tmp_path)] == [*kept, "run"]


@pytest.mark.parametrize("half", [b'{"event": "step", "lo', b'{"event": "step", "step": 2}\xff', b"\x00\x00"])
def test_line_cut_by_a_kill_is_dropped_with_a_warning(tmp_path, caplog, half):
    tell(build(tmp_path, tensorboard=False), step(2), step(4), ended=False)
    with (tmp_path / "run" / "metrics.jsonl").open("ab") as file:
        file.write(half)
    tell(build(tmp_path, tensorboard=False), step(6), of=facts(4, 2))
    assert [line.get("step") for line in read_lines(tmp_path)] == [None, 2, 4, None, 6]
    assert "removed 1 incomplete lines" in caplog.text


def test_last_line_without_newline_is_kept_and_ended(tmp_path):
    tell(build(tmp_path, tensorboard=False), step(2), ended=False)
    path = tmp_path / "run" / "metrics.jsonl"
    path.write_bytes(path.read_bytes().rstrip(b"\n"))
    tell(build(tmp_path, tensorboard=False), step(4), of=facts(2, 1))
    assert [line.get("step") for line in read_lines(tmp_path)] == [None, 2, None, 4]


def test_new_run_drops_the_steps_of_the_old_one(tmp_path):
    tell(build(tmp_path, tensorboard=False), step(2), step(4), epoch(1))
    tell(build(tmp_path, tensorboard=False), step(2))
    assert [line["event"] for line in read_lines(tmp_path)] == ["run", "run", "step"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_full_disk_raises_with_file_and_fix(tmp_path):
    (log,) = build(tmp_path, tensorboard=False)
    log.run_started(facts())
    path = tmp_path / "run" / "metrics.jsonl"
    path.unlink()
    path.symlink_to("/dev/full")
    with pytest.raises(MrlspkError, match="No space left") as caught:
        log.step_done(step(2))
    assert caught.value.where == path
    assert "`resume`" in caught.value.fix


def test_folder_in_the_way_raises(tmp_path):
    (tmp_path / "run").write_text("")
    with pytest.raises(MrlspkError, match="cannot be written"):
        tell(build(tmp_path, tensorboard=False))


def test_epoch_of_fewer_steps_than_the_interval_is_logged_too(tmp_path):
    tell(build(tmp_path, steps_per_epoch=1, tensorboard=False), step(1), step(2), step(3))
    assert [line["step"] for line in read_lines(tmp_path)[1:]] == [1, 2, 3]
