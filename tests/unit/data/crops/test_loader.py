import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

from mrlspk.config.data import DataConfig
from mrlspk.data.audio.source import list_tar
from mrlspk.data.augmentation.build import build_augmentation
from mrlspk.data.augmentation.noise import RecordedNoise
from mrlspk.data.augmentation.steps import Augmentation
from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.data.crops import loader as module
from mrlspk.data.crops.dataset import CropDataset
from mrlspk.data.crops.loader import WatchedLoader, count_workers
from mrlspk.data.crops.sampler import RankBatches, ShuffleSampler
from mrlspk.data.manifest import Manifest, Utterance
from mrlspk.errors import DataError, MissingDependencyError, MrlspkError

pytestmark = pytest.mark.process

MARKED = "b/session/2.wav"
SOON = 0.3  # seconds in which a signal has surely come


@pytest.fixture
def corpus(tmp_path):
    for speaker in "abc":
        for name in "123":
            path = tmp_path / "corpus" / speaker / "session" / f"{name}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            soundfile.write(path, np.random.default_rng(ord(speaker)).normal(0, 0.1, 3_000), 16_000)
    return scan_corpus(tmp_path / "corpus")


class Faulty(CropDataset):
    """Does something else where it is to read the marked file."""

    def __init__(self, corpus, fault, **options):
        super().__init__(corpus, crop_seconds=0.1, seed=0, **options)
        self.fault = fault

    def _crop(self, source, speed, rng):
        if source.path == self.root / MARKED:
            self.fault()
        return super()._crop(source, speed, rng)


def batches_of(dataset, *, batch_size=3):
    return RankBatches(ShuffleSampler(len(dataset), seed=0), batch_size=batch_size)


def names_of(dataset, batch):
    return f"the batch has {len(batch)} utterances: {', '.join(dataset.utterance_id(key.index) for key in batch)}"


def loader_of(dataset, *, n_workers=2, batch_size=3, **options):
    return WatchedLoader(dataset, batches_of(dataset, batch_size=batch_size), num_workers=n_workers, **options)


def caught_by(loader):
    """Return the error of an iteration; all of its processes have ended."""
    before = {*multiprocessing.active_children()}
    with pytest.raises(MrlspkError) as caught:
        list(loader)
    assert {*multiprocessing.active_children()} <= before
    return caught.value


def kill_itself(number):
    return lambda: os.kill(os.getpid(), number)


def test_processes_give_the_batches_of_one(corpus):
    dataset = CropDataset(corpus, crop_seconds=0.1, seed=0)
    alone, shared_out = (list(loader_of(dataset, n_workers=n)) for n in (0, 2))
    assert len(alone) == len(shared_out) == len(loader_of(dataset)) == 3
    for (waveforms, classes), (other_waveforms, other_classes) in zip(alone, shared_out, strict=True):
        assert torch.equal(waveforms, other_waveforms)
        assert torch.equal(classes, other_classes)


def put_into_tar(corpus):
    """Return the corpus as members of one archive."""
    path = corpus.root.parent / "a.tar"
    with tarfile.open(path, "w") as tar:
        for each in corpus.utterances:
            tar.add(each.source.path, each.utterance_id)
    members = list_tar(path)
    return Manifest(path.parent, tuple(Utterance(each.name, each.name[0], each.name[0], each) for each in members))


@pytest.mark.parametrize("is_packed", [False, True], ids=["files", "tar"])
def test_any_number_of_processes_gives_the_same_crops(corpus, is_packed):
    augmentation = build_augmentation(DataConfig(musan_dataset=corpus.root / "a", musan_probability=0.7))
    broken = [corpus.utterances[index] for index in (3, 6, 7, 8)]  # one of b, all of c
    for each in broken:
        content = each.source.path.read_bytes()
        each.source.path.write_bytes(content[:1000])
    names = {each.utterance_id for each in broken}
    dataset = CropDataset(
        put_into_tar(corpus) if is_packed else corpus,
        crop_seconds=0.1,
        seed=0,
        augmentation=augmentation,
        max_unreadable=4,
    )
    found = []
    for n_workers in (0, 1, 4):
        loader = loader_of(dataset, n_workers=n_workers)
        found.append((list(loader), loader.unreadable))
        loader.close()
    for batches, unreadable in found[1:]:
        for batch, expected in zip(batches, found[0][0], strict=True):
            assert all(map(torch.equal, batch, expected))
        assert unreadable == found[0][1]
    assert {*found[0][1]} == names
    assert all("cut short" in message for message in found[0][1].values())
    assert 2 not in torch.cat([classes for _, classes in found[0][0]])
    dataset.max_unreadable = 3
    error = caught_by(loader_of(dataset, n_workers=2))
    assert error.where == "data.max_unreadable"
    assert error.what.count("cut short") == 4


def test_processes_that_are_kept_serve_the_next_epoch(corpus):
    pids = []

    class Noting(CropDataset):
        def __getitem__(self, key):
            waveform, _ = super().__getitem__(key)
            return waveform, os.getpid()

    loader = loader_of(Noting(corpus, crop_seconds=0.1, seed=0))
    for _ in range(2):
        pids.append({int(pid) for _, of_batch in loader for pid in of_batch})
    assert pids[0] == pids[1]
    assert len(pids[0]) == 2
    assert os.getpid() not in pids[0]


def test_process_that_hangs_over_a_file_is_an_error_with_the_file(corpus, tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)  # nobody ever writes: who opens it waits for ever
    error = caught_by(loader_of(Faulty(corpus, lambda: pipe.open("rb")), timeout_seconds=0.5))
    assert isinstance(error, DataError)
    assert error.where == str(corpus.root / MARKED)
    assert "delivered no batch for 0.5 s while reading this file" in error.what
    assert "data.worker_timeout_seconds" in error.fix


@pytest.mark.parametrize(
    ("name", "kind", "fix"),
    [
        ("SIGKILL", MrlspkError, "when memory runs out"),
        ("SIGBUS", MrlspkError, "enlarge /dev/shm"),
        ("SIGSEGV", DataError, "take it out of the corpus"),
        ("SIGABRT", DataError, "take it out of the corpus"),
    ],
)
def test_worker_killed_over_a_file_is_an_error_with_file_and_signal(corpus, name, kind, fix):
    error = caught_by(loader_of(Faulty(corpus, kill_itself(signal.Signals[name]))))
    assert type(error) is kind
    assert error.where == str(corpus.root / MARKED)
    assert f"a decoding process was killed by {name} while reading this file" in error.what
    assert fix in error.fix


def test_process_that_leaves_over_a_file_is_an_error_with_the_file(corpus):
    error = caught_by(loader_of(Faulty(corpus, lambda: os._exit(7))))
    assert (error.where, error.exit_code) == (str(corpus.root / MARKED), 3)
    assert "ended with exit code 7" in error.what


def test_augmenting_recordings_are_named_as_a_second_guess(corpus):
    noise = RecordedNoise(None, None, 0.5, {}, (3, 7))
    dataset = Faulty(corpus, kill_itself(signal.SIGSEGV), augmentation=Augmentation((noise,)))
    assert "noise or room-response file" in caught_by(loader_of(dataset)).fix


class PidAsClass(CropDataset):
    def __getitem__(self, key):
        return super().__getitem__(key)[0], os.getpid()


def test_death_between_two_batches_is_raised_at_the_next(corpus):
    dataset = PidAsClass(corpus, crop_seconds=0.1, seed=0)
    batches = iter(loader_of(dataset, batch_size=1, prefetch_factor=1, n_workers=1))
    _, pids = next(batches)
    time.sleep(SOON)  # until the worker has nothing to do
    os.kill(int(pids[0]), signal.SIGKILL)
    time.sleep(SOON)  # the news comes here, where nobody expects it
    error = caught_by(batches)
    assert "was killed by SIGKILL while reading no file" in error.what
    assert error.where == "data.num_workers"
    second = [*batches_of(dataset, batch_size=1)][1]
    assert error.what.endswith(names_of(dataset, second))


def test_death_between_two_epochs_is_raised_in_the_next(corpus):
    # torch looks after its workers every 5 s when it wakes them
    loader = loader_of(PidAsClass(corpus, crop_seconds=0.1, seed=0), n_workers=1, timeout_seconds=3)
    pid = int(next(iter(list(loader)))[1][0])
    os.kill(pid, signal.SIGKILL)
    time.sleep(SOON)
    assert "was killed by SIGKILL" in caught_by(loader).what


def test_death_of_a_worker_of_the_past_says_nothing_to_a_new_loader(corpus, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    caught_by(loader_of(Faulty(corpus, lambda: (tmp_path / "pipe").open("rb")), timeout_seconds=0.3))
    time.sleep(SOON)  # the process that hung has been killed
    assert len(list(loader_of(CropDataset(corpus, crop_seconds=0.1, seed=0)))) == 3


def test_death_over_a_later_batch_names_that_file_and_that_batch(corpus):
    """The first batch is still being read by the other process when the second batch kills its reader."""
    first, second = [*batches_of(CropDataset(corpus, crop_seconds=0.1, seed=0))][:2]

    class SlowThenDeadly(CropDataset):
        def __getitem__(self, key):
            if key == first[0]:
                time.sleep(20)
            if key == second[1]:
                os._exit(7)
            return super().__getitem__(key)

    dataset = SlowThenDeadly(corpus, crop_seconds=0.1, seed=0)
    error = caught_by(loader_of(dataset))
    assert error.where == str(dataset.source_of(second[1].index))
    assert error.what.endswith(names_of(dataset, second))


@pytest.mark.parametrize("has_a_batch", [True, False])
def test_process_that_is_stopped_is_an_error_with_its_batch(corpus, has_a_batch):
    """Taking over a batch that the process has ready needs its help, too."""
    dataset = (PidAsClass if has_a_batch else SlowPidAsClass)(corpus, crop_seconds=0.1, seed=0)
    batches = iter(loader_of(dataset, batch_size=1, prefetch_factor=1, n_workers=1, timeout_seconds=1.0))
    _, pids = next(batches)
    if has_a_batch:
        time.sleep(SOON)
    os.kill(int(pids[0]), signal.SIGSTOP)
    error = caught_by(batches)
    assert "delivered no batch for 1 s" in error.what
    second = [*batches_of(dataset, batch_size=1)][1]
    assert error.what.endswith(names_of(dataset, second))


class Slow(CropDataset):
    def __getitem__(self, key):
        time.sleep(SOON)
        return super().__getitem__(key)


class SlowPidAsClass(Slow):
    def __getitem__(self, key):
        return super().__getitem__(key)[0], os.getpid()


@pytest.mark.parametrize("timeout_seconds", [0, 20])
def test_batch_that_takes_longer_than_a_check_is_no_error(corpus, monkeypatch, timeout_seconds):
    monkeypatch.setattr(module, "CHECK_SECONDS", 0.05)
    loader = loader_of(Slow(corpus, crop_seconds=0.1, seed=0), timeout_seconds=timeout_seconds)
    assert len(list(loader)) == 3


def test_iteration_after_an_abandoned_one_has_all_its_batches(corpus, monkeypatch):
    monkeypatch.setattr(module, "CHECK_SECONDS", 0.05)
    dataset = Slow(corpus, crop_seconds=0.1, seed=0)
    loader = loader_of(dataset, batch_size=1, timeout_seconds=20)
    next(iter(loader))
    expected = [classes.tolist() for _, classes in loader_of(dataset, batch_size=1, n_workers=0)]
    assert [classes.tolist() for _, classes in loader] == expected


def test_iteration_after_an_error_starts_new_processes(corpus):
    loader = loader_of(Faulty(corpus, lambda: os._exit(7)))
    caught_by(loader)
    assert caught_by(loader).where == str(corpus.root / MARKED)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signals_to_all_of_a_run_are_left_to_the_main_process(corpus, number):
    batches = iter(loader_of(PidAsClass(corpus, crop_seconds=0.1, seed=0), batch_size=1, prefetch_factor=1))
    _, pids = next(batches)
    sender = subprocess.run([sys.executable, "-c", f"import os; os.kill({int(pids[0])}, {int(number)})"], check=True)
    assert sender.returncode == 0
    time.sleep(SOON)
    assert len(list(batches)) == 8


def raise_in_worker(error):
    def fault():
        raise error

    return fault


@pytest.mark.parametrize("kind", [DataError, MissingDependencyError])
def test_errors_of_a_worker_are_raised_without_its_traceback(corpus, kind):
    given = kind("what", "where", "fix")
    error = caught_by(loader_of(Faulty(corpus, raise_in_worker(given))))
    assert type(error) is kind
    assert str(error) == str(given) == "where: what\nfix"


def test_bug_in_a_worker_keeps_its_traceback(corpus):
    with pytest.raises(RuntimeError, match="in fault"):
        list(loader_of(Faulty(corpus, raise_in_worker(RuntimeError("a bug")))))


FULL_SHARED_MEMORY = """
import sys
from pathlib import Path
from mrlspk.data.crops.sampler import RankBatches
from mrlspk.data.crops.dataset import CropDataset
from mrlspk.data.crops.loader import WatchedLoader
from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.data.crops.sampler import ShuffleSampler
from mrlspk.errors import MrlspkError

dataset = CropDataset(scan_corpus(Path(sys.argv[1])), crop_seconds=1.0, seed=0)
batches = RankBatches(ShuffleSampler(len(dataset), seed=0), batch_size=3)
try:
    list(WatchedLoader(dataset, batches, num_workers=1, timeout_seconds=20))
except MrlspkError as error:
    print(type(error).__name__, error)
"""


def test_full_shared_memory_is_an_error_that_says_so(corpus):
    mount = ["unshare", "--mount", "sh", "-c", 'mount -t tmpfs -o size=100k tmpfs /dev/shm && exec "$@"', "sh"]
    if not shutil.which("unshare") or subprocess.run([*mount, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs a user who may mount a small /dev/shm of its own")
    command = [*mount, sys.executable, "-c", FULL_SHARED_MEMORY, str(corpus.root)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    said = " ".join(done.stdout.split())
    assert said.startswith("MrlspkError data.num_workers: the decoding processes failed: unable to")
    assert "shared memory" in said
    assert "enlarge /dev/shm" in said


HUNG_WORKER = """
import multiprocessing, sys
from pathlib import Path
from mrlspk.data.crops.sampler import RankBatches
from mrlspk.data.crops.dataset import CropDataset
from mrlspk.data.crops.loader import WatchedLoader
from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.data.crops.sampler import ShuffleSampler

class Hanging(CropDataset):
    def __getitem__(self, key):
        Path(sys.argv[2]).open("rb")

dataset = Hanging(scan_corpus(Path(sys.argv[1])), crop_seconds=0.1, seed=0)
loader = WatchedLoader(dataset, RankBatches(ShuffleSampler(len(dataset), seed=0), batch_size=3), num_workers=1)
batches = loader._begin()
print(multiprocessing.active_children()[0].pid, flush=True)
"""


def is_running(pid):
    stat = Path(f"/proc/{pid}/stat")
    return stat.exists() and stat.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.mark.skipif(not hasattr(signal, "sigtimedwait"), reason="needs Linux")
@pytest.mark.parametrize("end", ["", "input()"], ids=["main process exits", "main process is killed"])
def test_hung_process_ends_with_the_main_process(corpus, tmp_path, end):
    os.mkfifo(tmp_path / "pipe")
    command = [sys.executable, "-c", HUNG_WORKER + end, str(corpus.root), str(tmp_path / "pipe")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        worker = int(process.stdout.readline())
        time.sleep(SOON)  # until the worker hangs
        if end:
            assert is_running(worker)
            process.kill()
        process.wait(timeout=60)
    deadline = time.monotonic() + 30
    while is_running(worker):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_more_workers_than_cores_are_warned_of_once(corpus, caplog, monkeypatch):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    for n_workers in (3, 1000, 1000):
        loader_of(CropDataset(corpus, crop_seconds=0.1, seed=0), n_workers=n_workers)
    assert caplog.messages == ["data.num_workers: 1000 decoding processes share 3 cores; lower it"]


def test_workers_follow_the_cores_of_the_machine(monkeypatch):
    for cores, n_processes, expected in ((2, 1, 2), (64, 1, 8), (16, 4, 4), (2, 4, 1)):
        monkeypatch.setattr(module, "_usable_cores", lambda cores=cores: cores)
        assert count_workers(None, n_processes=n_processes) == expected
        assert count_workers(5, n_processes=n_processes) == 5
    assert count_workers(0) == 0
