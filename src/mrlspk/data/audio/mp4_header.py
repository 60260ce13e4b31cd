"""Parse the index of an MPEG-4 file with one track of AAC-LC (ISO/IEC 14496-12, 14496-14 and 14496-3).

Every file of another form is left to FFmpeg: fragments, several tracks or edits, a codec that doubles the rate.
"""

import struct
from collections.abc import Iterator

from mrlspk.data.audio.completeness import MPEG4_BOXES
from mrlspk.data.audio.open_file import Bytes
from mrlspk.data.audio.plain_headers import Stated

LARGEST_INDEX = 1 << 24  # bytes; a day of AAC
FRAME = 1024  # samples of a packet of AAC-LC
HOLDERS = frozenset({b"trak", b"mdia", b"minf", b"stbl", b"edts"})
NEEDED = b"mvhd", b"mdhd", b"hdlr", b"stsd", b"stts", b"stsz"
ITUNES_GAPLESS = b"iTunSMPB"  # states other delays than the edit list
ES_DESCRIPTOR, DECODER_CONFIG, DECODER_SPECIFIC = 3, 4, 5
MPEG4_AUDIO, AAC_LC = 0x40, 2
RATES = 96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350
CHANNELS = {1: 1, 2: 2, 3: 3, 4: 4, 5: 5, 6: 6, 7: 8}
HIGHEST_SBR_RATE = 24_000  # up to this rate a decoder looks for spectral band replication that nothing announces
SYNC_EXTENSION, SBR = 0x2B7, 5
WHOLE_SPEED = b"\0\1\0\0"

type Boxes = dict[bytes, bytes]


def parse_mp4(file: Bytes, head: bytes) -> Stated | None:
    """Return what the index states; None for a file of any other form, or one that is cut short.

    Args:
        file: The file.
        head: Its first bytes.
    """
    found = parse_index(file, head)
    return None if found is None else found[0]


def parse_index(file: Bytes, head: bytes) -> tuple[Stated, Boxes] | None:
    """Return the same as `parse_mp4` with the boxes of the track."""
    index = _find_index(file, head)
    if index is None or ITUNES_GAPLESS in index:
        return None
    boxes = _read_boxes(index)
    if boxes is None or any(name not in boxes for name in NEEDED) or boxes[b"hdlr"][8:12] != b"soun":
        return None
    coding = _parse_entry(boxes[b"stsd"])
    timescale = _of_version(boxes[b"mdhd"], 12, 20)
    if coding is None or timescale != coding[0]:
        return None
    length = _stated_length(boxes[b"stts"], boxes[b"stsz"], file.size)
    n_frames = 0 if length is None else _edited(boxes, length, timescale)
    return (Stated("MPEG-4", "aac", *coding, n_frames), boxes) if n_frames > 0 else None


def _find_index(file: Bytes, head: bytes) -> bytes | None:
    """Return the content of the one ``moov``; None if a box ends after the file, or there are fragments."""
    position, size, found = 0, file.size, None
    while position + 8 <= size:
        near = head[position : position + 16]
        header = near if len(near) == 16 else file.at(position, 16)
        length, name = int.from_bytes(header[:4], "big"), header[4:8]
        begin = 8
        if length == 1:
            length, begin = int.from_bytes(header[8:], "big"), 16
        elif length == 0:
            length = size - position
        if name == b"moof" or (name == b"moov" and (found or length > LARGEST_INDEX)):
            return None
        if name in MPEG4_BOXES and position + length > size:
            return None
        if name == b"moov":
            found = file.at(position + begin, length - begin)
            if position + length == size:  # mostly: the index is written last
                break
        position += max(length, 8)
    return found


def _read_boxes(index: bytes) -> Boxes | None:
    """Return the boxes of the one track; None if there are several, or fragments follow."""
    boxes: Boxes = {}
    waiting = [(0, len(index))]
    while waiting:
        for name, begin, end in _children(index, *waiting.pop()):
            if name == b"mvex" or (name in boxes and name in {b"trak", *NEEDED, b"elst"}):
                return None
            if name in HOLDERS:
                waiting.append((begin, end))
            boxes[name] = b"" if name in HOLDERS else index[begin:end]
    return boxes


def _children(index: bytes, position: int, end: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, begin and end of the boxes between two positions.

    Raises:
        ValueError: If one of them does not end in time.
    """
    while position + 8 <= end:
        length = int.from_bytes(index[position : position + 4], "big")
        if length < 8 or position + length > end:
            raise ValueError
        yield index[position + 4 : position + 8], position + 8, position + length
        position += length


def _parse_entry(table: bytes) -> tuple[int, int] | None:
    """Return sample rate and channels of the one entry of ``stsd``; None if it is not AAC-LC without extensions."""
    config = config_of(table)
    return None if config is None else _parse_config(config)


def config_of(table: bytes) -> bytes | None:
    """Return the AudioSpecificConfig of the one entry of ``stsd``; None if it is of another form."""
    if number(table, 4) != 1 or table[12:16] != b"mp4a" or table[24:26] != b"\0\0":  # QuickTime has versions 1 and 2
        return None
    for name, begin, end in _children(table, 44, 8 + number(table, 8)):
        if name == b"esds":
            return _decoder_config(table[begin + 4 : end])
    return None


def _decoder_config(content: bytes) -> bytes | None:
    """Return the AudioSpecificConfig of the descriptors in ``esds``; None if they are of another form."""
    tag, begin, _ = _descriptor(content, 0)
    if tag != ES_DESCRIPTOR or content[begin + 2] & 0xE0:  # flags: something optional follows
        return None
    tag, begin, _ = _descriptor(content, begin + 3)
    if tag != DECODER_CONFIG or content[begin] != MPEG4_AUDIO:
        return None
    tag, begin, end = _descriptor(content, begin + 13)
    return content[begin:end] if tag == DECODER_SPECIFIC and end <= len(content) else None


def _descriptor(content: bytes, place: int) -> tuple[int, int, int]:
    """Return tag, begin and end of a descriptor, whose length takes seven bits a byte.

    Raises:
        ValueError: If the content ends before.
    """
    tag, length, place = content[place] if place < len(content) else 0, 0, place + 1
    while place < len(content):
        byte = content[place]
        length, place = length << 7 | byte & 0x7F, place + 1
        if not byte & 0x80:
            return tag, place, place + length
    raise ValueError


def _parse_config(config: bytes) -> tuple[int, int] | None:
    """Return sample rate and channels of an AudioSpecificConfig; None if a decoder may give others."""
    bits = int.from_bytes(config[:5].ljust(5, b"\0"), "big")  # object 5, rate 4, channels 4, three flags, extension
    rate_index, channels = bits >> 31 & 15, CHANNELS.get(bits >> 27 & 15)
    if bits >> 35 != AAC_LC or rate_index >= len(RATES) or channels is None or bits >> 24 & 7:
        return None
    sample_rate = RATES[rate_index]
    is_plain = len(config) >= 5 and bits >> 13 & 0x7FF == SYNC_EXTENSION and bits >> 8 & 31 == SBR and not bits >> 7 & 1
    is_bare = len(config) == 2 and sample_rate > HIGHEST_SBR_RATE
    return (sample_rate, channels) if is_plain or is_bare else None


def _stated_length(times: bytes, sizes: bytes, file_size: int) -> int | None:
    """Return the samples of all packets; None unless each but the last holds a whole frame, and all are in the file."""
    runs = [(number(times, 8 + 8 * n), number(times, 12 + 8 * n)) for n in range(min(number(times, 4), 3))]
    count = sum(each for each, _ in runs)
    if not 1 <= len(runs) <= 2 or count != number(sizes, 8) or runs[-1][1] > FRAME or not runs[-1][1]:
        return None
    if runs[0][1] != FRAME or (len(runs) == 2 and runs[1][0] != 1):
        return None
    equal, n_listed = number(sizes, 4), (len(sizes) - 12) // 4
    if not equal and (n_listed != count or sum(struct.unpack_from(f">{count}I", sizes, 12)) > file_size):
        return None
    return sum(each * length for each, length in runs)


def _edited(boxes: Boxes, length: int, timescale: int) -> int:
    """Return the samples that the edit list leaves; 0 if it does more than cut the beginning and the end."""
    edits = boxes.get(b"elst")
    if edits is None:
        return length
    if number(edits, 4) != 1:
        return 0
    width = 8 if edits[0] == 1 else 4
    duration, delay = int.from_bytes(edits[8 : 8 + width], "big"), edit_delay(edits)
    movie_timescale = _of_version(boxes[b"mvhd"], 12, 20)
    if edits[8 + 2 * width :] != WHOLE_SPEED or delay < 0 or not duration or not movie_timescale:
        return 0
    kept = (2 * duration * timescale + movie_timescale) // (2 * movie_timescale)
    return min(kept, length - delay)


def edit_delay(edits: bytes) -> int:
    """Return the samples that the one entry of ``elst`` leaves out at the beginning."""
    width = 8 if edits[0] == 1 else 4
    return int.from_bytes(edits[8 + width : 8 + 2 * width], "big", signed=True)


def _of_version(box: bytes, place: int, long_place: int) -> int:
    """Return a field of a box whose times take four bytes, or eight in version 1."""
    return number(box, long_place if box[0] == 1 else place)


def number(content: bytes, place: int) -> int:
    """Return the number of four bytes at a place."""
    return int.from_bytes(content[place : place + 4], "big")
