"""Detect truncated WAV and MPEG-4 files by the sizes that their headers state.

soundfile reads a truncated WAV file without an error, and torchcodec calls a truncated MPEG-4 file "invalid data".
"""

from typing import BinaryIO

from mrlspk.data.audio_source import AudioSource
from mrlspk.errors import DataError

COPY_AGAIN = "Copy or download the file again."
UNKNOWN_SIZES = {0, 0xFFFFFFFF}  # written into a WAV header by programs that cannot seek back to fill it in


def check_complete(source: AudioSource) -> None:
    """Compare the sizes stated in ``.wav`` or ``.m4a`` audio with its own; other formats pass.

    Raises:
        DataError: If it ends before its own header says it does, or cannot be read.
    """
    check = {".wav": _check_riff, ".m4a": _check_mp4}.get(source.suffix)
    if check is None:
        return
    try:
        with source.open() as file:
            check(file, str(source), source.size())
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror})", str(source)) from error


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


def _cut_short(where: str, expected: int, found: int) -> DataError:
    return DataError(f"cut short: expected {expected} bytes of audio, got {max(found, 0)}", where, COPY_AGAIN)
