import pytest
from av.packet import Packet

from mrlspk.data.audio.ffmpeg_container import open_container
from mrlspk.data.audio.ffmpeg_pass import Pass
from mrlspk.data.audio.packet_places import Places, _opus_frames
from mrlspk.data.audio.source import as_source

KINDS = {
    Places.STAMPS: ["m4a", "he-aac", "alac", "adts", "mp3", "mp3 without header", "opus", "vorbis"],
    Places.SIZES: ["jittered m4a", "fragmented", "ogg flac", "speex", "webm", "mka", "flv", "ac3", "mpegts"],
    Places.NOTHING: ["vorbis in mka", "wma", "adpcm"],
}


@pytest.mark.parametrize(("kind", "name"), [(kind, name) for kind, names in KINDS.items() for name in names])
def test_packets_are_placed_by_what_is_exact(encoded, kind, name):
    decoding = Pass(open_container(str(encoded(name)), as_source(encoded(name))))
    assert decoding._places.kind is kind
    decoding.close()


@pytest.mark.parametrize(
    ("head", "milliseconds"),
    [
        ([0 << 3], 10),  # SILK; the table of RFC 6716, section 3.1
        ([11 << 3], 60),
        ([13 << 3], 20),  # hybrid
        ([16 << 3], 2.5),  # CELT
        ([31 << 3], 20),
        ([31 << 3 | 1], 40),  # two frames of equal size
        ([31 << 3 | 2], 40),  # two frames of different size
        ([31 << 3 | 3, 5], 100),  # a number of frames
    ],
)
def test_the_first_bytes_of_an_opus_packet_tell_its_length(head, milliseconds):
    assert _opus_frames(Packet(bytes(head) + bytes(10))) == milliseconds * 48
