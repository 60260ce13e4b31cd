"""Read parts of noise recordings, and channels of room responses, from a folder of audio."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np

from mrlspk.data.audio import open_audio, random_crop
from mrlspk.data.audio.source import AudioSource, ChannelSource, FileSource
from mrlspk.data.augmentation.effects import Samples


class Recordings(Protocol):
    """Recordings by index; picklable, and as good as shared between processes."""

    @property
    def names(self) -> Sequence[str]:
        """Path of each, from the name of its folder on."""

    def crop(self, index: int, n_samples: int, rng: np.random.Generator) -> Samples:
        """Return (n_samples,) from a random place of the average of all channels; a shorter recording is repeated.

        Raises:
            DataError: If it cannot be read.
        """

    def channel(self, index: int, rng: np.random.Generator) -> Samples:
        """Return one whole channel, drawn if there are several.

        Raises:
            DataError: If it cannot be read.
        """

    def listing(self) -> Iterator[tuple[str, AudioSource]]:
        """Yield name and source of each recording; together they tell whether recordings are the same."""


class FolderRecordings:
    """Audio files of a folder.

    Args:
        folder: The folder.
        paths: Relative to it, with forward slashes.
    """

    def __init__(self, folder: Path, paths: Sequence[str]) -> None:
        self._folder = folder
        # Bytes, not objects: counting references to 60,000 of them would copy the memory that workers share.
        self._paths = np.array([path.encode() for path in paths])

    @property
    def names(self) -> Sequence[str]:
        """Path of each, from the name of its folder on."""
        prefix = self._folder.absolute().name
        return tuple(f"{prefix}/{path.decode()}" for path in self._paths)

    def crop(self, index: int, n_samples: int, rng: np.random.Generator) -> Samples:
        """Return (n_samples,) from a random place of the average of all channels; a shorter recording is repeated."""
        samples: Samples = random_crop(self._source(index), n_samples, rng).numpy()
        return samples

    def channel(self, index: int, rng: np.random.Generator) -> Samples:
        """Return one whole channel, drawn if there are several."""
        source = self._source(index)
        with open_audio(source) as reader:
            if reader.channels == 1:
                return np.concatenate([*reader.blocks()])
            return _read_channel(source, int(rng.integers(reader.channels)))

    def channels(self, index: int) -> list[Samples]:
        """Return all channels.

        Raises:
            DataError: If it cannot be read.
        """
        source = self._source(index)
        with open_audio(source) as reader:
            if reader.channels == 1:
                return [np.concatenate([*reader.blocks()])]
            return [_read_channel(source, number) for number in range(reader.channels)]

    def listing(self) -> Iterator[tuple[str, AudioSource]]:
        """Yield path and file of each recording."""
        for index, path in enumerate(self._paths):
            yield path.decode(), self._source(index)

    def _source(self, index: int) -> FileSource:
        return FileSource(str(self._folder / self._paths[index].decode()))


def _read_channel(source: AudioSource, number: int) -> Samples:
    with open_audio(ChannelSource(source, number)) as reader:
        return np.concatenate([*reader.blocks()])
