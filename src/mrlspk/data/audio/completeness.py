"""Detect WAV, MPEG-4 and Ogg files that a decoder would read in part, by the sizes and streams that they state.

soundfile reads a truncated WAV or Ogg file, and the first stream of a chained Ogg file, without an error. torchcodec
calls a truncated MPEG-4 file "invalid data".
"""

from typing import BinaryIO

from mrlspk.data.audio.source import AudioSource
from mrlspk.errors import DataError
from mrlspk.reading import reading

COPY_AGAIN = "Copy or download the file again."
OGG_PAGE = b"OggS\0"
LARGEST_OGG_PAGE = 65_307
UNKNOWN_SIZES = {0, 0xFFFFFFFF}  # written into a WAV header by programs that cannot seek back to fill it in


def check_complete(source: AudioSource) -> None:
    """Compare what ``.wav``, ``.m4a`` or ``.ogg`` audio states with what it holds; other formats pass.

    Raises:
        DataError: If it ends before its own headers say it does, is a chained Ogg file, or cannot be read.
    """
    check = {".wav": _check_riff, ".m4a": _check_mp4, ".ogg": _check_ogg}.get(source.suffix)
    if check is None:
        return
    with reading(str(source), DataError), source.open() as file:
        check(file, str(source), source.size())


def _check_riff(file: BinaryIO, where: str, size: int) -> None:
    """Walk the chunks of a RIFF file up to its samples; anything else is left to the decoder."""
    header = file.read(12)
    if header[:4] != b"RIFF" or header[8:] != b"WAVE":
        return
    position = 12
    while len(chunk := file.read(8)) == 8:
        length = int.from_bytes(chunk[4:], "little")
        if chunk[:4] == b"data":
            if length not in UNKNOWN_SIZES and position + 8 + length > size:
                raise _cut_short(where, length, size - position - 8)
            return
        position += 8 + length + length % 2
        file.seek(position)
    raise DataError("cut short: a WAV header without samples", where, COPY_AGAIN)


def _check_mp4(file: BinaryIO, where: str, size: int) -> None:
    """Walk the top-level boxes of an MPEG-4 file; anything else is left to the decoder."""
    position, has_index = 0, False
    while len(header := file.read(16)) >= 8:
        length, name = int.from_bytes(header[:4], "big"), header[4:8]
        if position == 0 and name != b"ftyp":
            return
        if length == 1:
            length = int.from_bytes(header[8:], "big")
        elif length == 0:  # reaches to the end of the file
            length = size - position
        if position + length > size:
            raise _cut_short(where, length, size - position)
        has_index = has_index or name == b"moov"
        position += max(length, 8)
        file.seek(position)
    if position and not has_index:
        raise DataError("cut short: an MPEG-4 file without its index (no 'moov' box)", where, COPY_AGAIN)


def _check_ogg(file: BinaryIO, where: str, size: int) -> None:
    """Compare the last page of an Ogg file with its first; anything else is left to the decoder."""
    if file.read(len(OGG_PAGE)) != OGG_PAGE:
        return
    streams = _ogg_streams(file)
    file.seek(max(size - LARGEST_OGG_PAGE, 0))
    tail = file.read()
    last = tail.rfind(OGG_PAGE)
    if last < 0 or not streams:
        return
    header = tail[last:]
    length = _ogg_page_length(header)
    if length > len(header):
        raise _cut_short(where, length, len(header))
    if header[14:18] not in streams:
        fix = "Join them into one stream, e.g. by converting the file to FLAC with FFmpeg."
        raise DataError("holds several streams one after the other: only the first would be read", where, fix)


def _ogg_streams(file: BinaryIO) -> set[bytes]:
    """Return the serial numbers of the streams that begin together at the beginning of an Ogg file."""
    streams, position, is_first = set(), 0, True
    while is_first:
        file.seek(position)
        header = file.read(27 + 255)
        is_first = header[:5] == OGG_PAGE and bool(header[5] & 2)
        if is_first:
            streams.add(header[14:18])
            position += _ogg_page_length(header)
    return streams


def _ogg_page_length(header: bytes) -> int:
    """Return the bytes of the page that begins with ``header``."""
    segments = header[26] if len(header) > 26 else 0
    return 27 + segments + sum(header[27 : 27 + segments])


def _cut_short(where: str, expected: int, found: int) -> DataError:
    return DataError(f"cut short: expected {expected} bytes of audio, got {max(found, 0)}", where, COPY_AGAIN)
