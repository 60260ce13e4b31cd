"""One recording in the encodings of real tools, and what a tool decodes from each of them."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soxr

TOOLS = "bash", "ffmpeg", "flac", "lame", "mpg123", "oggdec", "oggenc", "opusdec", "opusenc", "sox", "speexenc"
INSTALL = "scripts/test.sh installs them: ffmpeg, flac, lame, mpg123, opus-tools, sox, speex, vorbis-tools"

LOSSLESS, LOSSY = 0.999, 0.97
RATE = 16_000

# Shorthands of the commands; the name of the output follows.
FFMPEG = "ffmpeg -nostdin -v error -y -i {wav} "
AAC = FFMPEG + "-c:a aac -aac_pns 0 "  # noise substitution gives other samples after a seek
PICTURE = "-f lavfi -i color=red:s=64x64:r=5:d=1 "
OPUS = "opusenc --quiet --bitrate 64 "
FRAGMENTS = "-movflags frag_keyframe+empty_moov+default_base_moof -frag_duration 500000 "
RAW = "--force-raw-format --endian=little --sign=signed --channels=1 --bps=16 --sample-rate=16000"
HALVES = "sox {wav} {out}.1.wav trim 0 2; sox {wav} {out}.2.wav trim 2; "
SIZE_OF_ZERO = "head -c 4 /dev/zero | dd of={out} bs=1 seek=40 conv=notrunc 2>&1"
JOIN = "cat {out}.1 {out}.2 > {out}; rm {out}.*"

DECODE = {  # to raw samples on stdout, and their type
    "ffmpeg": ("ffmpeg -nostdin -v error -i {path} -map 0:a:0 -f f32le -", np.float32),
    "mpg123": ("mpg123 -q -s {path}", np.int16),
    "oggdec": ("oggdec -Q -R -o - {path}", np.int16),
    "opusdec": ("opusdec --quiet --float --rate 48000 {path} -", np.float32),
}


@dataclass(frozen=True)
class Encoding:
    """How a tool writes the recording.

    Attributes:
        command: Shell text that reads ``{wav}`` and writes ``{out}``.
        cosine: Least cosine of the embedding to that of the recording, small backbone. Below `LOSSY` where the coding
            itself takes away the upper band, or leaves noise in it: what the tool decodes is as far away.
        rate: Of the file, in Hz.
        channels: Of the file.
        decoder: The tool that decodes it to compare with.
        spare: Seconds by which tools differ about the end: the unused part of a last frame, the seam of two streams.
        range_tolerance: Most by which a range may differ from the slice; a decoder of AC-3 draws random numbers.
    """

    command: str
    cosine: float = LOSSLESS
    rate: int = RATE
    channels: int = 1
    decoder: str = "ffmpeg"
    spare: float = 0.001
    range_tolerance: float = 1e-4


ENCODINGS: Mapping[str, Encoding] = {
    # PCM of every size, and its kin, in the containers of every maker.
    "8-bit.wav": Encoding("sox {wav} -b 8 {out}", 0.75),
    "24-bit.wav": Encoding("sox {wav} -b 24 {out}"),
    "32-bit.wav": Encoding("sox {wav} -b 32 {out}"),
    "float.wav": Encoding("sox {wav} -e floating-point -b 32 {out}"),
    "double.wav": Encoding("sox {wav} -e floating-point -b 64 {out}"),
    "extensible.wav": Encoding(FFMPEG + "-c:a pcm_s24le {out}"),
    "rf64.wav": Encoding(FFMPEG + "-rf64 always {out}"),
    "sony.w64": Encoding(FFMPEG + "{out}"),
    "apple.aiff": Encoding("sox {wav} {out}"),
    "little-endian.aifc": Encoding(FFMPEG + "-c:a pcm_s16le -f aiff {out}"),
    "core-audio.caf": Encoding(FFMPEG + "{out}"),
    "sun.au": Encoding("sox {wav} {out}"),
    "nist.sph": Encoding("sox {wav} {out}"),
    "a-law.wav": Encoding("sox {wav} -e a-law {out}", 0.9),
    "mu-law.wav": Encoding("sox {wav} -e mu-law {out}", 0.9),
    "ima-adpcm.wav": Encoding("sox {wav} -e ima-adpcm {out}", 0.8),
    "ms-adpcm.wav": Encoding("sox {wav} -e ms-adpcm {out}", 0.85),
    "g722.wav": Encoding(FFMPEG + "-c:a g722 {out}", 0.95),
    # Telephone: 8 kHz.
    "8-khz.wav": Encoding("sox {wav} -r 8000 {out}", 0.55, 8_000),
    "a-law-8-khz.wav": Encoding("sox {wav} -r 8000 -e a-law {out}", 0.55, 8_000),
    "mu-law-8-khz.sph": Encoding("sox {wav} -r 8000 -e mu-law {out}", 0.55, 8_000),
    "gsm.wav": Encoding("sox {wav} -r 8000 -e gsm-full-rate {out}", 0.35, 8_000),
    "speex-8-khz.spx": Encoding(
        "sox {wav} -r 8000 {out}.wav; speexenc -n {out}.wav {out} 2>&1; rm {out}.wav", 0.35, 8_000, spare=0.03
    ),
    # Written to a pipe: the header does not know the length.
    "pipe.flac": Encoding("sox {wav} -t raw - | flac -s " + RAW + " -c - 2>/dev/null | cat > {out}"),
    "pipe-flac-by-ffmpeg.flac": Encoding(FFMPEG + "-f flac - | cat > {out}"),
    "pipe-by-ffmpeg.wav": Encoding(FFMPEG + "-f wav - | cat > {out}"),  # 0xFFFFFFFF bytes
    "pipe-by-sox.wav": Encoding("sox {wav} -t wav - 2>/dev/null | cat > {out}"),  # 0x7FFFF000 bytes
    "pipe-au-by-sox.au": Encoding("sox {wav} -t au - 2>/dev/null | cat > {out}"),
    "pipe-of-no-size.wav": Encoding("sox {wav} {out}; " + SIZE_OF_ZERO),
    # Lossless.
    "free.flac": Encoding("flac -s -o {out} {wav}"),
    "flac-in-ogg.ogg": Encoding("flac -s --ogg -o {out} {wav}"),
    "flac-in-oga.oga": Encoding(FFMPEG + "-c:a flac {out}"),
    "alac-in-m4a.m4a": Encoding(FFMPEG + "-c:a alac {out}"),
    "alac-in-caf.caf": Encoding(FFMPEG + "-c:a alac {out}"),
    "wavpack.wv": Encoding(FFMPEG + "{out}"),
    "true-audio.tta": Encoding(FFMPEG + "{out}"),
    "pcm-in-mka.mka": Encoding(FFMPEG + "-c:a copy {out}"),
    "pcm-in-mov.mov": Encoding(FFMPEG + "-c:a copy {out}"),
    # Ogg, chained too.
    "vorbis.ogg": Encoding("oggenc -Q -q 6 -o {out} {wav}", LOSSY, decoder="oggdec"),
    "speex.spx": Encoding("speexenc -w --quality 10 {wav} {out} 2>&1", 0.85, spare=0.03),
    "speex-in-ogg.ogg": Encoding("speexenc -w --quality 10 {wav} {out} 2>&1", 0.85, spare=0.03),
    "opus.opus": Encoding(OPUS + "{wav} {out}", LOSSY, 48_000, decoder="opusdec"),
    "opus-in-ogg.ogg": Encoding(OPUS + "{wav} {out}", LOSSY, 48_000, decoder="opusdec"),
    "chained-vorbis.ogg": Encoding(
        HALVES + "for n in 1 2; do oggenc -Q -q 6 -s $n -o {out}.$n {out}.$n.wav; done; " + JOIN,
        LOSSY,
        decoder="oggdec",
        spare=0.02,
    ),
    "chained-opus.opus": Encoding(
        HALVES + "for n in 1 2; do " + OPUS + "--serial $n {out}.$n.wav {out}.$n; done; " + JOIN,
        LOSSY,
        48_000,
        decoder="opusdec",
        spare=0.02,
    ),
    # MPEG audio.
    "constant.mp3": Encoding("lame --quiet -b 96 --cbr {wav} {out}", LOSSY, decoder="mpg123"),
    "variable.mp3": Encoding("lame --quiet -V 2 {wav} {out}", LOSSY, decoder="mpg123"),
    "no-xing.mp3": Encoding("lame --quiet -V 2 -t {wav} {out}", LOSSY, decoder="mpg123"),
    "cover.mp3": Encoding(
        FFMPEG + PICTURE + "-map 0 -map 1 -frames:v 1 -c:v mjpeg -c:a libmp3lame -b:a 96k -id3v2_version 3 {out}",
        LOSSY,
        decoder="mpg123",
    ),
    "stereo-mp3.mp3": Encoding(
        "sox {wav} -r 44100 -c 2 -t wav - | lame --quiet -b 192 - {out}", LOSSY, 44_100, 2, decoder="mpg123"
    ),
    "layer-two.mp2": Encoding(FFMPEG + "-ar 48000 -b:a 256k {out}", LOSSY, 48_000, decoder="mpg123"),
    "aac.m4a": Encoding(AAC + "{out}", LOSSY, spare=0.026),
    "adts.aac": Encoding(AAC + "{out}", LOSSY),
    "fragmented.mp4": Encoding(AAC + FRAGMENTS + "{out}", LOSSY),
    "film.mp4": Encoding(FFMPEG + PICTURE + "-c:v mpeg4 -c:a aac -aac_pns 0 {out}", LOSSY, spare=0.026),
    "transport.m2ts": Encoding(AAC + "-f mpegts {out}", LOSSY),
    "mpeg-4-inside.wav": Encoding(AAC + "-f ipod {out}", LOSSY, spare=0.026),
    # Other containers and codecs.
    "opus-in-webm.webm": Encoding(FFMPEG + "-ar 48000 -c:a libopus -b:a 64k {out}", LOSSY, 48_000),
    "vorbis-in-mka.mka": Encoding(FFMPEG + "-c:a libvorbis -q:a 6 {out}", LOSSY, spare=0.02),
    "windows.wma": Encoding(FFMPEG + "-b:a 192k {out}", LOSSY),
    "dolby.ac3": Encoding(FFMPEG + "-ar 48000 {out}", LOSSY, 48_000, range_tolerance=0.02),
    "dolby-plus.eac3": Encoding(FFMPEG + "-ar 48000 {out}", LOSSY, 48_000, range_tolerance=0.02),
    "video.avi": Encoding(FFMPEG + PICTURE + "-c:v mpeg4 -c:a libmp3lame -b:a 96k {out}", LOSSY),
    "flash.flv": Encoding(AAC + "{out}", LOSSY),
    # Rates and channels.
    "stereo.wav": Encoding("sox {wav} -c 2 {out}", channels=2),
    "six-channels.flac": Encoding("sox {wav} -c 6 {out}", channels=6),
    "44.1-khz.flac": Encoding("sox {wav} -r 44100 {out}", rate=44_100),
    "48-khz.wav": Encoding("sox {wav} -r 48000 {out}", rate=48_000),
    "44.101-khz.wav": Encoding("sox {wav} -r 44101 {out}", rate=44_101),
    "11.127-khz.wav": Encoding("sox {wav} -r 11127 {out}", 0.7, rate=11_127),
}

# Decoders read these too, but no free encoder writes them.
NOT_MADE = {
    "HE-AAC": "only the encoders of Fraunhofer and Apple write it, and Debian's FFmpeg has neither",
    "wideband AMR": "Debian's FFmpeg and SoX decode it only",
    "WMA Pro": "only Microsoft's encoder writes it",
    "G.729": "FFmpeg decodes it only",
}


def require_tools() -> None:
    """Fail where tools are absent and the environment asks for every test; skip elsewhere."""
    absent = [tool for tool in TOOLS if shutil.which(tool) is None]
    if absent and os.environ.get("MRLSPK_REQUIRE_SHARED") == "1":
        pytest.fail(f"needs {', '.join(absent)}; {INSTALL}")
    if absent:
        pytest.skip(f"needs {', '.join(absent)}; {INSTALL}")


def shell(command: str, **names: Path) -> bytes:
    """Run shell text with paths in it, and return its output; an error of any part fails the test."""
    text = command.format(**{name: f"'{path}'" for name, path in names.items()})
    done = subprocess.run(["bash", "-euo", "pipefail", "-c", text], capture_output=True, check=False)
    if done.returncode or done.stderr:
        pytest.fail(f"{text}: {done.stderr.decode(errors='replace')}")
    return done.stdout


def decode_by_tool(path: Path) -> np.ndarray:
    """Return the samples of an encoded file as its tool decodes them: mono, at `RATE`."""
    encoding = ENCODINGS[path.name]
    command, dtype = DECODE[encoding.decoder]
    samples = np.frombuffer(shell(command, path=path), dtype)
    scale = 1 if dtype is np.float32 else 2**15
    mono = (samples / scale).reshape(-1, encoding.channels).mean(axis=1)
    return mono if encoding.rate == RATE else soxr.resample(mono, encoding.rate, RATE)
