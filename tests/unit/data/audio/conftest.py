"""Files of many formats, encoded when a test first asks for one."""

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from tests.encoded_audio import write_by, write_by_ffmpeg

RATE = 16_000
N_SAMPLES = 59_397  # no multiple of any codec's frame
FILES = {
    "m4a": ("a.m4a", ""),
    "fragmented": ("a.mp4", "-c:a aac -movflags +frag_keyframe+empty_moov -frag_duration 500000"),
    "alac": ("a.m4a", "-c:a alac"),
    "opus in mp4": ("a.mp4", "-c:a libopus"),
    "adts": ("a.aac", ""),
    "mp3": ("a.mp3", ""),
    "mp3 without header": ("a.mp3", "-write_xing 0"),
    "opus": ("a.opus", ""),
    "vorbis": ("a.ogg", "-c:a libvorbis"),
    "ogg flac": ("a.oga", "-c:a flac"),
    "speex": ("a.spx", ""),
    "webm": ("a.webm", "-c:a libopus"),
    "mka": ("a.mka", "-c:a aac"),
    "vorbis in mka": ("a.mka", "-c:a libvorbis"),
    "flv": ("a.flv", "-c:a aac -ar 22050"),
    "wma": ("a.wma", ""),
    "ac3": ("a.ac3", "-ar 32000"),
    "mpegts": ("a.ts", "-c:a aac"),
    "adpcm": ("a.wav", "-c:a adpcm_ima_wav"),
}


@pytest.fixture(scope="session")
def noise() -> np.ndarray:
    """Return a sweep in noise: it resembles itself at no other place."""
    time = np.arange(N_SAMPLES) / RATE
    sweep = 0.2 * np.sin(2 * np.pi * (300 + 200 * time) * time)
    return (sweep + np.random.default_rng(1).normal(0, 0.03, N_SAMPLES)).astype(np.float32)


@pytest.fixture(scope="session")
def encoded(tmp_path_factory: pytest.TempPathFactory, noise: np.ndarray) -> Callable[[str], Path]:
    """Return the file of a name of `FILES`, or of one of the files that are made from them."""
    paths: dict[str, Path] = {}

    def find(name: str) -> Path:
        if name not in paths:
            folder = tmp_path_factory.mktemp("encoded")
            if name == "wav of half a second":
                paths[name] = folder / "a.wav"
                soundfile.write(paths[name], noise[:8000], RATE)
            elif name == "speex":
                paths[name] = write_by("speexenc --quiet IN OUT", folder / "a.spx", noise)
            elif name in FILES:
                file, options = FILES[name]
                paths[name] = write_by_ffmpeg(folder / file, noise, options)
            else:
                paths[name] = MADE_FROM_M4A[name](find("m4a"), folder / "a.m4a")
        return paths[name]

    return find


def _with_sbr(source: Path, path: Path) -> Path:
    """Say in the header that spectral band replication doubles the rate, as HE-AAC does; no tool here encodes it."""
    return _remux(source, path, extradata=bytes.fromhex("2c0a8800"))


def _with_jitter(source: Path, path: Path) -> Path:
    """Stamp the packets by a clock that is up to 2.5 ms off, as some phones do."""
    return _remux(source, path, jitter=40)


def _remux(source: Path, path: Path, *, extradata: bytes | None = None, jitter: int = 0) -> Path:
    rng = np.random.default_rng(0)
    with av.open(str(source)) as read, av.open(str(path), "w", format="ipod") as written:
        stream = written.add_stream_from_template(read.streams.audio[0])
        stream.codec_context.extradata = extradata or stream.codec_context.extradata
        for number, packet in enumerate(read.demux(audio=0)):
            if packet.size:
                packet.stream = stream
                packet.pts += int(rng.integers(-jitter, jitter + 1)) if number else 0
                packet.dts = packet.pts
                written.mux(packet)
    return path


MADE_FROM_M4A = {"he-aac": _with_sbr, "jittered m4a": _with_jitter}
