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
        serial: Of the last page.
        is_cut: Whether the last page is incomplete.
        is_marked: Whether the last page is marked as the end of its stream.
    """

    serial: bytes
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
        return OggEnd(b"", is_cut=True, is_marked=False) if page else None
    return OggEnd(page[14:18], is_cut=_length(page) > len(page), is_marked=bool(page[5] & END))


def find_links(file: BinaryIO, size: int, end: OggEnd) -> list[tuple[int, int]]:
    """Return where each link begins and ends, in bytes; one alone if the file is not chained.

    Args:
        file: The Ogg file.
        size: Of the file.
        end: Of the file. Only if its last page belongs to none of the first streams, all pages are read.
    """
    first_serials: set[bytes] = set()
    begins, is_head, was_begin = [0], True, True
    for position, header in _pages(file):
        is_begin = bool(header[5] & BEGIN)
        if is_head and is_begin:
            first_serials.add(header[14:18])
        elif is_begin and not was_begin:
            begins.append(position)
        elif is_head and end.serial in first_serials:
            break
        is_head, was_begin = is_head and is_begin, is_begin
    return list(zip(begins, [*begins[1:], size], strict=True))


def _pages(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield position and header of each page, up to what is none."""
    position = 0
    file.seek(position)
    while len(header := file.read(LARGEST_HEADER)) >= HEADER_BYTES and header.startswith(PAGE):
        yield position, header
        position += _length(header)
        file.seek(position)


def _length(header: bytes) -> int:
    """Return the bytes of the page that begins with ``header``."""
    segments = header[26]
    return HEADER_BYTES + segments + sum(header[HEADER_BYTES : HEADER_BYTES + segments])
