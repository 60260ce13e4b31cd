"""Audio files that lie, stop or change midway, and what must come of each: made from the files of real tools."""

import io
import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from audio_encodings import ENCODINGS, shell

RATE, SECONDS = 16_000, 3.0
CUT = "cut short"
MPEG4 = "ffmpeg -nostdin -v error -y -i {wav} -c:a aac "
EXTRA = {  # encodings that only faults are made of
    "fast-start.m4a": MPEG4 + "-movflags faststart {out}",
    "44.1-khz.mp3": "sox {wav} -r 44100 -t wav - | lame --quiet -b 64 -t - {out}",
    "44.1-khz.aac": MPEG4 + "-ar 44100 {out}",
    "stereo.aac": MPEG4 + "-ac 2 {out}",
    "two-channels.mp3": "sox {wav} -c 2 -t wav - | lame --quiet -b 64 -t - {out}",
    "44.1-khz.ogg": "sox {wav} -r 44100 {out}.wav; oggenc -Q -s 9 -o {out} {out}.wav; rm {out}.wav",
}
GOOD = "float.wav", "free.flac", "constant.mp3", "aac.m4a", "vorbis.ogg"

NEEDED = (  # encodings that faults are made of
    *GOOD,
    "adts.aac",
    "apple.aiff",
    "core-audio.caf",
    "fragmented.mp4",
    "nist.sph",
    "no-xing.mp3",
    "opus-in-webm.webm",
    "opus.opus",
    "sony.w64",
    "speex-in-ogg.ogg",
    "sun.au",
    "windows.wma",
)

type Parts = Mapping[str, bytes]  # whole encoded files by name


@dataclass(frozen=True)
class Damage:
    """A file and what must come of it.

    Attributes:
        content: Makes its bytes from those of whole files.
        seconds: Of what is delivered; None if it must be an error.
        said: Part of the error, or of the warning; empty if nothing is to be said.
        spare: Seconds by which the length may differ.
        misstates: Whether the header states another length than there is; all of it is delivered.
    """

    content: Callable[[Parts], bytes]
    seconds: float | None = None
    said: str = ""
    spare: float = 0.15
    misstates: bool = False


def cut(name: str, share: float, **verdict: object) -> Damage:
    """Return the first ``share`` of a file."""
    return Damage(lambda parts: parts[name][: int(len(parts[name]) * share)], **verdict)


def joined(*names: str, **verdict: object) -> Damage:
    """Return files one after the other."""
    return Damage(lambda parts: b"".join(parts[name] for name in names), **verdict)


def patched(name: str, mark: bytes, offset: int, new: bytes, **verdict: object) -> Damage:
    """Return a file with ``new`` bytes, ``offset`` bytes behind the beginning of a mark."""

    def content(parts: Parts) -> bytes:
        place = parts[name].index(mark) + offset
        return parts[name][:place] + new + parts[name][place + len(new) :]

    return Damage(content, **verdict)


def noised(name: str, begin: float, end: float, **verdict: object) -> Damage:
    """Return a file in which random bytes lie from one share of it to another."""

    def content(parts: Parts) -> bytes:
        whole = parts[name]
        first, last = int(len(whole) * begin), int(len(whole) * end)
        return whole[:first] + np.random.default_rng(0).bytes(last - first) + whole[last:]

    return Damage(content, **verdict)


def literally(content: bytes, said: str) -> Damage:
    """Return bytes that are no audio."""
    return Damage(lambda _: content, said=said)


def written(samples: np.ndarray, **verdict: object) -> Damage:
    """Return float WAV of samples."""

    def content(_: Parts) -> bytes:
        file = io.BytesIO()
        soundfile.write(file, samples, RATE, format="WAV", subtype="FLOAT")
        return file.getvalue()

    return Damage(content, **verdict)


def counted(n_samples: int, **verdict: object) -> Damage:
    """Return FLAC whose header counts ``n_samples``: in 36 bits, behind the rate, the channels and the sample size."""
    return patched("free.flac", b"fLaC", 18, struct.pack(">Q", RATE << 44 | 15 << 36 | n_samples), **verdict)


def formatted(offset: int, new: bytes, said: str) -> Damage:
    """Return WAV with other bytes in its format."""
    return patched("plain.wav", b"fmt ", 8 + offset, new, said=said)


NOISE = 0.1 * np.random.default_rng(1).normal(size=round(SECONDS * RATE))
WITH_NAN = np.where(np.arange(NOISE.size) == 40_000, np.nan, NOISE)
WITH_INFINITY = np.where(np.arange(NOISE.size) == 40_000, np.inf, NOISE)
HTML = b"<!DOCTYPE html>\n<html><head><title>404 Not Found</title></head><body>No such file</body></html>\n" * 40
PLAYLIST = b"ffconcat version 1.0\nfile 'good-float.wav'\n"
M3U8 = b"#EXTM3U\n#EXT-X-TARGETDURATION:3\n#EXTINF:3,\ngood-float.wav\n#EXT-X-ENDLIST\n"
RANDOM = np.random.default_rng(2).bytes(40_000)
NO_AUDIO = "cannot be decoded"

DAMAGES: Mapping[str, Damage] = {
    # Cut: a container that knows its length says so; a stream without one is shorter.
    "cut-half-wav.wav": cut("plain.wav", 0.5, said=CUT),
    "cut-tenth-wav.wav": cut("plain.wav", 0.1, said=CUT),
    "cut-half-flac.flac": cut("free.flac", 0.5, said=CUT),
    "cut-tenth-flac.flac": cut("free.flac", 0.1, said=CUT),
    "cut-half-mp3.mp3": cut("constant.mp3", 0.5, said=CUT),
    "cut-tenth-mp3.mp3": cut("constant.mp3", 0.1, said=CUT),
    "cut-half-ogg.ogg": cut("vorbis.ogg", 0.5, said=CUT),
    "cut-tenth-ogg.ogg": cut("vorbis.ogg", 0.3, said=CUT),
    "cut-half-opus.opus": cut("opus.opus", 0.5, said=CUT),
    "cut-half-speex.ogg": cut("speex-in-ogg.ogg", 0.5, said=CUT),
    "cut-half-m4a.m4a": cut("aac.m4a", 0.5, said=CUT),
    "cut-half-fast-start.m4a": cut("fast-start.m4a", 0.5, said=CUT),
    "cut-tenth-fast-start.m4a": cut("fast-start.m4a", 0.3, said=CUT),
    "cut-half-fragmented.mp4": cut("fragmented.mp4", 0.5, said=CUT),
    "cut-half-webm.webm": cut("opus-in-webm.webm", 0.5, said=CUT),
    "cut-half-wma.wma": cut("windows.wma", 0.5, seconds=1.5, said="damaged"),
    "cut-half-aiff.aiff": cut("apple.aiff", 0.5, said=CUT),
    "cut-half-caf.caf": cut("core-audio.caf", 0.5, said=CUT),
    "cut-half-au.au": cut("sun.au", 0.5, said=CUT),
    "cut-half-w64.w64": cut("sony.w64", 0.5, said=CUT),
    "cut-half-sph.sph": cut("nist.sph", 0.5, said=CUT),
    "cut-half-aac.aac": cut("adts.aac", 0.5, seconds=1.5, said="damaged"),
    "cut-half-no-xing.mp3": cut("no-xing.mp3", 0.5, seconds=1.5),
    "header-alone.wav": cut("plain.wav", 0.0005, said=CUT),
    # Headers that lie.
    "two-to-the-33.flac": counted(2**33, said=CUT),
    "too-few.flac": counted(16_000, seconds=SECONDS, misstates=True),
    "two-to-the-63-w64.w64": patched("sony.w64", b"data", 16, struct.pack("<q", 2**63 - 1), seconds=SECONDS),
    "two-to-the-63-caf.caf": patched("core-audio.caf", b"data", 4, struct.pack(">q", 2**63 - 1), said=NO_AUDIO),
    "one-gigabyte.au": patched("sun.au", b".snd", 8, struct.pack(">I", 2**30), said=CUT),
    "one-hertz.wav": formatted(4, struct.pack("<II", 1, 2), "Hz"),
    "ten-megahertz.wav": formatted(4, struct.pack("<II", 10**7, 2 * 10**7), "Hz"),
    "no-channels.wav": formatted(2, b"\0\0", NO_AUDIO),
    "no-bits.wav": formatted(12, b"\0\0\0\0", NO_AUDIO),
    "nothing-behind.wav": Damage(lambda parts: parts["plain.wav"][:40] + b"\0\0\0\0", said="expected audio at 0"),
    # Something else.
    "empty-wav.wav": literally(b"", "empty"),
    "empty-mp3.mp3": literally(b"", "empty"),
    "text.wav": literally(b"this is no audio\n" * 100, NO_AUDIO),
    "random-flac.flac": literally(RANDOM, NO_AUDIO),
    "random-mp3.mp3": literally(RANDOM, NO_AUDIO),
    "page.mp3": literally(HTML, NO_AUDIO),
    "list-wav.wav": literally(PLAYLIST, "a playlist"),
    "list-mp3.mp3": literally(M3U8, "a playlist"),
    "archive.m4a": literally(b"PK\3\4" + RANDOM, NO_AUDIO),
    # Damaged in the middle.
    "garbage-mp3.mp3": noised("constant.mp3", 0.4, 0.5, said=CUT),
    "garbage-no-xing.mp3": noised("no-xing.mp3", 0.4, 0.5, seconds=SECONDS, said="damaged", spare=0.35),
    "garbage-flac.flac": noised("free.flac", 0.5, 0.52, said=CUT),
    "garbage-ogg.ogg": noised("vorbis.ogg", 0.5, 0.55, said="cannot be decoded"),
    "garbage-aac.aac": noised("adts.aac", 0.5, 0.55, seconds=SECONDS, said="damaged"),
    "tag-behind-wav.wav": Damage(lambda parts: parts["plain.wav"] + b"ID3\4" + RANDOM[:200], SECONDS),
    "tag-behind-mp3.mp3": Damage(lambda parts: parts["constant.mp3"] + b"TAG" + b"a" * 125, SECONDS),
    # Changes midway.
    "rate-changes-ogg.ogg": joined("vorbis.ogg", "44.1-khz.ogg", seconds=2 * SECONDS),
    "rate-changes-aac.aac": joined("adts.aac", "44.1-khz.aac", seconds=2 * SECONDS, spare=0.3),
    "rate-changes-mp3.mp3": joined("no-xing.mp3", "44.1-khz.mp3", seconds=2 * SECONDS, spare=0.3),
    "joined-mp3.mp3": joined("constant.mp3", "constant.mp3", seconds=2 * SECONDS, spare=0.2, misstates=True),
    "two-in-one.flac": joined("free.flac", "free.flac", seconds=2 * SECONDS, misstates=True),
    "channels-change-aac.aac": joined("adts.aac", "stereo.aac", seconds=2 * SECONDS, spare=0.3),
    "channels-change-mp3.mp3": joined("no-xing.mp3", "two-channels.mp3", seconds=2 * SECONDS, spare=0.3),
    # Sound that is read and is not right.
    "not-a-number.wav": written(WITH_NAN, said="not finite"),
    "infinite.wav": written(WITH_INFINITY, said="not finite"),
    "integers.wav": written(NOISE * 32768, seconds=SECONDS, said="out of range"),
    "silent.wav": written(0 * NOISE, seconds=SECONDS, said="silent"),
    "too-short.wav": written(NOISE[:200], said="200 samples"),
}


def write_parts(folder: Path) -> Parts:
    """Encode three seconds of noise with the tools, and return the files by name."""
    wav = folder / "plain.wav"
    soundfile.write(wav, NOISE, RATE, subtype="PCM_16")
    commands = {name: each.command for name, each in ENCODINGS.items() if name in NEEDED} | EXTRA
    for name, command in commands.items():
        shell(command, wav=wav, out=folder / name)
    return {name: (folder / name).read_bytes() for name in (*commands, wav.name)}


def write_damaged(folder: Path, parts: Parts) -> None:
    """Write every damaged file, a pipe that nobody writes to, a folder named as a file, and a link to nothing."""
    for name, damage in DAMAGES.items():
        (folder / name).write_bytes(damage.content(parts))
    os.mkfifo(folder / "pipe.wav")
    (folder / "folder.wav").mkdir()
    (folder / "link.wav").symlink_to("nothing.wav")
