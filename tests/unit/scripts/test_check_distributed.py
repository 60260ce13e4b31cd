"""The script that compares one process with several judges what it reads."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "check_distributed.py"


@pytest.fixture(scope="module")
def script():
    description = importlib.util.spec_from_file_location("check_distributed", SCRIPT)
    module = importlib.util.module_from_spec(description)
    sys.modules["check_distributed"] = module  # its dataclasses look themselves up
    description.loader.exec_module(module)
    yield module
    del sys.modules["check_distributed"]


def step(number, total, **by_dim):
    return {"event": "step", "step": number, "loss": total, "loss_by_dim": by_dim}


def epoch(number, loss):
    return {"event": "epoch", "step": number, "validation": {"loss": loss}}


def compared(script, tmp_path, monkeypatch, one, several, limit=1e-5):
    """Show the comparison of two logs; return the exit code."""

    def train(_, name, settings, *, n_processes):
        assert (name, settings) == (f"a-case-{n_processes}", ("key=value",))
        log = tmp_path / f"{n_processes}.jsonl"
        log.write_text("".join(json.dumps(entry) + "\n" for entry in (one if n_processes == 1 else several)))
        return log

    monkeypatch.setattr(script.Trainer, "train", train)
    case = script.Case("a case", ("key=value",), limit)
    return script.show(script.Trainer(tmp_path, "cpu", 16), (case,), n_processes=2)


def test_losses_within_the_limit_pass(script, tmp_path, monkeypatch, capsys):
    one = [{"event": "run"}, step(1, 8.0, a=12.0), epoch(1, 0.5)]
    several = [{"event": "run"}, step(1, 8.00004, a=12.0), epoch(1, 0.5)]  # 4e-5 of 8 is half of the limit
    assert compared(script, tmp_path, monkeypatch, one, several) == 0
    assert "| a case | 3 | 4.0e-05 | 5.0e-06 | 1e-05 |" in capsys.readouterr().out


@pytest.mark.parametrize(
    "several", [[step(1, 1.0, a=0.5), epoch(1, 0.50002)], [step(1, 1.0, a=0.50002), epoch(1, 0.5)]]
)
def test_one_loss_beyond_it_fails(script, tmp_path, monkeypatch, capsys, several):
    one = [step(1, 1.0, a=0.5), epoch(1, 0.5)]
    assert compared(script, tmp_path, monkeypatch, one, several) == 1
    assert "2.0e-05, **beyond**" in capsys.readouterr().out  # of a loss below 1 it is no share


def test_logs_of_other_steps_are_refused(script, tmp_path, monkeypatch):
    with pytest.raises(SystemExit, match="do not tell of the same steps"):
        compared(script, tmp_path, monkeypatch, [step(1, 1.0)], [step(1, 1.0), step(2, 1.0)])
