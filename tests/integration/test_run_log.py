"""Logs of killed and resumed runs; Weights & Biases offline, without a network, without a key."""

import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from logged_runs import expected_scalars, read_lines
from wandb_server import wandb_server

TESTS = Path(__file__).parents[1]

START = """
import logging, os, signal, sys
from pathlib import Path
import torch
from logged_runs import build, epoch, facts, step, tell
assert "wandb" not in sys.modules
logging.basicConfig(level=logging.INFO, format="%(levelname)s %(message)s")
here, module = Path.cwd(), torch.nn.Linear(3, 2)
module(torch.ones(1, 3)).sum().backward()
"""

KILLED = """
tell(build(here, module=module, wandb=True, wandb_watch_model=True), *map(step, (1, 2, 3, 4)), epoch(1), step(5),
     step(6), ended=False)
os.kill(os.getpid(), signal.SIGKILL)
"""

RESUMED = """
again = epoch(1), *map(step, (5, 6, 7, 8)), epoch(2, is_best=False)
tell(build(here, module=module, wandb=True), *again, of=facts(4, 1, config={"seed": 1, "training": {"batch": 2}}))
"""

UNREACHED = """
tell(build(here, tensorboard=False, wandb=True), step(2), epoch(1))
"""


def start(tmp_path, code, **variables):
    """Run ``code`` in a process of its own, with none of the variables of Weights & Biases but these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")}
    environment = kept | {"PYTHONPATH": str(TESTS), "HOME": str(tmp_path), "WANDB_SILENT": "true"}
    environment |= {"WANDB_ERROR_REPORTING": "false"} | variables
    command = [sys.executable, "-c", START + code]
    return subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False, timeout=300
    )


def read_offline(folder):
    """Return the run's record, its rows without what W&B adds, and the last value of each key of the summary."""
    from wandb.proto.wandb_internal_pb2 import Record  # a second of imports, which not every worker needs
    from wandb.sdk.internal.datastore import DataStore

    (path,) = folder.glob("*.wandb")
    store = DataStore()
    store.open_for_scan(str(path))
    run, rows, summary = None, [], {}
    while data := store.scan_data():
        record = Record.FromString(data)
        if record.HasField("run"):
            run = record.run
        elif record.HasField("history"):
            row = {item.key or ".".join(item.nested_key): json.loads(item.value_json) for item in record.history.item}
            rows.append({name: value for name, value in row.items() if not name.startswith("_")})
        elif record.HasField("summary"):
            summary |= {item.key: json.loads(item.value_json) for item in record.summary.update}
    store.close()
    return run, rows, summary


def by_scalar(rows):
    """Return {scalar: {step: value}}; a step that has a scalar twice is an error."""
    found = {}
    for row in rows:
        for name, value in row.items():
            if name != "step":
                assert row["step"] not in found.setdefault(name, {}), (name, row["step"])
                found[name][row["step"]] = value
    return found


def without_histograms(rows):
    return [{name: row[name] for name in row if not name.startswith(("parameters/", "gradients/"))} for row in rows]


def read_tensorboard(tmp_path):
    """Return {scalar: {step: value}}; a step that has a scalar twice is an error."""
    events, found = EventAccumulator(str(tmp_path / "logs" / "run")), {}
    events.Reload()
    for name in events.Tags()["scalars"]:
        found[name] = {event.step: event.value for event in events.Scalars(name)}
        assert len(found[name]) == len(events.Scalars(name)), name
    return found


@pytest.mark.process
def test_resumed_run_continues_tensorboard_and_offline_wandb(tmp_path):
    killed = start(tmp_path, KILLED, WANDB_MODE="offline")
    assert killed.returncode == -signal.SIGKILL, killed.stderr
    (first,) = (tmp_path / "run" / "wandb").glob("offline-run-*")
    assert f"INFO Weights & Biases: offline, in {first}; upload it with 'wandb sync {first}'" in killed.stderr
    resumed = start(tmp_path, RESUMED, WANDB_MODE="offline")
    assert resumed.returncode == 0, resumed.stderr
    lines = read_lines(tmp_path)
    expected = expected_scalars(lines)
    assert [line["step"] for line in lines if line["event"] != "run"] == [2, 4, 4, 6, 8, 8]

    (second,) = set((tmp_path / "run" / "wandb").glob("offline-run-*")) - {first}
    run, rows, summary = read_offline(second)
    assert run.run_id == json.loads((tmp_path / "run" / "wandb.json").read_text())["id"]
    assert read_offline(first)[0].run_id == run.run_id
    assert (run.project, run.display_name) == ("mrlspk", "run")
    assert by_scalar(rows) == expected  # the newest folder holds all, from the first step on
    best = {name: values for name, values in expected.items() if name.startswith("best/")}
    assert {name: summary[name] for name in best} == {name: values[4] for name, values in best.items()}
    assert (summary["parameters/backbone"], summary["run/effective_batch"]) == (7, 16)
    check_histograms(read_offline(first)[1])

    assert read_tensorboard(tmp_path) == {name: pytest.approx(values, rel=1e-6) for name, values in expected.items()}


@pytest.mark.process
def test_resumed_run_continues_the_same_online_wandb_run(tmp_path):
    with wandb_server() as (address, runs):
        online = {"WANDB_BASE_URL": address, "WANDB_API_KEY": "0" * 40}
        killed = start(tmp_path, KILLED.replace("wandb_watch_model=True", ""), **online)
        assert killed.returncode == -signal.SIGKILL, killed.stderr
        resumed = start(tmp_path, RESUMED, **online)
    assert resumed.returncode == 0, resumed.stderr
    ((run_id, run),) = runs.items()
    for said in (killed.stderr, resumed.stderr):
        assert f"INFO Weights & Biases: {address}/someone/mrlspk/runs/{run_id}" in said
    rows = [{name: value for name, value in json.loads(row).items() if name[0] != "_"} for row in run.rows]
    assert by_scalar(rows) == expected_scalars(read_lines(tmp_path))
    assert json.loads(run.config)["training"]["value"] == {"batch": 2}
    assert json.loads(run.summary)["best/epoch"] == 1
    assert run.exit_codes[-1] == 0


def check_histograms(rows):
    """Each logged step has those of weights and gradients; the gradient of each weight of the layer is 1."""
    steps = [row for row in rows if "train/loss" in row]
    assert steps
    names = {f"{kind}/{name}.values" for kind in ("parameters", "gradients") for name in ("weight", "bias")}
    assert all(names <= set(row) for row in steps)
    assert sum(steps[0]["gradients/weight.values"]) == 6


@pytest.mark.process
def test_wandb_without_a_network_does_not_stop_the_run(tmp_path):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{unused.getsockname()[1]}"  # bound, and nobody listens
        done = start(tmp_path, UNREACHED, WANDB_BASE_URL=address, WANDB_API_KEY="0" * 40)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("WARNING Weights & Biases failed") == 1
    assert "Traceback" not in done.stderr
    assert [line["event"] for line in read_lines(tmp_path)] == ["run", "step", "epoch"]


@pytest.mark.process
def test_wandb_without_a_key_does_not_stop_the_run(train, tmp_path, monkeypatch):
    train("--dry-run")  # writes the configuration
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))
    settings = "logging.wandb=true", "training.num_epochs=1", "logging.run_name=tracked"
    sets = [part for text in settings for part in ("--set", text)]
    command = [sys.executable, "-m", "mrlspk", "train", "--config", "tiny.yaml", *sets]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("warning: Weights & Biases failed: No API key configured") == 1
    assert "WANDB_MODE=offline" in done.stderr
    assert (tmp_path / "checkpoints" / "tracked" / "best.pt").exists()


def test_run_has_the_same_metrics_in_all_logs(train, tmp_path, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "offline")
    wanted = "logging.tensorboard=true", "logging.wandb=true", "logging.wandb_watch_model=true"
    outcome = train(*(part for text in wanted for part in ("--set", text)), name="run")
    assert outcome.exit_code == 0, outcome.stderr
    expected = expected_scalars(read_lines(tmp_path / "checkpoints"))
    assert set(expected["train/loss"]) == set(range(1, 10))
    (folder,) = (tmp_path / "checkpoints" / "run" / "wandb").glob("offline-run-*")
    assert f"upload it with 'wandb sync {folder}'" in outcome.stderr
    rows = read_offline(folder)[1]
    assert by_scalar(without_histograms(rows)) == expected
    assert any(name.startswith("gradients/") for name in rows[0])
    assert read_tensorboard(tmp_path) == {name: pytest.approx(values, rel=1e-6) for name, values in expected.items()}
