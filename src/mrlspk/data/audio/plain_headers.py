"""Parse the headers of WAV and FLAC files of the usual form."""

from dataclasses import dataclass

from mrlspk.data.audio.completeness import BEYOND_RIFF, is_unknown

HEAD_BYTES = 4096
FORMAT_BYTES = 16
EXTENSIBLE, EXTENSIBLE_BYTES = 0xFFFE, 40
WAVE_GUID = bytes.fromhex("000000001000800000aa00389b71")  # of a sub-format, behind its tag
MOST_CHANNELS = 64  # what has more is left to libsndfile
WAV_CODECS = {  # by tag and bits
    (1, 8): "pcm_u8",
    (1, 16): "pcm_s16",
    (1, 24): "pcm_s24",
    (1, 32): "pcm_s32",
    (3, 32): "pcm_f32",
    (3, 64): "pcm_f64",
    (6, 8): "pcm_alaw",
    (7, 8): "pcm_mulaw",
}
STREAM_INFO = bytes.fromhex("00000022")  # type and length of FLAC's first block; the first bit: it is the last one
STREAM_INFO_END = 42  # bytes
FLAC_SIZES = frozenset({8, 16, 24})  # bits


@dataclass(frozen=True, slots=True)
class Stated:
    """What a header states; ``n_frames`` is what decoding gives."""

    format: str
    codec: str
    sample_rate: int
    channels: int
    n_frames: int


def parse_wav(head: bytes, size: int) -> Stated | None:
    """Return what a WAV header states; None if it is not whole or the length is not known.

    Args:
        head: The first bytes of the file.
        size: Of the file.
    """
    if head[8:12] != b"WAVE" or size >= BEYOND_RIFF:
        return None
    form, position = b"", 12
    while position + 8 <= len(head):
        name, length = head[position : position + 4], int.from_bytes(head[position + 4 : position + 8], "little")
        position += 8
        if name == b"data":
            is_whole = not is_unknown(length) and position + length <= size
            return _wav(form, length) if is_whole else None
        if name == b"fmt ":
            form = head[position : position + length]
        position += length + length % 2
    return None


def _wav(form: bytes, length: int) -> Stated | None:
    if len(form) < FORMAT_BYTES:
        return None
    tag, channels, sample_rate = _number(form, 0, 2), _number(form, 2, 2), _number(form, 4, 4)
    block, bits = _number(form, 12, 2), _number(form, 14, 2)
    if tag == EXTENSIBLE and len(form) >= EXTENSIBLE_BYTES and form[26:40] == WAVE_GUID:
        tag = _number(form, 24, 2)
    codec = WAV_CODECS.get((tag, bits))
    if codec is None or not 0 < channels <= MOST_CHANNELS or block * 8 != channels * bits or length < block:
        return None
    return Stated("WAV", codec, sample_rate, channels, length // block)


def _number(content: bytes, place: int, count: int) -> int:
    return int.from_bytes(content[place : place + count], "little")


def parse_flac(head: bytes, size: int) -> Stated | None:
    """Return what the header of a FLAC file states; None if the length is not stated, or too small for its bytes.

    Args:
        head: The first bytes of the file.
        size: Of the file.
    """
    found = parse_stream_info(head)
    if found is None:
        return None
    stated, bits = found
    is_usual = bits in FLAC_SIZES and 0 < size <= stated.n_frames * stated.channels * bits // 8
    return stated if is_usual else None


def parse_stream_info(head: bytes) -> tuple[Stated, int] | None:
    """Return what the first block of a FLAC file states, and the bits of a sample; None if that is no length."""
    if len(head) < STREAM_INFO_END or head[:4] != b"fLaC" or bytes([head[4] & 0x7F]) + head[5:8] != STREAM_INFO:
        return None
    fields = int.from_bytes(head[18:26], "big")  # 20 bits, 3, 5, 36
    sample_rate, channels, bits = fields >> 44, (fields >> 41 & 7) + 1, (fields >> 36 & 31) + 1
    n_frames = fields & (1 << 36) - 1
    return (Stated("FLAC", "flac", sample_rate, channels, n_frames), bits) if n_frames else None
