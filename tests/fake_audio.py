"""Recordings, detectors and a model whose every sample and window is counted by hand."""

from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np

from mrlspk.data.audio.source import FileSource
from mrlspk.errors import DataError
from mrlspk.inference import decoding
from mrlspk.inference.recording import Recording


@dataclass
class FakeAudio:
    """Recordings by name that `decoding.open_audio` opens; ``opened`` tells how often.

    Attributes:
        samples: (samples,) by name.
        warnings: Of the reader, by name.
        ends: Samples of the n-th reading of a recording that come before an error, by (name, n).
    """

    samples: dict = field(default_factory=dict)
    warnings: dict = field(default_factory=dict)
    ends: dict = field(default_factory=dict)
    opened: list = field(default_factory=list)
    block: int = 7

    def install(self, monkeypatch):
        """Open these recordings in place of files."""
        monkeypatch.setattr(decoding, "open_audio", self.open)
        return self

    def add(self, name, samples, *, warnings=(), **recording):
        """Add a recording, and return it."""
        self.samples[name], self.warnings[name] = np.asarray(samples, np.float32), warnings
        return Recording(FileSource(name), **recording)

    @contextmanager
    def open(self, source, *, sample_rate):  # noqa: ARG002 - the samples are given at every rate
        """Yield a reader."""
        name = str(source)
        self.opened.append(name)
        yield FakeReader(self.samples[name], self.warnings[name], self.block, self._end(name))

    def _end(self, name):
        return self.ends.get((name, self.opened.count(name)))


class FakeReader:
    """Gives samples in blocks, up to an end where they cannot be read."""

    def __init__(self, samples, warnings, block, end):
        self._samples, self._warnings, self._block, self._end = samples, warnings, block, end
        self._is_done = False

    @property
    def warnings(self):
        """Complete after the last block."""
        assert self._is_done
        return self._warnings

    def blocks(self):
        """Yield the samples."""
        for start in range(0, len(self._samples), self._block):
            if self._end is not None and start >= self._end:
                raise DataError("cut short", "fake")
            yield self._samples[start : start + self._block].copy()
        self._is_done = True


class FakeDetector:
    """Finds the same intervals in every recording, and remembers what it heard."""

    name, version = "fake", "fake-1"

    def __init__(self, *intervals):
        self._intervals, self.heard = np.array(intervals, np.int64).reshape(-1, 2), []

    def search(self):
        """Begin with a recording."""
        self.heard.append([])
        return self

    def add(self, block):
        """Take samples."""
        self.heard[-1] += block.tolist()

    def intervals(self):
        """Return the intervals given."""
        return self._intervals


class FirstAndLast:
    """A model that embeds the first and the last sample of a waveform, and notes the shapes of its batches."""

    dims, embed_dim, sample_rate, min_samples, fingerprint = (2,), 2, 16_000, 2, "fake"
    runtime, concurrency = {"fake": "1"}, 1

    def __init__(self):
        self.shapes = []

    def embed(self, waveforms):
        """Map (batch, samples) to (batch, 2)."""
        self.shapes.append(waveforms.shape)
        return waveforms[:, [0, -1]]
