"""Compare the sizes that the headers of WAV, RF64, W64, AIFF, CAF, AU, SPHERE and MPEG-4 audio state with its bytes.

libsndfile reads a truncated file without an error, and FFmpeg reads the beginning of an MPEG-4 file.
"""

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import BinaryIO, Literal

from mrlspk.errors import DataError

COPY_AGAIN = "Copy or download the file again."
W64_SAMPLES = b"data\xf3\xac\xd3\x11\x8c\xd1\x00\xc0\x4f\x8e\xdb\x8a"
BEYOND_RIFF = 1 << 32  # the sizes of a WAV file have 32 bits
MPEG4_BOXES = frozenset({b"ftyp", b"moov", b"mdat", b"moof"})  # anything else behind them may be padding or a tag
SPHERE_BYTES = ("sample_count", "channel_count", "sample_n_bytes")


@dataclass(frozen=True)
class Layout:
    """How a format arranges its chunks: a name, a size, the content, padding up to a multiple.

    Args:
        begin: Position of the first chunk.
        samples: Name of the chunk of samples.
        order: Of the bytes of a size.
        name_bytes: Bytes of a name.
        size_bytes: Bytes of a size.
        multiple: Of bytes that a chunk takes.
        counts_header: Whether a size includes name and size.
    """

    begin: int
    samples: bytes
    order: Literal["little", "big"] = "little"
    name_bytes: int = 4
    size_bytes: int = 4
    multiple: int = 2
    counts_header: bool = False


LAYOUTS = {
    "WAV": Layout(12, b"data"),
    "RF64": Layout(12, b"data"),
    "AIFF": Layout(12, b"SSND", order="big"),
    "CAF": Layout(8, b"data", order="big", size_bytes=8, multiple=1),
    "W64": Layout(40, W64_SAMPLES, name_bytes=16, size_bytes=8, multiple=8, counts_header=True),
}


@dataclass(frozen=True)
class SampleBytes:
    """Where the samples of a file begin, and how many bytes of them its header states; None if it does not know."""

    begin: int
    stated: int | None


def check_complete(file: BinaryIO, audio_format: str | None, where: str, size: int) -> SampleBytes | None:
    """Return where the samples of a file are; None if its format is not checked.

    Raises:
        DataError: If the file ends before its header says it does.
    """
    if audio_format == "MPEG-4":
        _check_boxes(file, where, size)
    samples = find_samples(file, audio_format, size)
    if samples is None and audio_format in LAYOUTS:
        raise DataError(f"cut short: a {audio_format} header without samples", where, COPY_AGAIN)
    if samples is None or samples.stated is None:
        return samples
    found = size - samples.begin
    if samples.stated > found:
        raise DataError(f"cut short: expected {samples.stated} bytes of audio, got {max(found, 0)}", where, COPY_AGAIN)
    if audio_format == "WAV" and found >= BEYOND_RIFF:
        what = f"a WAV header states {samples.stated} bytes of audio, but {found} follow it"
        raise DataError(
            what,
            where,
            "Convert it to RF64 or FLAC with a program that takes the length from the size of the file, such as SoX.",
        )
    return samples


def find_samples(file: BinaryIO, audio_format: str | None, size: int) -> SampleBytes | None:
    """Return where the samples are; None if a file of chunks has none, or the format is another."""
    file.seek(0)
    if audio_format == "AU":
        return _au_samples(file.read(12))
    if audio_format == "SPHERE":
        return _sphere_samples(file.read(1024))
    layout = LAYOUTS.get(audio_format or "")
    return None if layout is None else _chunk_of_samples(file, layout, size)


def _chunk_of_samples(file: BinaryIO, layout: Layout, size: int) -> SampleBytes | None:
    if file.read(4) == b"RIFX":
        layout = replace(layout, order="big")
    long_length = None
    for name, begin, length in _chunks(file, layout, layout.begin, size):
        if name == b"ds64":
            long_length = int.from_bytes(file.read(16)[8:], "little")
        if name == layout.samples:
            stated = length if long_length is None else long_length
            is_empty = stated == 0 and _is_end(file, layout, begin, size)
            return SampleBytes(begin, None if is_unknown(stated) and not is_empty else stated)
    return None


def _chunks(file: BinaryIO, layout: Layout, position: int, size: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, position and length of each chunk's content; the file stands at its beginning."""
    header_bytes = layout.name_bytes + layout.size_bytes
    file.seek(position)
    while len(header := file.read(header_bytes)) == header_bytes:
        length = int.from_bytes(header[layout.name_bytes :], layout.order)
        length = max(length - header_bytes, 0) if layout.counts_header else length
        yield header[: layout.name_bytes], position + header_bytes, length
        position += header_bytes + -(-length // layout.multiple) * layout.multiple
        file.seek(min(position, size))


def _is_end(file: BinaryIO, layout: Layout, position: int, size: int) -> bool:
    """Return whether only chunks follow ``position``, so that an empty chunk of samples before it is indeed empty."""
    end = position
    for _, begin, length in _chunks(file, layout, position, size):
        end = begin + length
    return size - layout.multiple < end <= size


def is_unknown(length: int) -> bool:
    """Return whether a program wrote ``length`` that could not seek back to fill in the true one.

    FFmpeg writes 0 or -1, SoX 0x7FFFF000, LAME and opusdec 0x7FFFFFFF, arecord 0x80000000; SoX in AIFF the last whole
    frame below 0x7F000000, and 8 for the header of the chunk.
    """
    is_of_sox = 0x7EFFFF00 <= length <= 0x7F000008
    return length == 0 or is_of_sox or 0x7FFFF000 <= length <= 0x80000000 or length >= 0xFFFFFF00


def _au_samples(header: bytes) -> SampleBytes:
    order: Literal["little", "big"] = "big" if header[:4] == b".snd" else "little"
    begin, length = (int.from_bytes(header[place : place + 4], order) for place in (4, 8))
    return SampleBytes(begin, None if is_unknown(length) else length)


def _sphere_samples(header: bytes) -> SampleBytes | None:
    """Return where the samples of a SPHERE file are; None if they are compressed or not counted."""
    text = header.decode("latin-1")
    fields = dict(re.findall(r"^(\w+) -\w+ (\S+)$", text, re.MULTILINE))
    counts = [fields.get(name, "") for name in SPHERE_BYTES]
    begin = text[8:].split(maxsplit=1)[0]
    if "," in fields.get("sample_coding", "pcm") or not all(count.isdecimal() for count in [*counts, begin]):
        return None
    return SampleBytes(int(begin), math.prod(map(int, counts)))


def _check_boxes(file: BinaryIO, where: str, size: int) -> None:
    """Walk the top-level boxes of an MPEG-4 file up to its end, or up to what is none.

    Raises:
        DataError: If a box ends after the file, or there is no index.
    """
    position, has_index = 0, False
    file.seek(0)
    while len(header := file.read(16)) >= 8:
        length, name = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:], "big")
        elif length == 0:  # reaches to the end of the file
            length = size - position
        if name in MPEG4_BOXES and position + length > size:
            what = f"cut short: expected {length} bytes of audio, got {size - position}"
            raise DataError(what, where, COPY_AGAIN)
        has_index = has_index or name == b"moov"
        position += max(length, 8)
        file.seek(min(position, size))
    if not has_index:
        raise DataError("cut short: an MPEG-4 file without its index (no 'moov' box)", where, COPY_AGAIN)
