"""Every command where its output cannot be shown: full, closed and narrow streams, encodings without a dash."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from factories import tiny_run, write_tiny_model, write_voices
from forked_commands import Starter
from mrlspk import __version__
from predecessor_file import TEXT

pytestmark = pytest.mark.process

FULL = "/dev/full"
NO_SPACE = "error: stdout: cannot be written: No space left on device\n"
CLOSED = "error: stdout: is closed\n"
MRLSPK = Path(sys.executable).with_name("mrlspk")
# The words of each command, and the files that it writes. {} is the folder of the material; commands run in their own.
COMMANDS = {
    "data check": ("data check {}/corpus --trials {}/trials.txt", []),
    "data demo": ("data demo demo --speakers 2 --test-speakers 2 --utterances 2", ["demo/trials.txt"]),
    "data trials": ("data trials {}/corpus -o list.txt -n 10", ["list.txt"]),
    "config migrate": ("config migrate {}/old.yaml -o new.yaml", ["new.yaml"]),
    "pretrained list": ("pretrained list --cache-dir none", []),
    "inspect": ("pretrained inspect {}/model.pt", []),
    "convert": ("pretrained convert {}/model.pt -o converted.pt", ["converted.pt"]),
    "add": ("pretrained add {}/model.pt --name mine --cache-dir own", ["own"]),
    "embed": ("embed {}/corpus --model {}/model.pt -o x.npz", ["x.npz"]),
    "eval": ("eval {}/model.pt --trials {}/trials.txt --audio-root {}/corpus --scores s.npz", ["s.npz"]),
    "compare": (
        "compare {}/model.pt {}/other.pt --trials {}/trials.txt --audio-root {}/corpus --report r",
        ["r/index.html"],
    ),
    "calibrate": ("calibrate {}/model.pt --trials {}/trials.txt --audio-root {}/corpus -o c.json", ["c.json"]),
    "verify": ("verify {}/corpus/speaker0/a/1.wav {}/corpus/speaker0/b/1.wav --model {}/model.pt", []),
    "rotate": (
        "rotate {}/model.pt --speech {}/corpus -o rotated.pt --method svd --crop-seconds 0.4",
        ["rotated.pt"],
    ),
    "train": ("train --config {}/tiny.yaml --set logging.run_name=one", ["checkpoints/one/best.pt"]),
    "dry run": ("train --config {}/tiny.yaml --dry-run", []),
    "gpu-profile": ("gpu-profile --config {}/tiny.yaml --vram-limit 2GiB --write fitted.yaml", ["fitted.yaml"]),
}


@pytest.fixture(scope="module")
def material(tmp_path_factory):
    folder = tmp_path_factory.mktemp("material")
    corpus = write_voices(folder / "corpus", 2, files=("1", "é"))
    write_tiny_model(folder / "model.pt", (4, 8))
    write_tiny_model(folder / "other.pt", (4, 8), seed=1)
    ids = sorted(path.relative_to(corpus).as_posix() for path in corpus.rglob("*.wav"))
    lines = [f"{int(ids[0][:8] == other[:8])} {ids[0]} {other}\n" for other in ids[1:]]
    (folder / "trials.txt").write_text("".join(lines), encoding="utf-8")
    (folder / "old.yaml").write_text(TEXT)
    one_epoch = tiny_run(write_voices(folder / "voices"))
    one_epoch["training"]["num_epochs"] = 1
    (folder / "tiny.yaml").write_text(yaml.safe_dump(one_epoch))
    return folder


@pytest.fixture(scope="module")
def starter(tmp_path_factory):
    starter = Starter(tmp_path_factory.mktemp("outputs"))
    yield starter
    starter.close()


@pytest.fixture
def fork(starter, material, tmp_path):
    """Run a command of `COMMANDS` in a folder of its own, with other streams."""

    def run(name, *flags, streams, **variables):
        words = COMMANDS[name][0].replace("{}", str(material)).split()
        variables = {"MRLSPK_CACHE_DIR": str(material / "cache")} | variables
        return starter.fork("mrlspk", *words, *flags, cwd=tmp_path, streams=streams, **variables)

    return run


@pytest.mark.parametrize("name", COMMANDS)
def test_full_stdout_loses_no_file_of_any_command(fork, tmp_path, name):
    command = fork(name, streams={1: FULL})
    assert command.exit_code() == 1, command.stderr
    assert NO_SPACE in command.stderr
    assert "Traceback" not in command.stderr
    assert [path for path in COMMANDS[name][1] if not (tmp_path / path).exists()] == []


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_works_in_ascii_without_stderr(fork, tmp_path, name):
    shown = fork(name, streams={0: None, 2: None}, PYTHONIOENCODING="ascii")
    assert shown.exit_code() == 0, shown.stdout
    assert (shown.folder / f"{shown.mark}.out").read_bytes().isascii()
    assert shown.stdout
    assert [path for path in COMMANDS[name][1] if not (tmp_path / path).exists()] == []


@pytest.mark.parametrize("name", ["data check", "embed", "verify"])
def test_json_in_ascii_has_the_values_of_a_unicode_terminal(fork, tmp_path, name):
    shown = {}
    for encoding in ("ascii", "latin-1", "utf-8"):
        (tmp_path / "x.npz").unlink(missing_ok=True)
        command = fork(name, "--json", streams={}, PYTHONIOENCODING=encoding)
        assert command.exit_code() == 0, command.stderr
        content = (command.folder / f"{command.mark}.out").read_bytes()
        assert encoding == "utf-8" or content.isascii()
        shown[encoding] = json.loads(content)
        shown[encoding].pop("seconds", None)  # of embedding
    assert shown["ascii"] == shown["latin-1"] == shown["utf-8"]


@pytest.mark.parametrize("name", ["data trials", "embed", "eval"])
def test_closed_stdout_is_reported_and_loses_no_file(fork, tmp_path, name):
    command = fork(name, streams={1: None})
    assert command.exit_code() == 1
    assert command.stderr.endswith(f"{CLOSED}Redirect it to a file or a terminal that can be written.\n")
    assert [path for path in COMMANDS[name][1] if not (tmp_path / path).exists()] == []


def test_full_stderr_stops_nothing(fork):
    command = fork("train", streams={2: FULL})
    assert command.exit_code() == 0
    assert "best checkpoint: checkpoints/one/best.pt" in command.stdout


@pytest.mark.parametrize("name", ["embed", "eval", "gpu-profile"])
def test_full_disk_does_not_lose_what_is_shown(run, material, monkeypatch, tmp_path, name):
    def full_disk(_fd):
        raise OSError(28, "No space left on device")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("os.fsync", full_disk)
    outcome = run(*COMMANDS[name][0].replace("{}", str(material)).split(), "--no-cache" if name == "eval" else "--json")
    assert outcome.exit_code == 1
    assert f"{COMMANDS[name][1][0]}: cannot be written: No space left on device" in outcome.stderr
    assert outcome.stdout.count("\n") > 3
    assert "written" not in outcome.stdout


def test_progress_on_a_terminal_ignores_sizes_that_nothing_fits_in(fork):
    master, terminal = os.openpty()
    sizes = {"COLUMNS": "0", "LINES": "²", "TERM": "dumb", "NO_COLOR": "1"}
    command = fork("data demo", streams={2: os.ttyname(terminal)}, **sizes)
    assert command.exit_code() == 0
    assert "demo/trials.txt" in command.stdout
    os.close(terminal)
    os.close(master)


def run_process(words, redirections="", **variables):
    """Run a command by a shell, as a user does."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MRLSPK_", "COLUMNS"))}
    command = ["bash", "-c", f'"{MRLSPK}" {words} {redirections}']
    return subprocess.run(command, env=environment | variables, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", ["--version", "--help", "train --help", "pretrained list --json"])
@pytest.mark.parametrize(("redirection", "message"), [(f">{FULL}", NO_SPACE), (">&-", CLOSED)])
def test_stdout_that_cannot_be_written_exits_1(words, redirection, message):
    done = run_process(words, redirection)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 2


@pytest.mark.parametrize("redirections", ["<&-", "2>&-", f"2>{FULL}", "<&- 2>&-"])
def test_streams_that_are_not_needed_may_be_closed_or_full(redirections):
    done = run_process("--version", redirections)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{__version__}\n", "")


@pytest.mark.parametrize("redirections", [">&- 2>&-", f">{FULL} 2>{FULL}", f">{FULL} 2>&1"])
def test_all_streams_lost_still_gives_the_exit_code(redirections):
    assert run_process("pretrained list", redirections).returncode == 1
    assert run_process("embed", redirections).returncode == 2


@pytest.mark.parametrize("words", ["pretrained list", "pretrained list --json"])
def test_closed_pipe_ends_quietly_as_sigpipe_does(words):
    reading, writing = os.pipe()
    os.close(reading)
    with os.fdopen(writing, "wb") as pipe:
        done = subprocess.run([MRLSPK, *words.split()], stdout=pipe, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (141, b"")


@pytest.mark.parametrize("redirection", ["<&-", f"0>{FULL}"])
def test_stdin_that_cannot_be_read_exits_3(material, redirection):
    done = run_process(f"embed - --model {material / 'model.pt'}", redirection)
    assert done.returncode == 3
    assert done.stderr.startswith("error: stdin: ")
    assert done.stderr.endswith("\nSend one path per line, as UTF-8.\n")


def test_paths_on_stdin_are_utf_8_whatever_the_terminal(material, tmp_path):
    (tmp_path / "list").write_bytes(f"{material}/corpus/speaker0/a/é.wav\n".encode())
    words = f"embed - --model {material / 'model.pt'} --json"
    done = run_process(words, f"<{tmp_path / 'list'}", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert [each["id"] for each in json.loads(done.stdout)["embeddings"]] == [f"{material}/corpus/speaker0/a/é.wav"]


@pytest.mark.parametrize("columns", ["0", "1", "-1", "²", "abc", "9" * 30])
def test_width_that_nothing_fits_in_counts_as_not_given(columns):
    assert run_process("pretrained list", COLUMNS=columns).stdout == run_process("pretrained list").stdout


def test_ascii_locale_shows_the_same_list_with_plain_dashes():
    plain = run_process("pretrained list", LC_ALL="C", PYTHONUTF8="0", PYTHONIOENCODING="ascii")
    assert (plain.returncode, plain.stderr) == (0, "")
    assert plain.stdout == run_process("pretrained list").stdout.replace("–", "-")


NOBODY = """
import pwd
from mrlspk.cli.app import main

def no_entry(uid):
    raise KeyError(f"getpwuid(): uid not found: {uid}")

pwd.getpwuid = no_entry
main()
"""


def run_as_nobody(folder, words, **variables):
    """Run a command as a user without home folder, name and entry in the password database, as in a container."""
    personal = ("HOME", "USER", "LOGNAME", "LNAME", "USERNAME", "MRLSPK_", "TORCHINDUCTOR_")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(personal)}
    environment |= {"TMPDIR": "/nonexistent", "XDG_CACHE_HOME": "relative"} | variables
    command = [sys.executable, "-c", NOBODY, *words.split()]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("words", ["pretrained list", "pretrained inspect redimnet-b2-vox2-ft_lm"])
def test_without_home_folder_the_variable_to_set_is_named(tmp_path, words):
    done = run_as_nobody(tmp_path, words, MRLSPK_CACHE_DIR="")
    expected = "error: MRLSPK_CACHE_DIR: is needed, since there is no home folder\nSet it to a folder.\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", expected)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("words", "variables"),
    [
        ("pretrained list --cache-dir own", {}),
        ("embed {}/corpus --model {}/model.pt", {}),
        ("train --config {}/tiny.yaml --set logging.run_name=one", {"MRLSPK_CACHE_DIR": "own"}),
    ],
)
def test_commands_work_for_a_user_without_home_and_name(material, tmp_path, words, variables):
    done = run_as_nobody(tmp_path, words.replace("{}", str(material)), **variables)
    assert done.returncode == 0, done.stderr
    assert done.stdout
