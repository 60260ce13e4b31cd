import math

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from torch.utils.tensorboard import SummaryWriter

from logged_runs import build, epoch, expected_scalars, facts, read_lines, step, tell
from mrlspk.errors import MrlspkError

RECORDS = [*map(step, (1, 2, 3, 4)), epoch(1), *map(step, (5, 6, 7, 8)), epoch(2, is_best=False)]


def make_older(tmp_path):
    """Name the event files as those of starts a second ago: of one second and process, names give the tenth first."""
    for path in (tmp_path / "logs" / "run").iterdir():
        *before, second, rest = path.name.split(".", 4)
        path.rename(path.with_name(".".join((*before, f"{int(second) - 1:010}", rest))))


def read_events(tmp_path):
    events = EventAccumulator(str(tmp_path / "logs" / "run"))
    events.Reload()
    return events


def check_scalars(tmp_path):
    """Compare all scalars of TensorBoard with metrics.jsonl; each has each step once."""
    events, expected = read_events(tmp_path), expected_scalars(read_lines(tmp_path))
    assert set(events.Tags()["scalars"]) == set(expected)
    for name, values in expected.items():
        found = [(event.step, event.value) for event in events.Scalars(name)]
        assert found == [(step, pytest.approx(value, rel=1e-6)) for step, value in values.items()], name


def test_tensorboard_holds_the_metrics_of_metrics_jsonl(tmp_path):
    tell(build(tmp_path), *RECORDS)
    check_scalars(tmp_path)
    events = read_events(tmp_path)
    assert [(event.step, event.value) for event in events.Scalars("train/loss_8")][:2] == [(2, 0.25), (4, 0.125)]
    assert [(event.step, event.value) for event in events.Scalars("best/eer_8")] == [(4, 0.125)]  # epoch 1 alone


def test_tensorboard_has_configuration_and_summary_as_text(tmp_path):
    tell(build(tmp_path))
    events = read_events(tmp_path)
    configuration, model = (
        events.Tensors(f"{tag}/text_summary")[0].tensor_proto.string_val[0].decode()
        for tag in ("configuration", "model")
    )
    assert '"learning_rate": 0.5' in configuration
    assert "| parameters/backbone | 7 |" in model
    assert "| parameters/trained | 10 |" in model
    assert "| run/effective_batch | 16 |" in model


@pytest.mark.parametrize(
    ("n_before", "again", "first_step", "first_epoch"),
    [
        (9, 7, 6, 2),  # killed after step 8; the last checkpoint is of step 6, within epoch 2
        (5, 4, 4, 1),  # killed after epoch 1 was logged, before it was saved: it is validated again
        (7, 5, 4, 2),  # killed within epoch 2; the last checkpoint is of epoch 1, validated
        (4, 0, 0, 1),  # killed before the first checkpoint: the run begins anew
    ],
)
def test_resumed_run_has_nothing_twice_and_nothing_lost(tmp_path, n_before, again, first_step, first_epoch):
    tell(build(tmp_path), *RECORDS[:n_before], ended=False)  # its writer is not closed, as a kill leaves it
    make_older(tmp_path)
    tell(build(tmp_path), *RECORDS[again:], of=facts(first_step, first_epoch))
    check_scalars(tmp_path)
    assert [event.step for event in read_events(tmp_path).Scalars("validation/loss")] == [4, 8]


def test_skipped_step_has_no_loss_but_is_counted(tmp_path):
    tell(build(tmp_path), step(2), step(4, math.nan), step(6))
    events = read_events(tmp_path)
    assert [event.step for event in events.Scalars("train/loss")] == [2, 6]
    assert [event.value for event in events.Scalars("train/skipped_steps")] == [0, 1, 0]


def test_unwritable_folder_raises_before_the_first_step(tmp_path):
    (tmp_path / "logs").write_text("in the way")
    with pytest.raises(MrlspkError, match="TensorBoard events cannot be written") as caught:
        tell(build(tmp_path))
    assert "logging.tensorboard=false" in caught.value.fix


def test_tensorboard_that_fails_later_warns_once(tmp_path, monkeypatch, caplog):
    logs = build(tmp_path)
    for log in logs:
        log.run_started(facts())

    def fail(*_arguments):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(SummaryWriter, "add_scalar", fail)
    for record in (step(2), step(4)):
        for log in logs:
            log.step_done(record)
    for log in logs:
        log.run_ended()
    assert caplog.text.count("TensorBoard failed: [Errno 28] No space left on device") == 1
    assert [line["event"] for line in read_lines(tmp_path)] == ["run", "step", "step"]
