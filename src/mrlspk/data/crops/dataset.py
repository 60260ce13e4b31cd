"""Cut training crops and label them with their classes."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import Dataset

from mrlspk.data.audio import SAMPLE_RATE, random_crop
from mrlspk.data.audio.source import AudioSource
from mrlspk.data.augmentation.speed import change_speed, samples_before_speed
from mrlspk.data.augmentation.steps import Augmentation
from mrlspk.data.crops.unreadable import Unreadable, check_unreadable, one_line
from mrlspk.data.manifest import Manifest
from mrlspk.data.shards.order import number_shards
from mrlspk.errors import DataError


@dataclass(frozen=True, slots=True)
class SampleKey:
    """Key of a sample: utterance at a speed, epoch, and how often the utterance came earlier in the epoch."""

    index: int
    epoch: int
    repeat: int


type Sample = tuple[Tensor, int, *tuple[Tensor, ...]]  # crop (samples,), class, extras of the augmentation


class CropDataset(Dataset[Sample]):
    """Random crops of one length; a sample depends on the seed and its `SampleKey` alone, in any process.

    Each speed makes a class of its own for every speaker: index ``i`` is utterance ``i % n_utterances`` at speed
    ``i // n_utterances``, and class ``c`` is speaker ``c % n_speakers`` at speed ``c // n_speakers``.

    Args:
        manifest: The corpus.
        crop_seconds: Length of a crop; shorter utterances are repeated, never padded.
        seed: Seed of every choice.
        speeds: Factors of tempo and pitch; 1 leaves the speech unchanged.
        augmentation: Augmentation of crops; None for none.
        sample_rate: Hz.
        fingerprint: Identifies the corpus; None for that of the manifest.
        max_unreadable: Files that may be unreadable; a crop of another utterance, of the same speaker if there is one,
            replaces each crop of theirs.
    """

    def __init__(
        self,
        manifest: Manifest,
        *,
        crop_seconds: float,
        seed: int,
        speeds: tuple[float, ...] = (1.0,),
        augmentation: Augmentation | None = None,
        sample_rate: int = SAMPLE_RATE,
        fingerprint: str | None = None,
        max_unreadable: int = 0,
    ) -> None:
        self.root = manifest.root
        self.speakers = manifest.speakers
        self.fingerprint = fingerprint or manifest.fingerprint
        self.n_samples = round(crop_seconds * sample_rate)
        self.seed = seed
        self.speeds = speeds
        self.augmentation = augmentation
        self.sample_rate = sample_rate
        self.max_unreadable = max_unreadable
        self._unreadable: dict[str, str] = {}
        # Columns, not objects: counting references to a million of them would copy the memory that workers share.
        self._utterances = manifest.utterances
        self._speaker_indices = manifest.speaker_index

    @property
    def n_classes(self) -> int:
        """Speakers times speeds."""
        return len(self.speakers) * len(self.speeds)

    @property
    def classes(self) -> NDArray[np.int64]:
        """Class of every index, (len,)."""
        shifts = np.arange(len(self.speeds), dtype=np.int64) * len(self.speakers)
        classes: NDArray[np.int64] = np.add.outer(shifts, self._speaker_indices).ravel()
        return classes

    def classes_of(self, n_passes: int) -> NDArray[np.int64]:
        """Return the class of each crop of ``n_passes`` passes over every index."""
        return np.tile(self.classes, n_passes)

    def weights_of(self, n_passes: int) -> NDArray[np.float64] | None:
        """Return the weight of each crop of ``n_passes`` passes over every index; None if all are 1."""
        weights = self._utterances.weights
        return None if weights is None or (weights == 1).all() else np.tile(weights, len(self.speeds) * n_passes)

    @property
    def utterance_ids(self) -> Sequence[str]:
        """Ids of the utterances, in order; all speeds share them."""
        return self._utterances.ids

    def source_of(self, index: int) -> AudioSource:
        """Return the audio that an index is cut from."""
        return self._utterances.source(index % len(self._utterances))

    def utterance_id(self, index: int) -> str:
        """Return the id of the utterance that an index is cut from."""
        return self._utterances.ids[index % len(self._utterances)]

    def number_shards(self) -> NDArray[np.int64]:
        """Return the shard of every index, (len,).

        Raises:
            DataError: If the corpus is not in shards.
        """
        return np.tile(number_shards(self._utterances.archives(), self.root), len(self.speeds))

    def __len__(self) -> int:
        return len(self._utterances) * len(self.speeds)

    def __getitem__(self, key: SampleKey) -> Sample:
        """Return a crop (samples,), its class, and what its augmentation needs on the device.

        Raises:
            DataError: If the file cannot be read, nor ``max_unreadable`` others in its place.
        """
        rng = np.random.default_rng([self.seed, key.epoch, key.index, key.repeat])
        speed_index, utterance_index = divmod(key.index, len(self._utterances))
        with one_thread():
            waveform, utterance_index = self._readable_crop(utterance_index, self.speeds[speed_index], rng)
            prepared = self.augmentation.prepare(waveform, rng) if self.augmentation else (waveform,)
        return prepared[0], self.class_of(speed_index * len(self._utterances) + utterance_index), *prepared[1:]

    def class_of(self, index: int) -> int:
        """Return the class of an index."""
        speed_index, utterance_index = divmod(index, len(self._utterances))
        return int(self._speaker_indices[utterance_index]) + speed_index * len(self.speakers)

    def take_unreadable(self) -> tuple[Unreadable, ...]:
        """Return the utterances that others replaced in this process since the last call."""
        found, self._unreadable = self._unreadable, {}
        return tuple(Unreadable(*each) for each in found.items())

    def _readable_crop(self, index: int, speed: float, rng: np.random.Generator) -> tuple[Tensor, int]:
        """Return a crop (n_samples,) of an utterance, or of another in its place, and the index that it is of.

        Raises:
            DataError: If none can be read, or more than ``max_unreadable`` cannot.
        """
        tried: dict[int, DataError] = {}
        while True:
            try:
                return self._crop(self.source_of(index), speed, rng), index
            except DataError as error:
                if not self.max_unreadable:
                    raise
                tried[index] = error
                self._unreadable[self.utterance_id(index)] = one_line(error)
            check_unreadable(self._unreadable, self.max_unreadable)
            index = self._draw_other(tried, rng)

    def _draw_other(self, tried: Mapping[int, DataError], rng: np.random.Generator) -> int:
        """Return the index of another utterance: of the speaker of the first of ``tried``, else of anyone.

        Raises:
            DataError: The error of the first, if there is no other.
        """
        first = next(iter(tried))
        is_same = self._speaker_indices == self._speaker_indices[first]
        for among in (np.flatnonzero(is_same), np.arange(len(is_same))):
            left = np.setdiff1d(among, list(tried))
            if left.size:
                return int(left[rng.integers(left.size)])
        raise tried[first]

    def _crop(self, source: AudioSource, speed: float, rng: np.random.Generator) -> Tensor:
        """Return (n_samples,) at a speed."""
        n_read = samples_before_speed(self.n_samples, speed)
        waveform = random_crop(source, n_read, rng, sample_rate=self.sample_rate)
        return waveform if speed == 1 else change_speed(waveform, speed)[: self.n_samples]


@contextmanager
def one_thread() -> Iterator[None]:
    """Run torch single-threaded, as the workers of a loader do, so that crops are bit-identical."""
    n_threads = torch.get_num_threads()
    if n_threads == 1:
        yield
        return
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)
