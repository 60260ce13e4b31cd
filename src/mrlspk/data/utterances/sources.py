"""Keep the sources of a million utterances in a few arrays."""

import pickle
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import partial
from typing import Any, Protocol, get_type_hints

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.audio.source import (
    AudioSource,
    Channel,
    ChannelSource,
    FileSource,
    RangeSource,
    TarMember,
    archive_of,
    take_channel,
)
from mrlspk.data.utterances.columns import Column, ColumnPacker, NumberPacker, SharedTextPacker, SharedTexts

MOST_FOLDERS = 256  # above files that ids name; the paths of files in more folders are stored


class Store(Protocol):
    """Sources of one kind."""

    def at(self, place: int, utterance_id: str) -> AudioSource:
        """Return the source at a place, of the utterance with this id."""
        ...

    def archives(self, places: NDArray[np.int64]) -> NDArray[np.object_]:
        """Return path or URL of the archive of the sources at some places, (places,); None where there is none."""
        ...


class Sources:
    """The source of each row of a table: a store of its kind, and its place there.

    Args:
        stores: One for each kind of source.
        kinds: Store of each row, (rows,).
        places: Place of each row in its store, (rows,).
        channels: Taken of every source, one after the other.
    """

    def __init__(
        self,
        stores: Sequence[Store],
        kinds: NDArray[np.int16],
        places: NDArray[np.int64],
        channels: tuple[Channel, ...] = (),
    ) -> None:
        self._stores, self._kinds, self._places, self._channels = tuple(stores), kinds, places, channels

    def at(self, place: int, utterance_id: str) -> AudioSource:
        """Return the source of a row, whose utterance has this id."""
        source: AudioSource = self._stores[self._kinds[place]].at(int(self._places[place]), utterance_id)
        for channel in self._channels:
            source = take_channel(source, channel)
        return source

    def archives(self) -> NDArray[np.object_]:
        """Return path or URL of the archive of each source, (rows,); None where there is none."""
        found = np.full(len(self._kinds), None, object)
        for kind, store in enumerate(self._stores):
            rows = np.flatnonzero(self._kinds == kind)
            found[rows] = store.archives(self._places[rows])
        return found

    def take(self, rows: NDArray[np.int64]) -> "Sources":
        """Return the sources of some rows; all share the stores."""
        return Sources(self._stores, self._kinds[rows], self._places[rows], self._channels)

    def at_channel(self, channel: Channel) -> "Sources":
        """Return one channel of every source, or for ``mix`` the sources as they are."""
        channels = self._channels if channel == "mix" else (*self._channels, channel)
        return Sources(self._stores, self._kinds, self._places, channels)


class SourcePacker:
    """Pack sources one by one: files below a folder by their ids, data classes by their fields, others as pickles."""

    def __init__(self) -> None:
        self._kinds, self._places = array("h"), array("q")
        self._packers: list[_StorePacker] = []
        self._numbers: dict[str | type, int] = {}  # of packers: by prefix, by class, or by `bytes` for pickles

    def fits(self, value: object) -> bool:  # noqa: ARG002 - as others are called
        """Return True: what is no record is pickled."""
        return True

    def append(self, value: AudioSource, utterance_id: str) -> None:
        """Add the source of the utterance with this id."""
        number = self._number(value, utterance_id)
        self._kinds.append(number)
        self._places.append(self._packers[number].append(value, utterance_id))

    def packed(self) -> Sources:
        """Return the sources."""
        stores = [packer.packed() for packer in self._packers]
        return Sources(stores, np.array(self._kinds, np.int16), np.array(self._places, np.int64))

    def _number(self, source: AudioSource, utterance_id: str) -> int:
        """Return the number of the packer that takes a source."""
        if type(source) is FileSource and source.location.endswith(utterance_id):
            prefix = source.location[: len(source.location) - len(utterance_id)]
            if prefix in self._numbers or len(self._packers) < MOST_FOLDERS:
                return self._number_of(prefix, lambda: _FilesBelow(prefix))
        number = self._number_of(type(source), lambda: _new_packer(type(source)))
        return number if self._packers[number].fits(source) else self._number_of(bytes, _PicklePacker)

    def _number_of(self, key: str | type, new: Callable[[], "_StorePacker"]) -> int:
        if key not in self._numbers:
            self._numbers[key] = len(self._packers)
            self._packers.append(new())
        return self._numbers[key]


class _StorePacker(Protocol):
    """Sources of one kind that are packed one by one."""

    def fits(self, source: AudioSource) -> bool: ...

    def append(self, source: AudioSource, utterance_id: str) -> int:
        """Add a source and return its place."""
        ...

    def packed(self) -> Store: ...


class _FilesBelow:
    """Files that the ids of their utterances name behind a prefix; they take no memory."""

    def __init__(self, prefix: str) -> None:
        self._prefix = prefix

    def fits(self, source: AudioSource) -> bool:  # noqa: ARG002 - the prefix was compared
        return True

    def append(self, source: AudioSource, utterance_id: str) -> int:  # noqa: ARG002
        return 0

    def packed(self) -> Store:
        return self

    def at(self, place: int, utterance_id: str) -> AudioSource:  # noqa: ARG002
        return FileSource(self._prefix + utterance_id)

    def archives(self, places: NDArray[np.int64]) -> NDArray[np.object_]:
        return np.full(len(places), None, object)


class _RecordPacker:
    """Sources of one data class, each field in a column."""

    def __init__(self, of: type[AudioSource], columns: Mapping[str, ColumnPacker]) -> None:
        self._of, self._columns, self._n = of, columns, 0

    def fits(self, source: AudioSource) -> bool:
        return all(column.fits(getattr(source, name)) for name, column in self._columns.items())

    def append(self, source: AudioSource, utterance_id: str) -> int:
        for name, column in self._columns.items():
            column.append(getattr(source, name), utterance_id)
        self._n += 1
        return self._n - 1

    def packed(self) -> Store:
        return _Records(self._of, [column.packed() for column in self._columns.values()])


class _Records:
    def __init__(self, of: Callable[..., AudioSource], columns: Sequence[Column]) -> None:
        self._of, self._columns = of, columns

    def at(self, place: int, utterance_id: str) -> AudioSource:
        return self._of(*(column.at(place, utterance_id) for column in self._columns))

    def archives(self, places: NDArray[np.int64]) -> NDArray[np.object_]:
        first = self._columns[0] if self._columns else None
        if self._of is TarMember and isinstance(first, SharedTexts):
            return first.values(places)
        if self._of in (RangeSource, ChannelSource) and isinstance(first, Sources):
            return first.take(places).archives()
        return np.full(len(places), None, object)


class _PicklePacker:
    """Sources of any kind; each takes the bytes of its pickle, some hundred."""

    def __init__(self) -> None:
        self._data, self._ends = bytearray(), array("q")

    def fits(self, source: AudioSource) -> bool:  # noqa: ARG002
        return True

    def append(self, source: AudioSource, utterance_id: str) -> int:  # noqa: ARG002
        self._data += pickle.dumps(source)
        self._ends.append(len(self._data))
        return len(self._ends) - 1

    def packed(self) -> Store:
        return _Pickles(bytes(self._data), np.array(self._ends))


class _Pickles:
    def __init__(self, data: bytes, ends: NDArray[np.int64]) -> None:
        self._data, self._ends = data, ends

    def at(self, place: int, utterance_id: str) -> AudioSource:  # noqa: ARG002
        start = self._ends[place - 1] if place else 0
        source: AudioSource = pickle.loads(self._data[start : self._ends[place]])
        return source

    def archives(self, places: NDArray[np.int64]) -> NDArray[np.object_]:
        return np.array([archive_of(self.at(place, "")) for place in places.tolist()], object)


_PACKERS: Mapping[Any, Callable[[], ColumnPacker]] = {
    str: SharedTextPacker,
    int: partial(NumberPacker, is_real=False),
    float: partial(NumberPacker, is_real=True),
    float | None: partial(NumberPacker, is_real=True),
    AudioSource: SourcePacker,
}


def _new_packer(of: type[AudioSource]) -> _StorePacker:
    """Return a packer of fields for a data class of numbers, texts and sources, or else one of pickles."""
    if not is_dataclass(of):
        return _PicklePacker()
    kinds = get_type_hints(of)
    arguments = {each.name: kinds[each.name] for each in fields(of)}
    by_place = all(each.init and not each.kw_only for each in fields(of))
    if by_place and all(kind in _PACKERS for kind in arguments.values()):
        return _RecordPacker(of, {name: _PACKERS[kind]() for name, kind in arguments.items()})
    return _PicklePacker()
