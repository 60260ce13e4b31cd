"""Commands in processes that start at once: forks of one process that has imported everything.

Run as a script it is that process, and does what it reads; `Starter` is the other end.
"""

import atexit
import json
import os
import signal
import subprocess
import sys
import time
import traceback
import uuid
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

LIMIT_SECONDS = 120  # for a loaded machine; nothing is expected to take as long
MARK = "RUN_OF_A_TEST"  # variable by which a process is known that others have started
FIXED = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "COLUMNS": "160"}
LEFT_BY_OTHERS = ("MRLSPK_", "SLURM_", "TORCHELASTIC_", "WORLD_SIZE", "RANK", "LOCAL_", "NODE_", "GROUP_", "MASTER_")


def environment(**variables):
    """Return the variables of this process without those that say how a run is started, and these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(LEFT_BY_OTHERS)}
    return kept | FIXED | variables


@dataclass
class Command:
    """A command that was started, in a session of its own.

    Attributes:
        pid: Of its process.
        mark: Of all processes that it starts.
        folder: Where its output is.
        ask: Returns the exit code of a process, None while it runs.
    """

    pid: int
    mark: str
    folder: Path
    ask: object

    @property
    def stdout(self):
        return (self.folder / f"{self.mark}.out").read_text()

    @property
    def stderr(self):
        return (self.folder / f"{self.mark}.err").read_text()

    def exit_code(self):
        """Return the exit code once it has ended; below 0 it is the signal that killed it."""
        until(lambda: self.ask(self.pid) is not None, f"{self.mark} has not ended")
        return self.ask(self.pid)

    def processes(self):
        """Return the processes that are left of it: pid and variables that each was started with."""
        return {pid: variables for pid, variables in _processes() if self._is_own(pid, variables)}

    def child(self, **variables):
        """Return the process that it has started with these variables."""
        found = [
            pid
            for pid, its in self.processes().items()
            if pid != self.pid and _parent(pid) == self.pid and variables.items() <= its.items()
        ]
        assert len(found) == 1, found
        return found[0]

    def send(self, number, *, to_all=False):
        """Send a signal to it, or as a terminal does to all of its group."""
        (os.killpg if to_all else os.kill)(self.pid, number)

    def kill(self):
        for pid in self.processes():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def _is_own(self, pid, variables):
        return variables.get(MARK) == self.mark or _session(pid) == self.pid


class Starter:
    """Starts commands; `close` leaves none."""

    def __init__(self, folder):
        self._folder, self._commands, self._codes = folder, [], {}
        self._process = subprocess.Popen(
            [sys.executable, __file__], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment()
        )

    def fork(self, function, *arguments, cwd, fault=None, streams=None, **variables):
        """Call a function of this module with arguments in a process that has everything imported.

        ``streams`` are paths by file descriptor of standard streams; None for a closed one.
        """
        mark = str(uuid.uuid4())
        asked = {
            "function": function,
            "arguments": arguments,
            "cwd": str(cwd),
            "fault": fault,
            "streams": streams or {},
        }
        asked |= {"variables": environment(**variables, **{MARK: mark}), "output": str(self._folder / mark)}
        return self._note(Command(self._ask(asked), mark, self._folder, self._code))

    def run(self, *command, cwd, **variables):
        """Run a command as a shell does."""
        mark = str(uuid.uuid4())
        with (self._folder / f"{mark}.out").open("wb") as out, (self._folder / f"{mark}.err").open("wb") as err:
            process = subprocess.Popen(
                command,
                cwd=cwd,
                env=environment(**variables, **{MARK: mark}),
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
        return self._note(Command(process.pid, mark, self._folder, lambda _: process.poll()))

    def end(self):
        """Kill what is left."""
        for command in self._commands:
            command.kill()
            command.exit_code()
        self._commands.clear()

    def close(self):
        self.end()
        with self._process:
            self._process.terminate()  # a process forked from this one may hold its stdin open

    def _note(self, command):
        self._commands.append(command)
        return command

    def _code(self, pid):
        if self._codes.get(pid) is None:
            self._codes[pid] = self._ask({"pid": pid})
        return self._codes[pid]

    def _ask(self, what):
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()
        return json.loads(self._process.stdout.readline())


def until(happened, what):
    """Wait until something has happened."""
    end = time.monotonic() + LIMIT_SECONDS
    while not happened():
        assert time.monotonic() < end, what
        time.sleep(0.02)


def _processes():
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            texts = (folder / "environ").read_bytes().decode(errors="replace").split("\0")
            if _stat(int(folder.name))[0] != "Z":
                yield int(folder.name), dict(text.partition("=")[::2] for text in texts)


def _stat(pid):
    """Return state, parent, group and session of a process."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def _parent(pid):
    return int(_stat(pid)[1])


def _session(pid):
    with suppress(OSError):
        return int(_stat(pid)[3])


def serve():
    """Do what is asked on stdin, until it ends: start a process, or say how one has ended."""
    import torch.distributed.run  # noqa: F401

    import mrlspk.cli.app
    import mrlspk.training.network.network_run
    import mrlspk.workflows.train  # noqa: F401

    for line in sys.stdin:
        asked = json.loads(line)
        if "pid" in asked:
            pid, status = os.waitpid(asked["pid"], os.WNOHANG)
            answer = os.waitstatus_to_exitcode(status) if pid else None
        else:
            answer = os.fork()
            if not answer:
                _begin(asked)
                _call(asked)
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _begin(asked):
    """Let this process be as one that a shell has started."""
    os.setsid()
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    for number, ending in ((1, "out"), (2, "err")):
        os.dup2(os.open(f"{asked['output']}.{ending}", os.O_WRONLY | os.O_CREAT | os.O_APPEND), number)
    os.chdir(asked["cwd"])
    os.environ.clear()
    os.environ.update(asked["variables"])
    for number, path in asked["streams"].items():
        if path is None:
            os.close(int(number))
        else:
            os.dup2(os.open(path, os.O_WRONLY), int(number))
    sys.stdin, sys.stdout, sys.stderr = map(_stream, range(3))
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _stream(number):
    """Return a standard stream as the interpreter opens it; None for a closed one."""
    encoding = os.environ.get("PYTHONIOENCODING", "utf-8")
    try:
        mode, buffering = "w" if number else "r", 1 if number == 2 else -1
        return os.fdopen(number, mode, buffering, encoding, closefd=False)
    except OSError:
        return None


def _call(asked):
    """Call the function, and leave as a program does, without the seconds that it takes to forget all imports."""
    code = 1
    try:
        import training_faults

        if asked["fault"]:
            getattr(training_faults, asked["fault"])()
        {"mrlspk": _mrlspk, "torchrun": _torchrun}[asked["function"]](*asked["arguments"])
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  (as the interpreter does)
        traceback.print_exc()
    finally:
        atexit._run_exitfuncs()
        try:
            for stream in filter(None, (sys.stdout, sys.stderr)):
                stream.flush()
        except OSError:
            code = 120  # as the interpreter does
        os._exit(code)


def _mrlspk(*arguments):
    from mrlspk.cli.app import main

    sys.argv = [str(Path(sys.executable).with_name("mrlspk")), *arguments]
    main()


def _torchrun(*arguments):
    from torch.distributed.run import main

    main(list(arguments))


if __name__ == "__main__":
    serve()
