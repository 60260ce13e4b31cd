"""Find the packets of an MPEG-4 file with one track of AAC-LC, as its index states them (ISO/IEC 14496-12)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mrlspk.data.audio.mp4_header import Boxes, config_of, edit_delay, number, parse_index
from mrlspk.data.audio.open_file import Bytes
from mrlspk.data.audio.plain_headers import Stated

CHUNK_OFFSETS = {b"stco": ">u4", b"co64": ">u8"}
STSC_FIELDS = 3  # first chunk, packets in each from there on, entry of stsd


@dataclass(frozen=True, slots=True)
class PacketTable:
    """The packets of a track.

    Attributes:
        stated: What the header states.
        config: The AudioSpecificConfig.
        delay: Samples in front that are not part of the audio.
        offsets: Position of each packet, (packets,).
        sizes: Bytes of each packet, (packets,).
    """

    stated: Stated
    config: bytes
    delay: int
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int64]


def parse_packets(file: Bytes, head: bytes) -> PacketTable | None:
    """Return the packets; None for a file of any other form.

    Args:
        file: The file.
        head: Its first bytes.

    Raises:
        ValueError: If the index is damaged.
    """
    parsed = parse_index(file, head)
    if parsed is None:
        return None
    stated, boxes = parsed
    config, sizes = config_of(boxes[b"stsd"]), _sizes(boxes[b"stsz"])
    offsets = find_offsets(boxes, sizes)
    if config is None or offsets is None or int((offsets + sizes).max()) > file.size:
        return None
    edits = boxes.get(b"elst")
    return PacketTable(stated, config, 0 if edits is None else edit_delay(edits), offsets, sizes)


def _sizes(box: bytes) -> NDArray[np.int64]:
    equal, count = number(box, 4), number(box, 8)
    return np.full(count, equal, np.int64) if equal else np.frombuffer(box, ">u4", count, 12).astype(np.int64)


def find_offsets(boxes: Boxes, sizes: NDArray[np.int64]) -> NDArray[np.int64] | None:
    """Return where the packets are, chunk by chunk; None if the tables do not fit together."""
    name = next((each for each in CHUNK_OFFSETS if each in boxes), None)
    if name is None or b"stsc" not in boxes:
        return None
    chunks = np.frombuffer(boxes[name], CHUNK_OFFSETS[name], number(boxes[name], 4), 8).astype(np.int64)
    runs = np.frombuffer(boxes[b"stsc"], ">u4", STSC_FIELDS * number(boxes[b"stsc"], 4), 8).astype(np.int64)
    first, held, entry = runs.reshape(-1, STSC_FIELDS).T
    n_chunks = np.diff(first, append=len(chunks) + 1)
    if not len(first) or first[0] != 1 or (n_chunks <= 0).any() or (held <= 0).any() or (entry != 1).any():
        return None
    held = np.repeat(held, n_chunks)
    if held.sum() != len(sizes):
        return None
    begins = np.cumsum(sizes) - sizes  # if all packets followed each other
    firsts = np.cumsum(held) - held
    offsets: NDArray[np.int64] = begins + np.repeat(chunks - begins[firsts], held)
    return offsets
