"""Every command that writes, met with a full disk, a read-only folder, other writers, a kill and a full stdout."""

import json
import os
import shutil
import signal
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import pytest
import yaml

import full_disk
from factories import tiny_run, write_tiny_model, write_voices
from forked_commands import Starter, until
from mrlspk.files import claimed_file
from predecessor_file import TEXT

pytestmark = pytest.mark.process

TRIALS = "--trials trials.txt --audio-root corpus"
HEAD = (
    "--init-from single.pt --set training.freeze_backbone_epochs=null --set head.centre=false --set head.flatten=0"
    " --set features.folder=out/features --set training.num_epochs=1"
)
LORA = (
    "--init-from model.pt --set training.freeze_backbone_epochs=null --set training.num_epochs=1"
    " --set training.lora.rank=2"
)


@dataclass(frozen=True)
class Writer:
    """A command that writes ``out/TARGET``; its file or folder belongs to the user who named it."""

    target: str
    command: str

    @property
    def arguments(self):
        return self.command.format(out=f"out/{self.target}").split()

    @property
    def path(self):
        return Path("out", self.target)

    @property
    def partial(self):
        return Path("out", f"{self.target}.partial")

    @property
    def unnamed(self):
        """What gets the name of the target; ``embed`` makes it of the rows in its partial file."""
        return Path(f"{self.partial}.partial") if self.resumes else self.partial

    @property
    def resumes(self):
        """Whether the partial file stays for ``--resume``."""
        return self.command.startswith("embed")

    def without_rows(self, files):
        return {path: content for path, content in files.items() if not (self.resumes and path == self.partial)}


WRITERS = [
    Writer("embeddings.npz", "embed corpus --model model.pt -o {out}"),
    Writer("embeddings.jsonl", "embed corpus --model model.pt -o {out}"),
    Writer("embeddings.parquet", "embed corpus --model model.pt -o {out}"),
    Writer("scores.npz", f"eval model.pt {TRIALS} --scores {{out}}"),
    Writer("eval-report", f"eval model.pt {TRIALS} --report {{out}}"),
    Writer("compare-report", f"compare model.pt single.pt --dims 8 {TRIALS} --report {{out}}"),
    Writer("calibration.json", f"calibrate model.pt {TRIALS} -o {{out}}"),
    Writer("rotated.pt", "rotate single.pt --speech corpus --method svd -o {out}"),
    Writer("rotated.safetensors", "rotate single.pt --speech corpus --method svd -o {out}"),
    Writer("converted.pt", "pretrained convert model.pt -o {out}"),
    Writer("converted.safetensors", "pretrained convert model.pt -o {out}"),
    Writer("trials.txt", "data trials corpus -n 40 -o {out}"),
    Writer("demo", "data demo {out} --speakers 2 --test-speakers 2 --utterances 2"),
    Writer("migrated.yaml", "config migrate old.yaml -o {out}"),
    Writer("profile.yaml", "gpu-profile --config run.yaml --vram-limit 2GiB --write {out}"),
]
# What these write belongs to the run or to the cache, which have locks of their own.
OWNERS = [
    Writer("run", "train --config run.yaml --set training.num_epochs=1"),
    Writer("head", f"train --config run.yaml {HEAD} --set logging.run_name=head"),
    Writer("lora", f"train --config run.yaml {LORA} --set logging.run_name=lora"),
    Writer("zoo/mine.pt", "pretrained add model.pt --name mine --cache-dir out"),
]
every_writer = pytest.mark.parametrize("writer", WRITERS, ids=lambda each: each.target)
every_owner = pytest.mark.parametrize("writer", OWNERS, ids=lambda each: each.target)


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    """A folder with everything that the commands read."""
    folder = tmp_path_factory.mktemp("writers")
    corpus = write_voices(folder / "corpus", 4)
    write_tiny_model(folder / "model.pt", (4, 8))
    write_tiny_model(folder / "single.pt", (8,), seed=1)
    ids = sorted(path.relative_to(corpus).as_posix() for path in corpus.rglob("*.wav"))
    lines = (f"{int(a[:8] == b[:8])} {a} {b}\n" for a, b in combinations(ids, 2))
    (folder / "trials.txt").write_text("".join(lines))
    (folder / "old.yaml").write_text(TEXT)
    logs = {"save_dir": "out", "run_name": "run", "tensorboard": True, "log_dir": "out/logs"}
    (folder / "run.yaml").write_text(yaml.safe_dump(tiny_run("corpus", logging=logs)))
    return folder


@pytest.fixture(autouse=True)
def out(workplace, monkeypatch):
    """An empty folder for what is written, in the working directory."""
    monkeypatch.chdir(workplace)
    monkeypatch.setenv("MRLSPK_CACHE_DIR", str(workplace / "cache"))
    shutil.rmtree("out", ignore_errors=True)
    Path("out").mkdir()
    return Path("out")


@pytest.fixture(scope="module")
def starter(tmp_path_factory):
    starter = Starter(tmp_path_factory.mktemp("output"))
    yield starter
    starter.close()


@pytest.fixture(scope="module")
def written():
    """What each command writes if nothing is in its way."""
    return {}


@pytest.fixture
def whole(run, written, out):
    """Return what a command writes if nothing is in its way, leaving the folder empty."""

    def write(writer):
        if writer.target not in written:
            outcome = run(*writer.arguments)
            assert outcome.exit_code == 0, outcome.stderr
            written[writer.target] = contents(out)
            shutil.rmtree(out)
            out.mkdir()
        return written[writer.target]

    return write


def contents(folder):
    """Return the bytes of all files below a folder, by path, without the empty ones.

    Of audio only the end, which is written last: eSpeak NG does not speak the same twice.
    """
    found = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file() and path.stat().st_size}
    return {path: content[-20:] if path.suffix == ".m4a" else content for path, content in found.items()}


def restore(files):
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


def half(files):
    return max(map(len, files.values())) // 2


def assert_refused(outcome, writer, *words):
    """Check that an error names the file, what is wrong and a remedy."""
    assert outcome.exit_code == 1, outcome.stderr
    error = outcome.stderr[outcome.stderr.rindex("error: ") :]
    assert all(word in error for word in (writer.target, *words)), error
    assert len(error.splitlines()) >= 2, error


@every_writer
def test_full_disk_leaves_nothing(writer, whole, run, out):
    limit = half(whole(writer))
    with full_disk.files_up_to(limit):
        outcome = run(*writer.arguments)
    assert_refused(outcome, writer, "cannot be written: File too large")
    assert list(out.iterdir()) == ([writer.partial] if writer.resumes else [])


@every_writer
def test_full_disk_keeps_the_old_file(writer, whole, run, out):
    old = whole(writer)
    restore(old)
    with full_disk.files_up_to(0):
        outcome = run(*writer.arguments, "--force")
    assert_refused(outcome, writer, "cannot be written: File too large")
    assert contents(out) == old


@every_writer
def test_full_disk_of_its_own_loses_nothing(writer, whole, run, out):
    old = whole(writer)
    with full_disk.small_disk(out) as leave:
        restore(old)
        leave(half(old))
        outcome = run(*writer.arguments, "--force")
        (out / "filler").unlink()
        found = contents(out)
    assert_refused(outcome, writer, "cannot be written: No space left on device")
    assert writer.without_rows(found) == old


@every_writer
def test_read_only_folder_is_named(writer, whole, run, out):
    whole(writer)
    with full_disk.read_only(out):
        outcome = run(*writer.arguments)
    assert_refused(outcome, writer, "cannot be written")
    assert list(out.iterdir()) == []


@every_writer
def test_file_that_appears_meanwhile_is_not_replaced(writer, whole, run, out, monkeypatch):
    files, fsync = whole(writer), os.fsync
    foreign = writer.path if writer.path in files else writer.path / "file"

    def appear(descriptor):
        fsync(descriptor)
        if not foreign.exists():
            restore({foreign: b"of another program"})

    monkeypatch.setattr(os, "fsync", appear)
    outcome = run(*writer.arguments)
    assert_refused(outcome, writer, "appeared meanwhile", str(writer.partial))
    assert writer.without_rows(contents(out)) == {foreign: b"of another program"} | unfinished(writer, files)
    monkeypatch.undo()


@every_writer
def test_two_at_once_make_one_whole_file(writer, whole, starter, workplace, out):
    files, go = whole(writer), workplace / "go"
    variables = {"MRLSPK_CACHE_DIR": str(workplace / "cache")}
    first = starter.fork("mrlspk", *writer.arguments, cwd=workplace, fault="waits_in_writing", **variables)
    until(writer.partial.exists, "nothing is written")
    second = starter.fork("mrlspk", *writer.arguments, cwd=workplace, **variables)
    assert second.exit_code() == 1
    assert "another process is writing it" in second.stderr
    go.touch()
    assert first.exit_code() == 0, first.stderr
    go.unlink()
    assert contents(out) == files
    assert not writer.partial.exists()


@pytest.mark.parametrize("target", ["embeddings.npz", "scores.npz", "calibration.json", "rotated.pt", "trials.txt"])
def test_claim_of_another_process_is_found_before_any_work(target, run, workplace, tmp_path, monkeypatch):
    (writer,) = (each for each in WRITERS if each.target == target)
    for model in ("model.pt", "single.pt"):
        shutil.copy(workplace / model, tmp_path)
    (tmp_path / "corpus").mkdir()
    monkeypatch.chdir(tmp_path)  # without recordings or trials
    with claimed_file(writer.path, force=False):
        assert_refused(run(*writer.arguments), writer, "another process is writing it")


@every_writer
def test_killed_writer_leaves_its_partial_file_only(writer, whole, starter, workplace, run, out):
    files = whole(writer)
    killed = starter.fork(
        "mrlspk", *writer.arguments, cwd=workplace, fault="killed_in_writing", MRLSPK_CACHE_DIR=str(workplace / "cache")
    )
    assert killed.exit_code() == -signal.SIGKILL
    left = {path for path in out.iterdir() if path.name != "rotated.trials.txt.partial"}  # claimed, with nothing in it
    assert left == {writer.partial, writer.unnamed}
    outcome = run(*writer.arguments, *(["--resume"] if writer.resumes else []))
    assert outcome.exit_code == 0, outcome.stderr
    assert f"{writer.unnamed}: left by a process that was killed" in outcome.stderr
    assert contents(out) == files
    assert not list(out.glob("*.partial"))


@pytest.mark.parametrize("stdout", ["/dev/full", None], ids=["full", "closed"])
@every_writer
def test_stdout_that_cannot_be_written_loses_no_file(writer, stdout, whole, starter, workplace, out):
    files = whole(writer)
    variables = {"MRLSPK_CACHE_DIR": str(workplace / "cache")}
    command = starter.fork("mrlspk", *writer.arguments, cwd=workplace, streams={1: stdout}, **variables)
    assert command.exit_code() == 1
    assert "stdout: " in command.stderr
    assert contents(out) == files


@every_owner
@pytest.mark.parametrize("share", [0, 0.5, 0.99])
def test_run_or_model_on_a_full_disk_leaves_whole_files(writer, share, whole, run, out):
    limit = int(max(map(len, whole(writer).values())) * share)
    with full_disk.files_up_to(limit):
        outcome = run(*writer.arguments)
    assert outcome.exit_code == 1
    assert "cannot be written: File too large" in outcome.stderr
    assert not list(out.rglob("*.partial"))
    for path in out.rglob("*.json"):
        json.loads(path.read_bytes())


@every_owner
def test_killed_run_or_model_leaves_nothing_after_the_next(writer, whole, starter, workplace, run, out):
    whole(writer)
    killed = starter.fork("mrlspk", *writer.arguments, cwd=workplace, fault="killed_in_writing")
    assert killed.exit_code() == -signal.SIGKILL
    assert len(list(out.rglob("*.partial"))) == 1
    outcome = run(*writer.arguments)
    assert outcome.exit_code == 0, outcome.stderr
    assert not list(out.rglob("*.partial"))


@every_owner
def test_run_or_model_in_a_read_only_folder_is_refused(writer, whole, run, out):
    whole(writer)
    with full_disk.read_only(out):
        outcome = run(*writer.arguments)
    assert outcome.exit_code in {1, 4}
    assert "out/" in outcome.stderr
    assert "Permission denied" in outcome.stderr
    assert list(out.iterdir()) == []


def unfinished(writer, files):
    """Return the files that a command writes as those of its partial."""
    return {writer.unnamed / path.relative_to(writer.path): content for path, content in files.items()}
