"""Keep enrolled voices: list, rename, remove, export, check and compact them."""

from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Self

from mrlspk.data.problems import Problem
from mrlspk.index.enrolment.metadata import VoiceMetadata, check_metadata
from mrlspk.index.enrolment.sources import check_voice_name
from mrlspk.index.store.settings import IndexSettings
from mrlspk.index.store.store import VoiceStore
from mrlspk.index.store.voices import Voice
from mrlspk.index.where import Condition, parse_filter


class KeptVoices:
    """The voices of an index, without searches: nothing here needs a model.

    Args:
        store: The index on disk.

    Attributes:
        store: Gives several looks at one state: ``with index.store.reading() as snapshot``.
    """

    def __init__(self, store: VoiceStore) -> None:
        self.store = store

    def __repr__(self) -> str:
        return f"{type(self).__name__}({str(self.store.folder)!r})"

    def __len__(self) -> int:
        """Return the number of voices."""
        with self.store.reading() as snapshot:
            return snapshot.n_voices

    def __bool__(self) -> bool:
        """Return True: an index without voices is an index."""
        return True

    def __contains__(self, name: str) -> bool:
        """Return whether a voice has this name."""
        with self.store.reading() as snapshot:
            return snapshot.has_voice(name)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the files; every later call is a `UsageError`. Closing twice does no harm."""
        self.store.close()

    @property
    def settings(self) -> IndexSettings:
        """Model, widths, speech mode and shortlist of the index."""
        with self.store.reading() as snapshot:
            return snapshot.settings

    def voice(self, name: str) -> Voice:
        """Return a voice with its metadata and recordings.

        Raises:
            UsageError: If there is none of this name; the message suggests similar names.
        """
        with self.store.reading() as snapshot:
            return snapshot.voice(name)

    def voices(self, where: str | None = None) -> Iterator[Voice]:
        """Yield the voices in the order in which they were enrolled, as they were at the first one.

        Args:
            where: A filter on ``name`` and keys of metadata: ``site = "north" and not age < 30``. See `docs/index.md`.

        Raises:
            UsageError: If the filter cannot be parsed.
        """
        condition = None if where is None else parse_filter(where)
        return self._voices_where(condition)

    def remove(self, names: str | Iterable[str]) -> None:
        """Remove voices, all or none; `compact` then deletes every byte of them.

        Raises:
            UsageError: If there is no voice of a name.
        """
        wanted = [names] if isinstance(names, str) else list(names)
        with self.store.writing() as writer:
            writer.remove(wanted)

    def rename(self, name: str, new: str) -> None:
        """Give a voice another name.

        Raises:
            UsageError: If there is no such voice, the new name is taken, or no voice can have it.
        """
        checked = check_voice_name(new)
        with self.store.writing() as writer:
            writer.rename(name, checked)

    def set_metadata(self, name: str, metadata: VoiceMetadata) -> None:
        """Replace the metadata of a voice: texts, numbers, booleans and None by key.

        Raises:
            UsageError: If there is no such voice, or a key or value cannot be kept.
        """
        checked = check_metadata(metadata)
        with self.store.writing() as writer:
            writer.set_metadata(name, checked)

    def export(
        self,
        path: str | PathLike[str],
        *,
        where: str | None = None,
        recordings: bool = False,
        force: bool = False,
    ) -> tuple[Path, ...]:
        """Write vectors with names and metadata to a vector file, and return the files written.

        Args:
            path: Its suffix is the format: .npz, .npy, .ark, .scp, .parquet or .jsonl. Ids are ``NAME/1`` and so on.
            where: Only voices that this filter holds for.
            recordings: Write a vector for each recording, ``NAME/SOURCE``, instead of each condition profile.
            force: Overwrite the file.

        Raises:
            DataError: If there is no such voice, or the format cannot hold a name.
            UsageError: If there is no such format, or the filter cannot be parsed.
            MrlspkError: If the file exists and ``force`` is false.
        """
        from mrlspk.index.exporting import export_voices

        condition = None if where is None else parse_filter(where)
        with self.store.reading() as snapshot:
            return export_voices(snapshot, Path(path), where=condition, recordings=recordings, force=force)

    def check(self) -> tuple[Problem, ...]:
        """Return every problem of the files: checksums, missing rows, codes that do not fit, leftovers."""
        return tuple(self.store.check())

    def compact(self, *, dim: int | None = None) -> None:
        """Delete every byte of removed voices; with ``dim`` also cut all vectors to this width for good.

        Raises:
            UsageError: If the index has no such width.
            MrlspkError: If there is no room, or another process reads an earlier state for too long.
        """
        self.store.compact(dim)

    def _voices_where(self, condition: Condition | None) -> Iterator[Voice]:
        with self.store.reading() as snapshot:
            yield from snapshot.voices() if condition is None else snapshot.voices(condition)
