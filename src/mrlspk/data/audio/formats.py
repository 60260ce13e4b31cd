"""Recognise audio formats by their first bytes, and list the suffixes that audio files have."""

import codecs
from typing import BinaryIO

_SUFFIXES = (
    "3g2 3gp aac ac3 aif aifc aiff amr ape asf au avi awb caf dff dsf dss dts eac3 f4a flac flv gsm latm loas "
    "m2ts m4a m4b m4v mka mkv mlp mov mp1 mp2 mp3 mp4 mpc mpeg mpg mpga mts nist oga ogg oma opus qcp qt ra "
    "rf64 rm shn snd sox sph spx tak thd tta vob voc w64 wav wave webm wma wmv wv"
)
AUDIO_SUFFIXES = frozenset(f".{suffix}" for suffix in _SUFFIXES.split())
SNDFILE_FORMATS = frozenset({"AIFF", "AU", "CAF", "FLAC", "RF64", "SPHERE", "W64", "WAV"})
FFMPEG_FORMATS = frozenset({"MPEG-4", "Ogg"})
HEADERLESS_SUFFIXES = frozenset({".al", ".alaw", ".g722", ".pcm", ".raw", ".sln", ".ul", ".ulaw", ".vox"})

_HEAD_BYTES = 32
_PLAYLISTS = (b"#extm3u", b"ffconcat", b"[playlist]", b"<?wpl", b"<asx")
_MAGIC = (
    ("RF64", 0, b"RF64"),
    ("RF64", 0, b"BW64"),
    ("W64", 0, b"riff\x2e\x91\xcf\x11"),
    ("CAF", 0, b"caff"),
    ("AU", 0, b".snd"),
    ("AU", 0, b"dns."),
    ("SPHERE", 0, b"NIST_1A"),
    ("FLAC", 0, b"fLaC"),
    ("Ogg", 0, b"OggS"),
    ("MPEG-4", 4, b"ftyp"),
)
_IFF = {b"WAVE": "WAV", b"AIFF": "AIFF", b"AIFC": "AIFF"}


def recognise(file: BinaryIO) -> str | None:
    """Return one of `SNDFILE_FORMATS`, ``Ogg`` or ``MPEG-4``; None for anything else, which FFmpeg recognises itself.

    An ID3 tag in front is skipped: it stands in front of FLAC too.
    """
    head = file.read(_HEAD_BYTES)
    if head[:3] == b"ID3" and len(head) > 10:
        file.seek(10 + _synchsafe(head[6:10]))
        head = file.read(_HEAD_BYTES)
    if head[:4] in {b"RIFF", b"RIFX", b"FORM"}:
        return _IFF.get(head[8:12])
    return next((name for name, place, magic in _MAGIC if head.startswith(magic, place)), None)


def _synchsafe(content: bytes) -> int:
    """Return the length that an ID3 tag states, seven bits a byte."""
    return sum((byte & 0x7F) << 7 * place for place, byte in enumerate(reversed(content)))


def is_playlist(file: BinaryIO) -> bool:
    """Return whether a file lists recordings in place of being one."""
    file.seek(0)
    head = file.read(_HEAD_BYTES).removeprefix(codecs.BOM_UTF8)
    return head.lstrip().lower().startswith(_PLAYLISTS)
