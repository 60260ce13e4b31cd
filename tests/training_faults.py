"""Faults and probes that are installed in a process of a run before it starts, by rank."""

import os
import signal
import time
from pathlib import Path


def bug_in_second():
    """Let the second process run into an exception that is no message of ours, in its third step."""
    _in_step(3, rank=1, do=_raise_bug)


def bad_file_for_second():
    """Let the second process find a file that cannot be read, in its second batch."""
    from mrlspk.data.crops.dataset import CropDataset
    from mrlspk.errors import DataError

    plain, taken = CropDataset.__getitem__, []

    def fetch(self, key):
        taken.append(key)
        if os.environ["RANK"] == "1" and len(taken) > 2:
            raise DataError("is no audio", self.source_of(key.index).path, "Take it out of the corpus.")
        return plain(self, key)

    CropDataset.__getitem__ = fetch


def crash_in_fifth_step():
    """Kill each process within its fifth step."""
    for rank in (0, 1):
        _in_step(5, rank=rank, do=lambda: os._exit(9))


def crash_in_validation():
    """Kill each process before it validates."""
    from mrlspk.training.validation import AudioValidator

    AudioValidator.validate = lambda *_: os._exit(9)


def note_crops():
    """Write down what each process decodes to train on, and what to validate on."""
    from mrlspk.data.crops.dataset import CropDataset
    from mrlspk.training import validation

    rank = os.environ.get("RANK", "alone")
    plain, embed = CropDataset.__getitem__, validation.embed_recordings

    def fetch(self, key):
        _note(f"trained-{rank}.txt", f"{key.epoch} {key.index}")
        return plain(self, key)

    def embed_noted(backend, recordings, **options):
        for recording in recordings:
            _note(f"validated-{rank}.txt", recording)
        return embed(backend, recordings, **options)

    CropDataset.__getitem__, validation.embed_recordings = fetch, embed_noted


def _in_step(number, *, rank, do):
    from mrlspk.training.step import Stepper

    plain, taken = Stepper.step, []

    def step(self, group, **options):
        taken.append(True)
        if os.environ["RANK"] == str(rank) and len(taken) == number:
            do()
        return plain(self, group, **options)

    Stepper.step = step


def _raise_bug():
    raise ZeroDivisionError("a bug in the second process")


def _note(name, line):
    with Path(name).open("a") as file:
        file.write(f"{line}\n")


def no_corpus_for_second():
    """Let the second process not find the corpus."""
    from mrlspk.errors import DataError
    from mrlspk.training import plan

    def build(*_arguments, **_options):
        raise DataError("no such folder", "nowhere", "Check the path.")

    if os.environ["RANK"] == "1":
        plan.build_training_data = build


def full_disk_at_second_save():
    """Let the disk be full when a checkpoint is written for the second time."""
    from mrlspk.errors import MrlspkError
    from mrlspk.training.checkpoints import saving

    plain, written = saving.save_checkpoint, []

    def save(path, entries):
        written.append(path)
        if len(written) == 2:
            raise MrlspkError("cannot be written: no space left on device", path, "Make room.")
        plain(path, entries)

    saving.save_checkpoint = save


def killed_in_writing():
    """Kill this process when it has written a file that has no name yet."""
    os.fsync = lambda _descriptor: os.kill(os.getpid(), signal.SIGKILL)


def waits_in_writing():
    """Wait for the file ``go`` before a file that is written gets its name."""
    fsync = os.fsync

    def wait(descriptor):
        while not Path("go").exists():
            time.sleep(0.01)
        fsync(descriptor)

    os.fsync = wait


def killed_in_second_shard():
    """Kill the process while it writes the second of its shards that are missing."""
    from mrlspk.data.shards import packing

    plain, begun = packing.write_shard, []

    def write(files, samples, **options):
        begun.append(files)
        if len(begun) == 2:
            options["on_sample"] = lambda: os.kill(os.getpid(), signal.SIGKILL)
        plain(files, samples, **options)

    packing.write_shard = write
