"""Keep a million texts in two objects."""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from operator import index as as_index
from typing import overload

import numpy as np
from numpy.typing import NDArray

CHUNK = 65_536  # texts at a time, where all of them at once would take more memory than the result
_CODEC = "utf-8", "surrogatepass"  # names of files that are not UTF-8 come with surrogates
_END = b"\n"  # behind each text, so that joined lines need no copy


class PackedText(Sequence[str]):
    """Texts one behind the other in UTF-8, and where each ends.

    They equal a list or tuple of the same. A text takes its bytes and nine more. There is nothing to count references
    to, so processes that are forked share the memory.

    Args:
        data: The texts, each with a line feed behind it.
        bounds: Where each begins, and the end of the last, (len + 1,).
    """

    def __init__(self, data: bytes, bounds: NDArray[np.int64]) -> None:
        self._data, self._bounds = data, bounds

    @classmethod
    def of(cls, texts: Iterable[str]) -> "PackedText":
        """Pack texts, one after the other."""
        packer = TextPacker()
        for text in texts:
            packer.append(text)
        return packer.packed()

    def __len__(self) -> int:
        return len(self._bounds) - 1

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: slice) -> "PackedText": ...

    def __getitem__(self, index: int | slice) -> "str | PackedText":
        if isinstance(index, slice):
            return self.take(np.arange(len(self))[index])
        place = as_index(index)
        place += len(self) if place < 0 else 0
        if not 0 <= place < len(self):
            raise IndexError(f"text {index} of {len(self)}")
        return self._data[self._bounds[place] : self._bounds[place + 1] - 1].decode(*_CODEC)

    def __iter__(self) -> Iterator[str]:
        return (encoded.decode(*_CODEC) for encoded in self.encoded())

    def __eq__(self, other: object) -> bool:
        if isinstance(other, PackedText):
            return self._data == other._data and np.array_equal(self._bounds, other._bounds)
        return list(self) == list(other) if isinstance(other, list | tuple) else NotImplemented

    __hash__ = None  # type: ignore[assignment]

    def encoded(self) -> Iterator[bytes]:
        """Yield the UTF-8 of each text; its order is that of the texts."""
        for start in range(0, len(self), CHUNK):
            for begin, end in pairwise(self._bounds[start : start + CHUNK + 1].tolist()):
                yield self._data[begin : end - 1]

    def lines(self) -> memoryview:
        """Return the UTF-8 of all texts with line feeds between them."""
        return memoryview(self._data)[:-1] if self._data else memoryview(b"")

    def take(self, rows: NDArray[np.int64]) -> "PackedText":
        """Return the texts of some rows, in their order."""
        starts = self._bounds[rows]
        lengths = self._bounds[rows + 1] - starts
        bounds = np.concatenate([np.zeros(1, np.int64), np.cumsum(lengths)])
        old, new = np.frombuffer(self._data, np.uint8), np.empty(bounds[-1], np.uint8)
        for first in range(0, len(rows), CHUNK):
            part = slice(first, first + CHUNK)
            begin, end = bounds[first], bounds[min(first + CHUNK, len(rows))]
            shifts = np.repeat(starts[part] - bounds[:-1][part], lengths[part])
            new[begin:end] = old[shifts + np.arange(begin, end)]
        return PackedText(new.tobytes(), bounds)

    def order(self) -> NDArray[np.int64]:
        """Return the rows in the order of the texts; equal texts stay in their order."""
        if self.first_disorder() is None:
            return np.arange(len(self))
        texts = list(self.encoded())
        return np.array(sorted(range(len(texts)), key=texts.__getitem__), np.int64)

    def first_disorder(self) -> int | None:
        """Return the first row whose text does not come after the one before; None if all rise."""
        before = None
        for row, text in enumerate(self.encoded()):
            if before is not None and text <= before:
                return row
            before = text
        return None


class TextPacker:
    """Pack texts one by one."""

    def __init__(self) -> None:
        self._data, self._bounds = bytearray(), array("q", [0])

    def append(self, text: str) -> None:
        """Add a text behind the others."""
        self._data += text.encode(*_CODEC)
        self._data += _END
        self._bounds.append(len(self._data))

    def __len__(self) -> int:
        return len(self._bounds) - 1

    def packed(self) -> PackedText:
        """Return the texts."""
        return PackedText(bytes(self._data), np.array(self._bounds, np.int64))
