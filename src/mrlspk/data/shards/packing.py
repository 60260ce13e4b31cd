"""Pack a corpus into shards; a pack that was killed goes on where it stopped."""

import heapq
import json
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

from mrlspk.data.manifest import Utterance
from mrlspk.data.manifest_files.formats import format_of, write_rows
from mrlspk.data.manifest_files.rows import ManifestRow
from mrlspk.data.processes import in_processes
from mrlspk.data.shards.plan import ShardPlan
from mrlspk.data.shards.reading import INDEXES, PLAN, STATE, index_name
from mrlspk.data.shards.sample_keys import SampleKeys
from mrlspk.data.shards.shard_writing import ShardFiles, read_errors, read_rows, write_shard
from mrlspk.errors import MrlspkError
from mrlspk.files import one_at_a_time, remove_file, whole_file
from mrlspk.partial_files import remove_left_files, write_errors
from mrlspk.reading import parse_json, read_bytes

type Task = tuple[ShardFiles, list[tuple[str, Utterance]]]
type OnSamples = Callable[[int], None]
"""Called with how many more samples are in finished shards, or in the one that this process writes."""


@dataclass(frozen=True)
class ShardFolder:
    """A folder of shards.

    Attributes:
        path: The folder.
        name: Beginning of the names of its shards.
    """

    path: Path
    name: str

    def files(self, number: int) -> ShardFiles:
        """Return the files of a shard."""
        return ShardFiles(self.path / f"{self.name}-{number:06}.tar", self.path / STATE / f"{number:06}.jsonl")

    @contextmanager
    def begun(self, plan: ShardPlan, *, force: bool) -> Iterator[list[int]]:
        """Lock the folder in the block and yield the shards to write; those of another plan are removed.

        Raises:
            MrlspkError: If there are shards of another plan, or finished ones, and ``force`` is false.
        """
        busy = MrlspkError("another process is packing into it", self.path, "Wait for it, or give another folder.")
        with one_at_a_time(self._state / "lock", on_wait=lambda: None, patience_seconds=0, busy=busy):
            if force and not self._continues(plan) or not self._is_begun():
                self._clear(force=force)
            elif not self._continues(plan):
                what = "has shards of another corpus, or of other settings, whose packing was stopped"
                raise MrlspkError(what, self.path, "Give another folder, or `force` to begin again.")
            remove_left_files(self.path, "|".join((self._tar_names, *map(re.escape, INDEXES))))
            remove_left_files(self._state)
            with whole_file(self._state / PLAN, force=True) as partial:
                partial.write_text(json.dumps({"sha256": plan.sha256, "shards": len(plan)}))
            yield [number for number in range(len(plan)) if not self.files(number).are_complete]

    def rows(self, n_shards: int) -> Iterator[ManifestRow]:
        """Yield the rows of all utterances in the order of their ids."""
        return heapq.merge(*(read_rows(self.files(number)) for number in range(n_shards)), key=attrgetter("id"))

    def write_index(self, n_shards: int) -> Path:
        """Write the index of all shards and return its path.

        Raises:
            MrlspkError: If it cannot be written.
        """
        path = self.path / index_name()
        with whole_file(path, force=True) as partial:
            write_rows(partial, format_of(path), self.rows(n_shards))
        return path

    def errors(self, n_shards: int) -> dict[str, str]:
        """Return why utterances are left out, by id."""
        found: dict[str, str] = {}
        for number in range(n_shards):
            found |= read_errors(self.files(number))
        return dict(sorted(found.items()))

    def end(self) -> None:
        """Remove what only a pack needs that goes on."""
        with write_errors(self._state):
            shutil.rmtree(self._state)

    @property
    def _tar_names(self) -> str:
        """Regular expression of the names of shards."""
        return re.escape(self.name) + r"-\d{6,}\.tar"

    @property
    def _state(self) -> Path:
        return self.path / STATE

    def _is_begun(self) -> bool:
        return (self._state / PLAN).is_file()

    def _continues(self, plan: ShardPlan) -> bool:
        """Return whether a pack of this plan was begun here."""
        path = self._state / PLAN
        return (
            self._is_begun()
            and parse_json(read_bytes(path, MrlspkError), path, MrlspkError).get("sha256") == plan.sha256
        )

    def _clear(self, *, force: bool) -> None:
        """Remove the shards and indexes of an earlier pack, the indexes first.

        Raises:
            MrlspkError: If there are any and ``force`` is false.
        """
        indexes = [path for name in INDEXES if (path := self.path / name).exists()]
        shards = [path for path in self.path.iterdir() if re.fullmatch(self._tar_names, path.name)]
        if (indexes or shards) and not force:
            raise MrlspkError("exists", (*indexes, *shards)[0], "Give another folder, or `force` to overwrite it.")
        for path in (*indexes, *sorted(shards), self._state / PLAN, *self._state.glob("*.jsonl")):
            remove_file(path)


def write_shards(
    folder: ShardFolder,
    numbers: Sequence[int],
    plan: ShardPlan,
    utterances: Sequence[Utterance],
    keys: SampleKeys,
    *,
    jobs: int,
    on_samples: OnSamples | None = None,
) -> None:
    """Write shards, ``jobs`` at a time, each in a process of its own if there are several.

    Raises:
        MrlspkError: If one cannot be written, or a process dies.
    """
    if jobs == 1 or len(numbers) < 2:
        for number in numbers:
            samples = _samples(plan.members(number).tolist(), utterances, keys)
            write_shard(folder.files(number), samples, on_sample=on_samples and (lambda: on_samples(1)))
        return
    tasks = (
        (folder.files(number), list(_samples(plan.members(number).tolist(), utterances, keys))) for number in numbers
    )
    for n_samples in in_processes(_write, tasks, jobs=jobs):
        if on_samples:
            on_samples(n_samples)


def _write(task: Task) -> int:
    files, samples = task
    write_shard(files, samples)
    return len(samples)


def _samples(
    places: Sequence[int], utterances: Sequence[Utterance], keys: SampleKeys
) -> Iterator[tuple[str, Utterance]]:
    for place in places:
        utterance = utterances[place]
        yield keys.key(utterance.utterance_id), utterance
