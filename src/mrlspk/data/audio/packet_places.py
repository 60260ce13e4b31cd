"""Say where in the audio a packet lies, without decoding it.

Time stamps are exact in some containers and rounded to milliseconds in others, and after a seek FFmpeg no longer
leaves out the encoder's delay. So samples are placed by what is exact for the container.
"""

import struct
from enum import Enum

from av.audio.frame import AudioFrame
from av.audio.stream import AudioStream as FFmpegAudio
from av.packet import Packet

from mrlspk.data.audio.ffmpeg_container import Opened

# Codecs whose packets all hold the same number of frames.
EQUAL_PACKETS = frozenset(
    {"aac", "aac_latm", "mp3", "mp3float", "mp2", "mp2float", "ac3", "eac3", "amrnb", "amrwb", "gsm", "speex"}
)
# Demuxers whose time stamps count samples and hold after a seek, whatever the codec; see `_choose` for others.
STAMPED = frozenset({"aac", "amr", "flac", "g722", "gsm", "loas", "mlp", "mp3", "tta", "wv"})
VORBIS_JITTER = 2_048  # frames by which the stamps of short blocks are off in FFmpeg
OPUS_SHORTEST = 120  # 2.5 ms at Opus's 48 kHz

type AudioPacket = Packet[FFmpegAudio]
type Read = tuple[AudioPacket, list[AudioFrame] | None]  # a packet and what it decodes to; None: it cannot be decoded


class Places(Enum):
    """What tells where a packet lies."""

    STAMPS = "its time stamp"
    SIZES = "the sizes of all packets before it"
    NOTHING = "the decoded frames before it"


class PacketPlaces:
    """Places of the packets of one stream.

    Args:
        opened: The container.
        read: Its first packets, up to the first that gives frames.
        sample_rate: Of the first frame.

    Attributes:
        kind: What tells the places.
        delay: Frames in the first packets that are not part of the audio.
        equal_size: Frames of each packet, if they are equal.
        jitter: Frames by which time stamps may be off; a larger gap between them is a lost packet.
    """

    def __init__(self, opened: Opened, read: list[Read], sample_rate: int) -> None:
        stream = opened.stream
        self._codec = stream.codec_context.name
        self._is_raw = opened.container.format.name in {"aac", "loas", "mp3"}
        first = read[-1][1] or []
        self._origin = max(first[0].pts or 0, 0)
        self._frames_per_stamp = float(stream.time_base * sample_rate)
        self.equal_size = stream.codec_context.frame_size or first[0].samples
        self.jitter = VORBIS_JITTER if self._codec == "vorbis" else 0
        self.kind = self._choose(opened)
        held = sum(self.frames_of(packet) for packet, frames in read if frames is not None)
        self.delay = held - sum(frame.samples for frame in first)

    def frames_of(self, packet: AudioPacket) -> int:
        """Return the frames in a packet; an estimate if `kind` is not `SIZES`."""
        if not packet.size:
            return 0
        if self._codec in EQUAL_PACKETS:
            return self.equal_size
        if self._codec == "opus":
            return _opus_frames(packet)
        return round((packet.duration or 0) * self._frames_per_stamp)

    def frame_at(self, stamp: int) -> int:
        """Return the number of the frame at a time stamp."""
        return round((stamp - self._origin) * self._frames_per_stamp)

    def stamp_of(self, frame: int) -> int:
        """Return the time stamp of a frame, rounded down."""
        return self._origin + int(frame / self._frames_per_stamp)

    def is_of_another_rate(self, packet: AudioPacket, frame: AudioFrame) -> bool:
        """Return whether the frame is shorter than its samples at `sample_rate`.

        FFmpeg's MP3 decoder gives the first frame after a seek the rate of the first frame of the file.
        """
        return self._is_raw and (packet.duration or 0) * self._frames_per_stamp < frame.samples - 1

    def _choose(self, opened: Opened) -> Places:
        name = opened.container.format.name
        is_equal = self._codec in EQUAL_PACKETS
        is_exact = (1 / self._frames_per_stamp).is_integer() or (is_equal and self._frames_per_stamp.is_integer())
        is_stamped = name in STAMPED or self._codec.startswith("pcm_")
        if name == "ogg":
            is_stamped = self._codec in {"opus", "vorbis"}
        elif name.startswith("mov"):
            is_stamped = not is_equal or self._is_index_even(opened)
        if is_exact and is_stamped:
            return Places.STAMPS
        has_sizes = is_equal or self._codec == "opus" or (name, self._codec) == ("ogg", "flac")
        return Places.SIZES if has_sizes else Places.NOTHING

    def _is_index_even(self, opened: Opened) -> bool:
        """Return whether the index is whole, and its stamps are as far apart as the packets are long.

        They are not where an encoder stamped packets by its clock, or an edit list leaves some out.
        """
        index = opened.stream.index_entries
        if not len(index) or len(index) != opened.stream.frames:
            return False
        span = (index[len(index) - 1].timestamp - index[0].timestamp) * self._frames_per_stamp
        return span == (len(index) - 1) * self.equal_size


def left_out_at_end(packet: AudioPacket) -> int:
    """Return the frames at the end of a packet that are not part of the audio."""
    if not packet.has_sidedata("skip_samples"):
        return 0
    return int(struct.unpack_from("<I", bytes(packet.get_sidedata("skip_samples")), 4)[0])


def _opus_frames(packet: AudioPacket) -> int:
    """Return the frames at 48 kHz of an Opus packet, from its first bytes (RFC 6716, section 3.1)."""
    head = bytes(memoryview(packet)[:2])
    configuration, code = head[0] >> 3, head[0] & 3
    if configuration < 12:
        each = OPUS_SHORTEST * (4, 8, 16, 24)[configuration % 4]
    elif configuration < 16:
        each = OPUS_SHORTEST * (4, 8)[configuration % 2]
    else:
        each = OPUS_SHORTEST * (1, 2, 4, 8)[configuration % 4]
    count = (1, 2, 2, head[1] & 63 if len(head) > 1 else 0)[code]
    return each * count
