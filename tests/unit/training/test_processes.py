import atexit
import os
import subprocess
import sys
from threading import Event

import pytest
from lightning_fabric import Fabric

from mrlspk.distributed import ALONE
from mrlspk.training import processes as module
from mrlspk.training.processes import close_at_exit, launch

SCRIPT = """
import atexit, os, sys, time
from pathlib import Path
from lightning_fabric import Fabric
from torch import distributed
from mrlspk.training import processes

atexit.register(lambda: (folder / f"{ranks.rank}-open").write_text(str(distributed.is_initialized())))  # runs last

processes.CHECK_SECONDS = processes.GRACE_SECONDS = 0.1
ranks = processes.launch(Fabric(accelerator="cpu", devices=2, strategy="ddp"))
folder = Path(sys.argv[1])
(folder / str(ranks.rank)).write_text(f"{ranks.world_size} processes")
ranks.barrier()
if sys.argv[2] == "stays":
    sys.exit()
if ranks.is_first:
    os._exit(7)
time.sleep(60)  # like a collective operation that waits for a process that is gone
(folder / "left behind").touch()
"""


def run(tmp_path, first):
    """Run the script in two processes that Fabric starts, until both have ended."""
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    clean = {name: value for name, value in os.environ.items() if name not in {"LOCAL_RANK", "NODE_RANK", "WORLD_SIZE"}}
    command = [sys.executable, str(script), str(tmp_path), first]  # its output ends with that of both
    return subprocess.run(command, capture_output=True, text=True, check=False, env=clean)


def test_launch_of_one_process_is_alone():
    assert launch(Fabric(accelerator="cpu", devices=1)) == ALONE


@pytest.mark.process
def test_fabric_starts_the_second_process_with_the_same_command(tmp_path):
    ended = run(tmp_path, "stays")
    assert ended.returncode == 0, ended.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"script.py", "0", "1", "0-open", "1-open"}
    assert [(tmp_path / f"{rank}-open").read_text() for rank in (0, 1)] == ["False", "False"]
    assert (tmp_path / "1").read_text() == "2 processes"


@pytest.mark.process
def test_process_whose_parent_is_gone_exits(tmp_path):
    assert run(tmp_path, "dies").returncode == 7
    assert (tmp_path / "1").is_file()
    assert not (tmp_path / "left behind").exists()


def test_exit_does_not_wait_long_for_a_busy_process_group(monkeypatch):
    registered, begun, free = [], Event(), Event()
    monkeypatch.setattr(atexit, "register", registered.append)
    monkeypatch.setattr(module, "CLOSE_SECONDS", 0.05)
    monkeypatch.setattr(module.distributed, "destroy_process_group", lambda: begun.set() or free.wait())
    close_at_exit()
    assert not begun.wait(0.05)
    (ask,) = registered
    ask()  # returns although the group is still busy
    assert begun.wait(10)
    free.set()
