"""Find how long a container says its audio is, as a time stamp."""

from typing import BinaryIO

from mrlspk.data.audio.ffmpeg_container import Opened

HEAD_BYTES = 4096  # of an MP3 file without its tag: the first MPEG frame and some padding
ID3_HEADER = 10
EXACT = frozenset({"ape", "flac", "mpc", "mpc8", "ogg", "tak", "tta", "wv"})
ROUGH = frozenset({"asf", "flv", "matroska,webm"})
MICROSECONDS = 1_000_000


def stated_end(opened: Opened, file: BinaryIO, packet_seconds: float) -> float | None:
    """Return the end of the audio in seconds of FFmpeg's time stamps, None if nothing but an estimate is known.

    Args:
        opened: The container, read to its end: the index of a fragmented MP4 file grows.
        file: The encoded audio, at its first byte.
        packet_seconds: Length of an MP3 frame.
    """
    stream, name = opened.stream, opened.container.format.name
    time_base = float(stream.time_base)
    if name == "mp3":
        n_frames = count_mp3_frames(file)
        return None if n_frames is None else n_frames * packet_seconds
    if name.startswith("mov") and len(stream.index_entries):
        return stream.index_entries[len(stream.index_entries) - 1].timestamp * time_base
    if name in EXACT and stream.duration is not None:
        return ((stream.start_time or 0) + stream.duration) * time_base
    if name in ROUGH and opened.container.duration is not None and len(opened.container.streams) == 1:
        return opened.container.duration / MICROSECONDS
    return None


def count_mp3_frames(file: BinaryIO) -> int | None:
    """Return the frames that a Xing, Info or VBRI header counts; None without one."""
    head = file.read(ID3_HEADER)
    skipped = 0
    if head[:3] == b"ID3":
        skipped = ID3_HEADER + sum((byte & 0x7F) << 7 * place for place, byte in enumerate(reversed(head[6:10])))
    file.seek(skipped)
    head = file.read(HEAD_BYTES)
    for name, place in ((b"Xing", 8), (b"Info", 8), (b"VBRI", 14)):
        begin = head.find(name)
        if begin >= 0 and (name == b"VBRI" or head[begin + 7] & 1):
            return int.from_bytes(head[begin + place : begin + place + 4], "big") or None
    return None
