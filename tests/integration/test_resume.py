"""Train a run with ``mrlspk train --resume`` exactly as if uninterrupted, and refuse what cannot resume."""

import gzip
import shutil
import zipfile
from pathlib import Path

import pytest
import torch

from compared_runs import differences, load, logged
from mrlspk.training.step import Stepper

pytestmark = pytest.mark.slow

EVERY_STEP = "--set", "logging.save_every_steps=1"


class CrashError(Exception):
    """What ends a run in the middle of a step."""


@pytest.fixture
def crash_at(monkeypatch):
    """Let runs crash within the n-th step that they take; None lets them be."""
    step = Stepper.step

    def set_up(number):
        taken = []

        def crash(self, group, **options):
            taken.append(True)
            if len(taken) == number:
                raise CrashError
            return step(self, group, **options)

        monkeypatch.setattr(Stepper, "step", crash)

    return set_up


@pytest.mark.parametrize(
    "settings",
    [
        (),
        ("loss.n_dims_per_step=1", "training.accumulation_steps=2", "training.optimizer=SGD"),
        ("loss.margin_full_epoch=2", "training.freeze_backbone_epochs=1", "data.sampler=shuffle"),
    ],
)
@pytest.mark.usefixtures("in_one_thread")
def test_run_crashed_at_any_step_matches_uninterrupted_run(train, checkpoints, crash_at, settings):
    """Dropout, augmentation, accumulation, drawn widths, a rising margin, a backbone freed on the way."""
    sets = [part for text in settings for part in ("--set", text)]
    assert train(*EVERY_STEP, *sets, name="whole").exit_code == 0
    n_steps = load(checkpoints / "whole" / "last.pt")["progress"]["step"]
    for number in (1, 2, 2, 3):  # steps from one crash to the next
        crash_at(number)
        with pytest.raises(CrashError):
            train(*EVERY_STEP, *sets, "--resume", "auto", name="crashed")
    assert load(checkpoints / "crashed" / "last.pt")["progress"]["step"] == 4 < n_steps
    crash_at(None)
    outcome = train(*EVERY_STEP, *sets, "--resume", "auto", name="crashed")
    assert outcome.exit_code == 0, outcome.stderr
    assert differences(checkpoints / "whole", checkpoints / "crashed") == []


@pytest.mark.usefixtures("in_one_thread")
def test_files_of_a_crashed_run_are_equal_byte_for_byte(train, crash_at, monkeypatch, tmp_path):
    """What was read from a file, and what was not, makes no difference to the next file."""
    files = []
    for folder, n_crashes in ((tmp_path / "whole", 0), (tmp_path / "crashed", 2)):
        folder.mkdir()
        shutil.copy(tmp_path / "tiny.yaml", folder)
        monkeypatch.chdir(folder)
        for _ in range(n_crashes):
            crash_at(3)
            with pytest.raises(CrashError):
                train(*EVERY_STEP, "--resume", "auto", name="one")
        crash_at(None)
        assert train(*EVERY_STEP, "--resume", "auto", name="one").exit_code == 0
        files.append({path.name: path.read_bytes() for path in (folder / "checkpoints" / "one").glob("[!m]*")})
    assert len(files[0]) == len(files[1]) > 5
    assert [name for name in files[0] if files[0][name] != files[1][name]] == []


def test_steps_after_the_last_checkpoint_are_repeated_and_logged_once(train, checkpoints, crash_at):
    every_second = "--set", "logging.save_every_steps=2"
    assert train(*every_second, name="whole").exit_code == 0
    crash_at(6)
    with pytest.raises(CrashError):
        train(*every_second, name="crashed")
    assert load(checkpoints / "crashed" / "last.pt")["progress"]["step"] == 4
    assert [entry["step"] for entry in logged(checkpoints / "crashed") if entry["event"] == "step"][-1] == 5
    crash_at(None)
    assert train(*every_second, "--resume", "auto", name="crashed").exit_code == 0
    assert differences(checkpoints / "whole", checkpoints / "crashed") == []


def test_run_that_failed_in_validation_repeats_no_step(train, checkpoints, monkeypatch):
    from mrlspk.training import fit

    assert train(name="whole").exit_code == 0
    with monkeypatch.context() as patched:
        patched.setattr(fit, "note_best", lambda *_, **__: (_ for _ in ()).throw(CrashError()))
        with pytest.raises(CrashError):
            train(name="failed")
    progress = load(checkpoints / "failed" / "last.pt")["progress"]
    assert (progress["epoch"], progress["step"], progress["n_crops"]) == (0, 3, 12)
    assert train("--resume", "auto", name="failed").exit_code == 0
    assert differences(checkpoints / "whole", checkpoints / "failed") == []


def test_checkpoint_is_due_by_time_alone(train, checkpoints, crash_at):
    crash_at(3)
    with pytest.raises(CrashError):
        train("--set", "logging.save_every_minutes=1e-9", name="timed")
    assert load(checkpoints / "timed" / "last.pt")["progress"]["step"] == 2
    crash_at(3)
    with pytest.raises(CrashError):
        train("--set", "logging.save_every_minutes=60", name="hourly")
    assert load(checkpoints / "hourly" / "last.pt")["progress"]["step"] == 0


def test_run_that_failed_in_its_first_step_is_resumed(train, checkpoints, crash_at):
    assert train(name="whole").exit_code == 0
    crash_at(1)
    with pytest.raises(CrashError):
        train(name="failed")
    crash_at(None)
    assert train("--resume", "auto", name="failed").exit_code == 0
    assert differences(checkpoints / "whole", checkpoints / "failed") == []


def test_resume_matches_uninterrupted_run(run, train, tmp_path):
    assert train(name="whole").exit_code == 0
    whole = load(tmp_path / "checkpoints" / "whole" / "last.pt")
    # The schedule depends on the number of epochs, so the first run is stopped rather than configured to end early.
    second = load(tmp_path / "checkpoints" / "whole" / "epoch-001.pt")
    resumed = tmp_path / "checkpoints" / "resumed"
    resumed.mkdir()
    torch.save(second, resumed / "last.pt")
    best = f"epoch-{second['progress']['best_epoch']:03}.pt"
    shutil.copy(tmp_path / "checkpoints" / "whole" / best, resumed / "best.pt")
    outcome = run("train", "--resume", resumed, "--json")  # its own configuration holds
    assert outcome.exit_code == 0, outcome.stderr
    again = load(resumed / "last.pt")
    for part in ("model", "criterion"):
        assert all(torch.equal(again[part][name], value) for name, value in whole[part].items())
    for key, state in whole["optimiser"]["state"].items():
        assert all(torch.equal(again["optimiser"]["state"][key][name], value) for name, value in state.items())
    assert again["progress"] == whole["progress"]
    assert again["validation"] == whole["validation"]


def test_resume_with_another_configuration_lists_the_changes_only(run, train):
    assert train(name="one").exit_code == 0
    for outcome in (
        train("--resume", "auto", "--set", "training.batch_size=2", name="one"),
        run("train", "--resume", "auto", "--set", "training.batch_size=2"),
    ):
        assert outcome.exit_code == 1
        assert "the configuration changed: training.batch_size was 4, now 2\n" in outcome.stderr


@pytest.mark.process
def test_resume_accepts_another_device_and_number_of_workers(run, train, tmp_path):
    assert train(name="one").exit_code == 0
    rewind(tmp_path / "checkpoints" / "one", "epoch-001.pt")
    outcome = run("train", "--resume", "auto", "--device", "cpu", "--set", "data.num_workers=1", "--json")
    assert outcome.exit_code == 0, outcome.stderr
    config = load(tmp_path / "checkpoints" / "one" / "last.pt")["config"]
    assert (config["hardware"]["device"], config["data"]["num_workers"]) == ("cpu", 1)


def rewind(run_dir, name):
    """Leave a run as a kill after the epoch of checkpoint ``name`` would."""
    epoch = load(run_dir / name)["progress"]["epoch"]
    best_epoch = load(run_dir / name)["progress"]["best_epoch"]
    kept = {f"epoch-{number:03}.pt": (run_dir / f"epoch-{number:03}.pt").read_bytes() for number in (epoch, best_epoch)}
    for path in run_dir.glob("*.pt"):
        path.unlink()
    (run_dir / "last.pt").write_bytes(kept[name])
    (run_dir / "best.pt").write_bytes(kept[f"epoch-{best_epoch:03}.pt"])


def test_changed_corpus_is_listed_and_needs_allow_changes(run, train, tmp_path, tiny_corpus):
    assert train(name="one").exit_code == 0
    rewind(tmp_path / "checkpoints" / "one", "epoch-002.pt")
    trained = (path for path in tiny_corpus.root.rglob("*.wav"))
    speakers = {line.split("/")[0] for line in ids_of(tmp_path / "checkpoints" / "one")}
    gone = next(path for path in sorted(trained) if path.parts[-3] in speakers)
    gone.unlink()
    outcome = run("train", "--resume", "auto")
    assert outcome.exit_code == 1
    name = gone.relative_to(tiny_corpus.root).as_posix()
    assert f"the corpus is not the one that it was trained on: 1 utterances removed ({name})" in outcome.stderr
    assert "--allow-changes" in outcome.stderr
    allowed = run("train", "--resume", "auto", "--allow-changes", "--json")
    assert allowed.exit_code == 0, allowed.stderr
    assert f"another corpus: 1 utterances removed ({name})" in allowed.stderr
    assert name not in ids_of(tmp_path / "checkpoints" / "one")


def ids_of(run_dir):
    return gzip.decompress((run_dir / "corpus.txt.gz").read_bytes()).decode().splitlines()


def test_changed_configuration_needs_allow_changes(train, checkpoints):
    assert train(name="one").exit_code == 0
    longer = "--resume", "auto", "--set", "training.num_epochs=4"
    outcome = train(*longer, name="one")
    assert outcome.exit_code == 1
    assert "training.num_epochs was 3, now 4" in outcome.stderr
    assert "--allow-changes" in outcome.stderr
    allowed = train(*longer, "--allow-changes", name="one")
    assert allowed.exit_code == 0, allowed.stderr
    assert "resumed with a changed configuration: training.num_epochs was 3, now 4" in allowed.stderr
    last = load(checkpoints / "one" / "last.pt")
    assert (last["progress"]["epoch"], last["progress"]["step"]) == (4, 12)
    assert last["config"]["training"]["num_epochs"] == 4


def test_a_changed_learning_rate_holds_in_the_resumed_run(train, checkpoints):
    assert train(name="one").exit_code == 0
    lower = "--set", "training.learning_rate=0.001", "--set", "training.num_epochs=4"
    outcome = train("--resume", "auto", "--allow-changes", *lower, name="one")
    assert outcome.exit_code == 0, outcome.stderr
    groups = load(checkpoints / "one" / "last.pt")["optimiser"]["param_groups"]
    assert {group["peak_lr"] for group in groups} == {0.001, 0.01}  # the classifier weights have ten times the rate


def test_changes_that_do_not_fit_the_model_are_refused_without_loss(train, checkpoints):
    assert train(name="one").exit_code == 0
    before = (checkpoints / "one" / "last.pt").read_bytes()
    outcome = train("--resume", "auto", "--allow-changes", "--set", "data.speed_perturbation=[]", name="one")
    assert outcome.exit_code == 1
    assert "training cannot resume from it" in outcome.stderr
    assert (checkpoints / "one" / "last.pt").read_bytes() == before


def test_same_crops_a_step_in_other_batches_need_allow_changes(train, checkpoints, crash_at):
    crash_at(6)
    with pytest.raises(CrashError):
        train(*EVERY_STEP, name="one")
    crash_at(None)
    halves = "--set", "training.batch_size=2", "--set", "training.accumulation_steps=2"
    allowed = train(*EVERY_STEP, *halves, "--resume", "auto", "--allow-changes", name="one")
    assert allowed.exit_code == 0, allowed.stderr
    steps = [entry["step"] for entry in logged(checkpoints / "one") if entry["event"] == "step"]
    assert steps == [*range(1, 10)]


def test_allow_changes_without_resume_is_refused(train):
    outcome = train("--allow-changes", name="one")
    assert (outcome.exit_code, "--resume" in outcome.stderr) == (2, True)


def test_resume_from_an_earlier_epoch_is_refused(run, train, tmp_path):
    assert train(name="one").exit_code == 0
    run_dir = tmp_path / "checkpoints" / "one"
    before = {path.name: path.read_bytes() for path in run_dir.glob("*.pt")}
    outcome = run("train", "--resume", run_dir / "epoch-001.pt")
    assert outcome.exit_code == 1
    assert "advanced to epoch 3" in outcome.stderr
    assert before == {path.name: path.read_bytes() for path in run_dir.glob("*.pt")}


def test_run_that_another_process_trains_is_refused(train, checkpoints, monkeypatch):
    from mrlspk.files import one_at_a_time
    from mrlspk.training.checkpoints import run_folder

    assert train("--set", "training.num_epochs=1", name="one").exit_code == 0
    before = {path.name: path.read_bytes() for path in (checkpoints / "one").iterdir()}
    monkeypatch.setattr(run_folder, "LOCK_PATIENCE_SECONDS", 0.05)
    for name in ("one", "two"):  # one that resumes, and one that would start anew
        with one_at_a_time(checkpoints / ".locks" / f"{name}.lock", on_wait=lambda: None):
            outcome = train("--resume", "auto", "--set", "training.num_epochs=1", name=name)
        assert outcome.exit_code == 1
        assert "another process is training this run" in outcome.stderr
    assert before == {path.name: path.read_bytes() for path in (checkpoints / "one").iterdir()}
    assert not (checkpoints / "two").exists()
    assert train("--resume", "auto", "--set", "training.num_epochs=1", name="two").exit_code == 0


@pytest.fixture
def files_read(monkeypatch):
    """Return the names of the checkpoints that are loaded, and of those whose checksums are verified."""
    loaded, verified = [], []
    load_file, verify = torch.load, zipfile.ZipFile.testzip

    def count_load(path, **options):
        loaded.append(Path(path).name)
        return load_file(path, **options)

    def count_verify(archive):
        verified.append(Path(archive.filename).name)
        return verify(archive)

    monkeypatch.setattr(torch, "load", count_load)
    monkeypatch.setattr(zipfile.ZipFile, "testzip", count_verify)
    return loaded, verified


def test_resume_reads_and_verifies_the_checkpoint_once(train, files_read):
    assert train("--set", "training.num_epochs=1", name="one").exit_code == 0
    for names in files_read:
        names.clear()
    assert train("--set", "training.num_epochs=1", "--resume", "auto", name="one").exit_code == 0
    assert files_read == (["last.pt", "best.pt"], ["last.pt", "best.pt"])  # the best is read for the report


def test_checkpoint_replaced_before_the_lock_is_held_is_read_again(train, checkpoints, files_read, monkeypatch):
    from mrlspk.workflows import train as workflow

    assert train(name="one").exit_code == 0
    shutil.copy(checkpoints / "one" / "epoch-002.pt", checkpoints / "one" / "last.pt")
    find_run = workflow.find_run

    def replace_last(*arguments):  # as the process does that has the lock until now
        shutil.copy(checkpoints / "one" / "epoch-003.pt", checkpoints / "one" / "newer.pt")
        (checkpoints / "one" / "newer.pt").replace(checkpoints / "one" / "last.pt")
        return find_run(*arguments)

    monkeypatch.setattr(workflow, "find_run", replace_last)
    files_read[0].clear()
    outcome = train("--resume", "auto", name="one")
    assert outcome.exit_code == 0, outcome.stderr
    assert files_read[0] == ["last.pt", "last.pt", "best.pt"]
    assert [entry["step"] for entry in logged(checkpoints / "one") if entry["event"] == "step"] == [*range(1, 10)]
