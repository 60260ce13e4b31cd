"""Extract a tiny corpus in child processes that a test can hold or kill at any moment."""

import io
import logging
import multiprocessing
import os
import signal
import sys
from pathlib import Path

import numpy as np
import torch

from factories import tiny_encoder
from mrlspk.data.augmentation.noise import GaussianNoise
from mrlspk.data.augmentation.steps import Augmentation
from mrlspk.data.augmentation.volume import Volume
from mrlspk.data.corpora.recipe_registry import scan_corpus
from mrlspk.data.crops.dataset import CropDataset
from mrlspk.feature_store import shards
from mrlspk.feature_store.extraction import ensure_crops

ROWS_PER_SHARD = 4
OPTIONS = {"crops_per_item": 8, "dtype": "float16", "batch_size": 2, "num_workers": 0, "precision": "fp32"}


def tiny_dataset(root):
    augmentation = Augmentation((GaussianNoise(0.5, (5.0, 20.0)), Volume(0.5, (-6.0, 6.0))))
    return CropDataset(scan_corpus(root), crop_seconds=0.1, seed=1, augmentation=augmentation)


def small_shards(encoder, dtype="float16"):
    """Return the size of shards of four vectors."""
    return ROWS_PER_SHARD * encoder.head.linear.in_features * torch.finfo(getattr(torch, dtype)).bits // 8


def contents(folder):
    """Return every file of a folder of stores except the locks."""
    files = (path for path in folder.rglob("*") if path.is_file() and ".locks" not in path.parts)
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def every_row(store):
    return store.rows(np.arange(store.n_rows))


def pooled_alone(encoder, waveform):
    with torch.inference_mode():
        return encoder.eval().pooled(waveform[None])[0]


class Child:
    """An extraction that reports each moment and waits until the test lets it continue."""

    def __init__(self, root, folder, **options):
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(["mrlspk.feature_store.extraction", "extraction_processes"])
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=_extract, args=(theirs, root, folder, OPTIONS | options))
        self._process.start()
        theirs.close()
        self.moment = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._process.kill()
        self._process.join()
        self._process.close()
        self._connection.close()

    def next_moment(self):
        """Let it continue; return its next moment, None at its end."""
        if self.moment is not None:
            self.resume()
        try:
            self.moment = self._connection.recv()
        except EOFError:
            self.moment = None
        return self.moment

    def resume(self):
        self._connection.send(None)

    def send(self, number):
        """Send a signal; return the exit code."""
        os.kill(self._process.pid, number)
        return self.exit_code()

    def exit_code(self):
        self._process.join()
        return self._process.exitcode


def _extract(connection, root, folder, options):
    """Run in the child; moments are: batch pooled, file half written, file written but not in place, waiting."""

    def tell(moment):
        connection.send(moment)
        connection.recv()

    logging.getLogger("mrlspk").addHandler(_Waiting(tell))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # as the command line does
    torch.set_num_threads(1)
    _tell_of_writing(tell)
    encoder = tiny_encoder((4, 8))
    shards.SHARD_BYTES = small_shards(encoder)
    encoder.pool.register_forward_hook(lambda *_: tell("pooled"))
    ensure_crops(encoder, tiny_dataset(root), folder=folder, **options)


class _Waiting(logging.Handler):
    """Report that a child waits for the lock."""

    def __init__(self, tell):
        super().__init__(logging.WARNING)
        self._tell = tell

    def emit(self, record):
        if (moment := record.getMessage().partition(" ")[0]) == "waiting":
            self._tell(moment)


def _tell_of_writing(tell):
    """Write every file in two halves, and report it before it is moved in place."""
    plain_open, plain_sync = Path.open, os.fsync

    class Halved(io.FileIO):
        def write(self, data):
            view = memoryview(data).cast("B")
            middle = len(view) // 2
            written = super().write(view[:middle])
            tell("half written")
            return written + super().write(view[middle:])

    def open_halved(path, mode="r", *arguments, **options):
        return Halved(path, "wb") if mode == "wb" else plain_open(path, mode, *arguments, **options)

    def sync(descriptor):
        tell("not in place")
        plain_sync(descriptor)

    Path.open, os.fsync = open_halved, sync
