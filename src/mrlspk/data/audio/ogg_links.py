"""Find the links of a chained Ogg file: several files one after the other, each with streams of its own."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO

PAGE = b"OggS\0"
LARGEST_PAGE = 65_307
HEADER_BYTES = 27
LARGEST_HEADER = HEADER_BYTES + 255
BEGIN, END = 2, 4  # flags of a page


@dataclass(frozen=True)
class OggEnd:
    """How an Ogg file ends.

    Attributes:
        is_cut: Whether the last page is incomplete.
        is_marked: Whether the last page is marked as the end of its stream.
    """

    is_cut: bool
    is_marked: bool


def is_ogg(file: BinaryIO) -> bool:
    """Return whether a file begins as Ogg."""
    return file.read(len(PAGE)) == PAGE


def read_end(file: BinaryIO, size: int) -> OggEnd | None:
    """Return how an Ogg file ends; None if no page is found there."""
    file.seek(max(size - LARGEST_PAGE, 0))
    tail = file.read()
    page = tail[tail.rfind(PAGE) :] if PAGE in tail else b""
    if len(page) < HEADER_BYTES:
        return OggEnd(is_cut=True, is_marked=False) if page else None
    return OggEnd(is_cut=_length(page) > len(page), is_marked=bool(page[5] & END))


def find_links(file: BinaryIO, size: int) -> list[tuple[int, int]]:
    """Return where each link begins and ends, in bytes; one alone if the file is not chained.

    The serial numbers of streams do not tell it: programs start them from the clock, or always with the same.
    """
    begins, was_begin = [0], True
    for position, header in _pages(file):
        is_begin = bool(header[5] & BEGIN)
        if is_begin and not was_begin:
            begins.append(position)
        was_begin = is_begin
    return list(zip(begins, [*begins[1:], size], strict=True))


def _pages(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield position and header of each page; damaged ones are skipped."""
    position: int | None = 0
    while position is not None:
        file.seek(position)
        header = file.read(LARGEST_HEADER)
        if header.startswith(PAGE) and len(header) >= HEADER_BYTES:
            yield position, header
            position += _length(header)
        else:
            position = _next_page(file, position + 1)


def _next_page(file: BinaryIO, position: int) -> int | None:
    """Return where the next page begins; None at the end of the file."""
    file.seek(position)
    while len(chunk := file.read(LARGEST_PAGE)) > len(PAGE):
        if (found := chunk.find(PAGE)) >= 0:
            return position + found
        position += len(chunk) - len(PAGE) + 1
        file.seek(position)
    return None


def _length(header: bytes) -> int:
    """Return the bytes of the page that begins with ``header``."""
    segments = header[26]
    return HEADER_BYTES + segments + sum(header[HEADER_BYTES : HEADER_BYTES + segments])
