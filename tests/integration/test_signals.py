"""Commands stopped by a signal: their exit code, and the files that they leave."""

import json
import os
import pty
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import soundfile
import torch
import yaml

from factories import tiny_run
from forked_commands import until

pytestmark = pytest.mark.process

LIMIT_SECONDS = 120
stopped_by = pytest.mark.parametrize(
    ("number", "exit_code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)


def wait_for(happened, process):
    """Wait until something has happened, at most until the process ends or the time is up."""
    end = time.monotonic() + LIMIT_SECONDS
    while not happened():
        assert process.poll() is None, f"the command ended by itself with {process.returncode}"
        assert time.monotonic() < end, "no sign of life"
        time.sleep(0.01)


def partial_files(folder):
    return [path for path in folder.rglob("*") if path.name.endswith(".partial")]


@pytest.fixture
def start(tmp_path):
    """Start ``mrlspk`` in a process of its own that takes signals; none outlives the test."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MRLSPK_")}
    environment |= {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "TERM": "xterm", "COLUMNS": "100"}
    kept = signal.signal(signal.SIGINT, signal.default_int_handler)  # a child of a background job would ignore it
    started = []

    def popen(*arguments, **streams):
        command = [sys.executable, "-m", "mrlspk", *map(str, arguments)]
        started.append(subprocess.Popen(command, cwd=tmp_path, env=environment, start_new_session=True, **streams))
        return started[-1]

    yield popen
    signal.signal(signal.SIGINT, kept)
    for process in started:
        with process:
            process.kill()


@stopped_by
@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.usefixtures("tiny_corpus")
def test_training_stopped_by_a_signal_leaves_whole_files(runs, tmp_path, number, exit_code, workers):
    sections = {"training": {"num_epochs": 100_000}, "logging": {"run_name": "endless"}}
    config = tiny_run("corpus", data={"num_workers": workers}, **sections)
    (tmp_path / "endless.yaml").write_text(yaml.safe_dump(config))
    run_dir = tmp_path / "checkpoints" / "endless"
    process = runs.starter.fork("mrlspk", "train", "--config", "endless.yaml", cwd=tmp_path)
    metrics = run_dir / "metrics.jsonl"
    until(lambda: metrics.exists() and '"epoch"' in metrics.read_text(), "no epoch has ended")
    process.send(number)
    assert (process.exit_code(), process.stdout) == (exit_code, ""), process.stderr
    # A loader's process may lose its parent in the middle of a hand-over, and says so on the stderr they share.
    trace_of_the_command = "Traceback" if workers == 0 else "cli/app.py"
    assert trace_of_the_command not in process.stderr, process.stderr
    assert partial_files(tmp_path) == []
    checkpoints = {path.name: torch.load(path, weights_only=True) for path in run_dir.glob("*.pt")}
    assert all(checkpoint["config"]["logging"]["run_name"] == "endless" for checkpoint in checkpoints.values())
    steps = [json.loads(line) for line in metrics.read_text().splitlines()]
    assert checkpoints["last.pt"]["progress"]["step"] == max(entry.get("step", 0) for entry in steps)
    assert f"stopped by {signal.Signals(number).name} after step" in process.stderr


def read_until(pattern, terminal, process):
    """Read from a terminal until a pattern is on it, and return what was read."""
    os.set_blocking(terminal, False)
    seen = ""

    def matches():
        nonlocal seen
        seen += read_rest(terminal)
        return re.search(pattern, seen)

    wait_for(matches, process)
    return seen


def read_rest(terminal):
    """Return what is on a terminal now."""
    try:
        return os.read(terminal, 65536).decode(errors="replace")
    except OSError:  # nothing there now, or nobody at the other end any more
        return ""


@stopped_by
def test_embedding_stopped_by_a_signal_leaves_its_rows_only(start, write_model, tmp_path, number, exit_code):
    folder = tmp_path / "many"
    folder.mkdir()
    first = folder / "0.wav"
    soundfile.write(first, 0.1 * np.random.default_rng(0).normal(size=32000), 16000)
    for name in range(1, 20_000):
        (folder / f"{name}.wav").hardlink_to(first)
    model, ours, theirs = write_model(tmp_path / "model.pt"), *pty.openpty()
    process = start("embed", folder, "--model", model, "-o", "out.npz", "--json", stdout=subprocess.PIPE, stderr=theirs)
    os.close(theirs)
    shown = read_until(r"[1-9][\d,]*/20,000", ours, process)  # the progress bar has moved
    process.send_signal(number)
    stdout, _ = process.communicate(timeout=LIMIT_SECONDS)
    shown += "".join(iter(lambda: read_rest(ours), ""))  # a terminal gives 4 kB at a time
    os.close(ours)
    assert (process.returncode, stdout) == (exit_code, b""), shown
    assert "Traceback" not in shown, shown
    assert re.search(r"out.npz.partial keeps [1-9]\d* of 20000 embeddings: give --resume", shown), shown
    assert not (tmp_path / "out.npz").exists()
    assert partial_files(tmp_path) == [tmp_path / "out.npz.partial"]
